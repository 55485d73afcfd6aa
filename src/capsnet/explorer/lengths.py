"""Panel: how long each capsule is, and what that answers."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from nicegui import ui
from nicegui.element import Element

from capsnet.explorer import what
from capsnet.explorer.answers import Answered, Stage
from capsnet.explorer.parts import box, colours, names, panel
from capsnet.functional import M_MINUS, M_PLUS

if TYPE_CHECKING:
    from capsnet.explorer.interface import Explorer


class Lengths:
    """One bar a capsule, to be clicked."""

    def __init__(self, explorer: "Explorer") -> None:
        self.explorer = explorer
        line = (
            "‖v‖ of each capsule is the probability that its digit is there. Training pulls it "
            f"over {M_PLUS} or under {M_MINUS} (the two lines). <b>Click one</b> to look at that "
            "capsule, and again for the longest."
        )
        with panel("lengths", "Length of the capsules", line):
            self.verdict = ui.label().classes("verdict")
            with box("bars"):
                self.bars = [self._bar(digit) for digit in range(10)]

    def _bar(self, digit: int) -> tuple[Element, Element, ui.label]:
        async def choose() -> None:
            chosen = None if self.explorer.asked.chosen == digit else digit
            await self.explorer.ask(Stage.CAPSULE, chosen=chosen, offsets=np.zeros(16))

        with ui.element("button").classes("bar").on("click", choose) as button:
            ui.label(str(digit)).classes("digit")
            with box("track"):
                fill = box("fill")
            number = ui.label().classes("number")
        return button, fill, number

    def show(self, answered: Answered) -> None:
        """Lengths after the last iteration, the reconstructed ones in their colours."""
        scores, digits = answered.seen.lengths[-1], answered.digits
        self.verdict.text = verdict(scores, answered.asked.labels)
        for digit, (button, fill, number) in enumerate(self.bars):
            looked_at = "looked-at" * (digit == answered.digit)
            button.classes(replace=f"bar {colours(digits).get(digit, '')} {looked_at}")
            button.props["aria-pressed"] = str(digit == answered.digit).lower()
            button.props["aria-label"] = f"capsule {digit}, length {scores[digit]:.3f}"
            fill.style(replace=f"width:{100 * scores[digit]:.1f}%")
            number.text = f"{scores[digit]:.3f}"


def verdict(scores: Float[np.ndarray, "classes"], labels: list[int]) -> str:
    """The answer beside the labels."""
    found = sorted(what.answer(scores, max(1, len(set(labels)))))
    said = f"Answer: {names(found)}"
    if not labels:
        return said
    if found == sorted(set(labels)):
        return f"{said}, right"
    return f"{said}, wrong: {'it is' if len(labels) == 1 else 'they are'} {names(labels)}"
