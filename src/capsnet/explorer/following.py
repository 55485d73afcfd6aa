"""Panel: the picture moved by sliders, and the capsule's numbers along the way."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from nicegui import ui

from capsnet.explorer import pictures, what
from capsnet.explorer.answers import TILE, Answered, Stage, Trail
from capsnet.explorer.checkpoint import trained_shift
from capsnet.explorer.parts import box, grey, html, image, moving, panel, put

if TYPE_CHECKING:
    from capsnet.explorer.interface import Explorer

AXES = {"turn": ("turn", "°"), "right": ("shift right", " px"), "down": ("shift down", " px")}
MOST = 4  # curves that stand out


class Following:
    """The picture moved by sliders, and the capsule's numbers along the way."""

    def __init__(self, explorer: "Explorer") -> None:
        self.explorer = explorer
        self.trained = trained_shift(explorer.subject)
        line = (
            "<b>Move the picture</b>: the capsule should stay long while its numbers follow the "
            "movement smoothly, and with them the reconstruction. That is equivariance."
        )
        with panel("following", "How the capsule follows the picture", line), box("halves"):
            with box("moves"):
                self.sliders = {axis: self._slider(axis) for axis in AXES}
                ui.button("Back to 0", on_click=self.reset).props("flat dense no-caps")
                self.note = ui.label().classes("note")
                self.key = html(classes="key")
            with box("chart") as self.chart:
                self._chart()

    def _slider(self, axis: str) -> ui.slider:
        async def moved() -> None:
            move = what.Move(**{name: one.value or 0 for name, one in self.sliders.items()})
            await self.explorer.ask(Stage.PICTURE, move=move, axis=axis)

        reach = getattr(what.REACH, axis)
        return moving(*AXES[axis], reach, 2 * reach / (what.PLACES - 1), moved)

    def _chart(self) -> None:
        self.title = html("h3")
        ui.label("length ‖v‖, 0 to 1").classes("what")
        with box("curves"):
            self.band = box("band")
            self.length = html(classes="length")
            self.what = ui.label().classes("what")
            self.numbers = html(classes="lines")
            self.inputs = image("the picture along the slider")
            self.outputs = image("its reconstruction along the slider")
            self.marker = box("marker")
        with box("scale"):
            self.ends = [ui.label() for _ in range(3)]

    async def reset(self) -> None:
        """The picture as it was."""
        for one in self.sliders.values():
            one.value = 0

    def show(self, answered: Answered) -> None:
        """Where the slider stands that moved last."""
        axis, move = answered.asked.axis, answered.asked.move
        self.title.content = f"Capsule {answered.digit} over “{AXES[axis][0]}”"
        self.chart.classes("waiting")
        self._place(axis, move)

    def draw(self, trail: Trail) -> None:
        """Curves and pictures over that slider, when they have been worked out."""
        self.chart.classes(remove="waiting")
        capsules = trail.followed.capsules[:, trail.digit].numpy()
        self._curves(capsules, what.followers(capsules, MOST).tolist())
        put(self.inputs, pictures.row(grey(trail.followed.inputs[TILE // 2 :: TILE])))
        put(self.outputs, pictures.row(trail.strip))

    def _curves(self, capsules: Float[np.ndarray, "places dim"], most: list[int]) -> None:
        reach = float(np.abs(capsules).max().clip(0.1))
        length = np.linalg.norm(capsules, axis=1, keepdims=True)
        self.length.content = pictures.lines(length, 0, 1, [])
        self.numbers.content = pictures.lines(capsules, -reach, reach, most)
        self.what.text = f"its 16 numbers, −{reach:.2f} to {reach:.2f}"
        self.key.content = "These numbers change most: " + " ".join(
            f'<span><i class="m{rank}"></i>{number + 1}</span>' for rank, number in enumerate(most)
        )

    def _place(self, axis: str, move: what.Move) -> None:
        """The marker, what the ends are, and what training has shown."""
        reach, unit = getattr(what.REACH, axis), AXES[axis][1]
        step = 2 * reach / (what.PLACES - 1)
        here = 50 + 100 * getattr(move, axis) / step / what.PLACES
        self.marker.style(replace=f"left:{here:.2f}%")
        for label, text in zip(self.ends, (f"−{reach}{unit}", "0", f"+{reach}{unit}"), strict=True):
            label.text = text
        shown = 0 if axis == "turn" else min(self.trained, reach)
        half = 100 * (shown / step) / what.PLACES
        self.band.style(replace=f"left:{50 - half:.2f}%;width:{2 * half:.2f}%")
        self.note.text = (
            "No digit was turned in training."
            if axis == "turn"
            else f"Grey: shifts of up to {self.trained} px, as in training."
        )
