"""Panel: the picture moved by sliders, and the capsule's dimensions along the way."""

import numpy as np
from jaxtyping import Float
from nicegui import ui

from capsnet.explorer import inference, pictures
from capsnet.explorer.checkpoint import ExploredRun
from capsnet.explorer.session import TILE, Recompute, Result, Session, SweepView
from capsnet.explorer.widgets import Image, box, html, labelled_slider, panel

AXES = {"turn": ("turn", "°"), "right": ("shift right", " px"), "down": ("shift down", " px")}
MOST = 4  # curves that stand out


class Equivariance:
    """The picture moved by sliders, and the capsule's dimensions along the way."""

    def __init__(self, session: Session, loaded: ExploredRun) -> None:
        self.session, self.loaded = session, loaded
        line = (
            "<b>Move the picture</b>: the capsule should stay long while its dimensions follow the "
            "movement smoothly, and with them the reconstruction. That is equivariance."
        )
        with panel("equivariance", "How the capsule follows the picture", line), box("halves"):
            with box("moves"):
                self.sliders = {axis: self._slider(axis) for axis in AXES}
                ui.button("Back to 0", on_click=self.reset).props("flat dense no-caps")
                self.note = ui.label().classes("note")
                self.key = html(classes="key")
            with box("chart") as self.chart:
                self._chart()

    def _slider(self, axis: str) -> ui.slider:
        async def moved() -> None:
            move = inference.Move(**{name: one.value or 0 for name, one in self.sliders.items()})
            await self.session.ask(Recompute.PICTURE, move=move, axis=axis)

        most = getattr(inference.MAX_MOVE, axis)
        return labelled_slider(*AXES[axis], most, 2 * most / (inference.PLACES - 1), moved)

    def _chart(self) -> None:
        ink = self.loaded.ink
        self.title = ui.label().classes("title")
        ui.label("length ‖v‖, 0 to 1").classes("unit")
        with box("curves"):
            self.band = box("band")
            self.length = html(classes="length")
            self.range = ui.label().classes("unit")
            self.dimensions = html(classes="lines")
            self.inputs = Image("the picture along the slider", ink=ink)
            self.outputs = Image("its reconstruction along the slider", ink=ink)
            self.marker = box("marker")
        with box("scale"):
            self.ends = [ui.label() for _ in range(3)]

    async def reset(self) -> None:
        """Move the picture back."""
        for one in self.sliders.values():
            one.value = 0

    def show(self, result: Result) -> None:
        """Mark the place of the slider that moved last; its curves follow."""
        axis, move = result.query.axis, result.query.move
        name = self.loaded.names([result.selected])
        self.title.text = f"Capsule {name} over “{AXES[axis][0]}”"
        self.chart.classes("waiting")
        self._place(axis, move)

    def draw(self, view: SweepView) -> None:
        """Draw curves and pictures over that slider."""
        self.chart.classes(remove="waiting")
        capsules = view.sweep.capsules[:, view.selected].numpy()
        self._curves(capsules, inference.most_variable(capsules, MOST).tolist())
        self.inputs.put(pictures.row(inference.pixels(view.sweep.inputs[TILE // 2 :: TILE])))
        self.outputs.put(pictures.row(view.strip))

    def _curves(self, capsules: Float[np.ndarray, "places dim"], most: list[int]) -> None:
        limit = float(np.abs(capsules).max().clip(0.1))
        length = np.linalg.norm(capsules, axis=1, keepdims=True)
        self.length.content = pictures.lines(length, 0, 1, [])
        self.dimensions.content = pictures.lines(capsules, -limit, limit, most)
        self.range.text = f"its {capsules.shape[1]} dimensions, −{limit:.2f} to {limit:.2f}"
        self.key.content = "These dimensions change most: " + " ".join(
            f'<span><i class="m{rank}"></i>{number + 1}</span>' for rank, number in enumerate(most)
        )

    def _place(self, axis: str, move: inference.Move) -> None:
        """Set the marker, the ends of the scale, and the band that training has shown."""
        most, unit = getattr(inference.MAX_MOVE, axis), AXES[axis][1]
        step = 2 * most / (inference.PLACES - 1)
        here = 50 + 100 * getattr(move, axis) / step / inference.PLACES
        self.marker.style(replace=f"left:{here:.2f}%")
        for label, text in zip(self.ends, (f"−{most}{unit}", "0", f"+{most}{unit}"), strict=True):
            label.text = text
        shown = 0 if axis == "turn" else min(self.loaded.max_shift or 0, most)
        half = 100 * (shown / step) / inference.PLACES
        self.band.style(replace=f"left:{50 - half:.2f}%;width:{2 * half:.2f}%")
        self.note.text = describe_training(axis, self.loaded.max_shift)


def describe_training(axis: str, max_shift: int | None) -> str:
    """Say which moves training has shown, where that is known."""
    if max_shift is None:
        return ""
    if axis == "turn":
        return "No image was turned in training."
    return f"Grey: shifts of up to {max_shift} px, as in training."
