"""The page, one for every visitor, and the server."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from nicegui import ui

from capsnet.explorer import what
from capsnet.explorer.answers import Answered, Asked, Stage, Trail, answered, trail
from capsnet.explorer.checkpoint import Subject, about, marks
from capsnet.explorer.following import Following
from capsnet.explorer.inputs import Input
from capsnet.explorer.lengths import Lengths
from capsnet.explorer.parts import box, html
from capsnet.explorer.pose import Pose
from capsnet.explorer.routing import Routing

LOOK = Path(__file__).with_name("look.css")
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<rect width="16" height="16" rx="4" fill="#0072b2"/>'
    '<path d="M4 12V8M8 12V3M12 12v-2" stroke="#fff" stroke-width="2"/></svg>'
)


class Explorer:
    """One visitor's page.

    The network computes on threads of its own, so that no slider waits for it; of all that is
    asked meanwhile only the last is answered. How the capsule follows takes longest: that is
    worked out when nothing else is asked, and holds up nothing.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.asked = Asked(np.zeros((subject.side, subject.side), np.float32), [])
        self.stage, self.busy, self.following_busy = Stage.NONE, False, False
        self.answered: Answered | None = None
        self.followed: Answered | None = None
        self.trail: Trail | None = None
        with ui.element("header"):
            html("h1", content="Capsule explorer")
            _weights(subject)
        with box("panels"):
            self.input, self.lengths, self.routing = Input(self), Lengths(self), Routing(self)
            self.pose, self.following = Pose(self), Following(self)

    async def ask(self, stage: Stage, **changes: Any) -> None:
        """Change what is asked for; what is shown from `stage` on follows."""
        self.asked, self.stage = replace(self.asked, **changes), max(stage, self.stage)
        if self.busy:
            return
        self.busy = True
        try:
            while self.stage:
                await self._answer()
        finally:
            self.busy = False
        await self._follow()

    async def _answer(self) -> None:
        asked, stage, self.stage = self.asked, self.stage, Stage.NONE
        network = self.subject.network
        answer = await asyncio.to_thread(answered, network, asked, stage, self.answered)
        self.answered = answer
        self.pose.show(answer, stage)
        if stage > Stage.NUMBERS:
            for panel in (self.input, self.lengths, self.routing, self.following):
                panel.show(answer)

    async def _follow(self) -> None:
        """Work out the curves of the last answer; whoever answers another one comes here again."""
        if self.following_busy:
            return
        self.following_busy = True
        try:
            while not self.busy and (answer := self.answered) is not self.followed:
                assert answer is not None
                network, last = self.subject.network, self.trail
                self.trail = await asyncio.to_thread(trail, network, answer, last)
                self.followed = answer
                self.following.draw(self.trail)
        finally:
            self.following_busy = False

    async def look_at(self, picture: UInt8[np.ndarray, "height width"], labels: list[int]) -> None:
        """Another picture, with no capsule chosen and no number moved."""
        fresh = {"labels": labels, "chosen": None, "offsets": np.zeros(16)}
        await self.ask(Stage.PICTURE, picture=what.ink(picture), **fresh)


def _weights(subject: Subject) -> None:
    """Show what the weights are, in prominent words."""
    with box("weights"):
        for mark in marks(subject):
            ui.label(mark).classes("mark")
        for fact in about(subject):
            ui.label(fact).classes("fact")


def serve(subject: Subject, host: str, port: int) -> None:
    """Until Ctrl-C."""

    async def page() -> None:
        ui.add_css(LOOK)
        await Explorer(subject).input.start()

    ui.run(
        page,
        host=host,
        port=port,
        title="Capsule explorer",
        favicon=ICON,
        dark=None,
        language="en-US",
        reload=False,
        show=False,
        show_welcome_message=False,
        tailwind=False,
    )
