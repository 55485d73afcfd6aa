"""Panel: the numbers of a capsule as sliders, and what the decoder draws from them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from nicegui import ui
from nicegui.element import Element

from capsnet.evaluation.figure_data import OFFSETS
from capsnet.explorer import what
from capsnet.explorer.answers import Answered, Stage
from capsnet.explorer.parts import box, grey, html, image, names, panel, put, signed, slider
from capsnet.report.figures.reconstruction_figures import overlay

if TYPE_CHECKING:
    from capsnet.explorer.interface import Explorer

FIGURES = ("reconstruction", "whole", "red", "green")
FURTHEST = round(float(OFFSETS[-1]), 2)  # [P] figure 4: 0.25


class Pose:
    """The numbers of a capsule as sliders, and what the decoder draws from them."""

    def __init__(self, explorer: "Explorer") -> None:
        self.explorer = explorer
        line = (
            "The decoder draws from these 16 numbers alone. <b>Move one</b>, and the "
            "reconstruction follows. Beside each: what it draws when that number alone is moved by "
            f"−{FURTHEST} and by +{FURTHEST}, the ends of the paper's figure 4."
        )
        with panel("pose", "What the capsule says", line), box("halves"):
            with box("pictures"):
                self.title = html("h3")
                self.figures = [_figure(name) for name in FIGURES]
                ui.button("All back to 0", on_click=self.reset).props("flat dense no-caps")
            with box("numbers"):
                self.rows = [Row(place, self._moved) for place in range(16)]

    async def _moved(self) -> None:
        offsets = np.array([row.slider.value for row in self.rows])
        await self.explorer.ask(Stage.NUMBERS, offsets=offsets)

    async def reset(self) -> None:
        """Every number as the network says it."""
        await self.explorer.ask(Stage.NUMBERS, offsets=np.zeros(16))

    def show(self, answered: Answered, stage: Stage) -> None:
        """Pictures and numbers; the sliders follow where something else has moved them."""
        self._draw(answered)
        capsule = answered.seen.capsules[answered.digit].numpy()
        for row, number, offset in zip(self.rows, capsule, answered.asked.offsets, strict=True):
            row.value.text = signed(number + offset, ".2f")
        if not self.explorer.asked.offsets.any():
            for row in self.rows:
                row.slider.value = 0
        if stage != Stage.NUMBERS:
            for row, (low, high) in zip(self.rows, answered.ends, strict=True):
                put(row.low, low)
                put(row.high, high)

    def _draw(self, answered: Answered) -> None:
        digits, alone = answered.digits, answered.reconstructions
        self.title.content = f"Capsule {answered.digit}" + _forced(answered)
        parts = [overlay(*alone) if len(alone) > 1 else alone[0], grey(answered.seen.picture)]
        told = [f"reconstruction of {names(digits)}", "input"]
        if len(alone) > 1:
            parts, told = [*parts, *alone], [*told, *(f"{digit} alone" for digit in digits)]
        for place, (figure, picture, caption) in enumerate(self.figures):
            figure.set_visibility(place < len(parts))
            if place < len(parts):
                put(picture, parts[place])
                picture.classes(replace="ink" if parts[place].ndim == 2 else "colour")
                caption.text = told[place]


def _forced(answered: Answered) -> str:
    longest = what.answer(answered.seen.lengths[-1], len(answered.digits))
    chosen = answered.asked.chosen
    if chosen is None or chosen in longest:
        return ""
    verb = "are" if len(longest) > 1 else "is"
    return f" <small>(forced: the longest {verb} {names(longest)})</small>"


def _figure(name: str) -> tuple[Element, Element, ui.label]:
    with ui.element("figure").classes(name) as figure:
        picture = image(name)
        caption = ui.label().classes("caption")
    return figure, picture, caption


class Row:
    """One number of a capsule: its slider between the pictures of its ends."""

    def __init__(self, place: int, moved: Any) -> None:
        name = f"number {place + 1}"
        with box("pose-number"):
            ui.label(str(place + 1)).classes("place")
            self.low = image(f"{name} moved by −{FURTHEST}")
            self.slider = slider(name, FURTHEST, 0.01, moved)
            self.high = image(f"{name} moved by +{FURTHEST}")
            self.value = ui.label().classes("value")
