"""Panel: the dimensions of a capsule as sliders, and what the decoder draws from them."""

from typing import Any

import numpy as np
from nicegui import ui
from nicegui.element import Element

from capsnet.evaluation.figure_data import OFFSETS
from capsnet.explorer import inference
from capsnet.explorer.checkpoint import ExploredRun
from capsnet.explorer.inference import Pixels
from capsnet.explorer.session import Recompute, Result, Session
from capsnet.explorer.widgets import Image, box, panel, signed, slider
from capsnet.report.figures.reconstruction_figures import overlay

FIGURES = ("reconstruction", "input", "red", "green")
FURTHEST = round(float(OFFSETS[-1]), 2)  # [P] figure 4: 0.25


class Pose:
    """The dimensions of a capsule as sliders, and what the decoder draws from them."""

    def __init__(self, session: Session, loaded: ExploredRun) -> None:
        self.session, self.loaded = session, loaded
        line = (
            f"The decoder draws from these {loaded.dim} dimensions alone. A slider <b>changes</b> "
            f"its dimension by up to ±{FURTHEST}, and the reconstruction follows; right of it, the "
            "value as the decoder gets it and how much of that is the change. The two small "
            "pictures are drawn with that dimension alone changed by "
            f"−{FURTHEST} and by +{FURTHEST}, the ends of the paper's figure 4."
        )
        with panel("pose", "What the capsule says", line), box("halves"):
            with box("pictures"):
                self.title = ui.label().classes("title")
                self.figures = [self._figure(name) for name in FIGURES]
                self.undo = ui.button("Undo all changes", on_click=self.reset)
                self.undo.props("flat dense no-caps")
            with box("numbers"):
                self.rows = [
                    CapsuleRow(place, self._moved, loaded.ink) for place in range(loaded.dim)
                ]

    def _figure(self, name: str) -> tuple[Element, Image, ui.label]:
        with ui.element("figure").classes(name) as figure:
            picture = Image(name, ink=self.loaded.ink)
            caption = ui.label().classes("caption")
        return figure, picture, caption

    async def _moved(self) -> None:
        offsets = np.array([row.slider.value for row in self.rows])
        await self.session.ask(Recompute.RECONSTRUCTION, offsets=offsets)

    async def reset(self) -> None:
        """Take every dimension as the network gives it."""
        await self.session.ask(Recompute.RECONSTRUCTION, offsets=0.0)

    def show(self, result: Result, recompute: Recompute) -> None:
        """Show pictures and dimensions; the sliders follow where something else has reset them."""
        self._draw(result)
        capsule = result.activations.capsules[result.selected].numpy()
        offsets = np.broadcast_to(result.query.offsets, capsule.shape)
        for row, value, offset in zip(self.rows, capsule, offsets, strict=True):
            row.value.text = signed(value + offset, ".2f")
            row.change.text = f"({signed(offset, '.2f')})" if offset else ""
        self.undo.set_enabled(bool(offsets.any()))
        if not np.any(self.session.query.offsets):
            for row in self.rows:
                row.slider.value = 0
        if recompute != Recompute.RECONSTRUCTION:
            for row, (low, high) in zip(self.rows, result.ends, strict=True):
                row.low.put(low)
                row.high.put(high)

    def _draw(self, result: Result) -> None:
        self.title.text = f"Capsule {self.loaded.names([result.selected])}" + self._chosen(result)
        shown = captioned_pictures(result, self.loaded)
        for place, (figure, picture, caption) in enumerate(self.figures):
            figure.set_visibility(place < len(shown))
            if place < len(shown):
                caption.text, pixels = shown[place]
                picture.put(pixels)

    def _chosen(self, result: Result) -> str:
        """Say in parentheses which capsules are longest, where another one was chosen."""
        longest = inference.longest(result.activations.lengths[-1], len(result.classes))
        chosen = result.query.chosen
        if chosen is None or chosen in longest:
            return ""
        verb = "are" if len(longest) > 1 else "is"
        return f" (chosen: the longest {verb} {self.loaded.names(longest)})"


def captioned_pictures(result: Result, loaded: ExploredRun) -> list[tuple[str, Pixels]]:
    """Return captions and pictures: the reconstruction, the input, and each of two alone."""
    alone = result.reconstructions
    both = overlay(*alone) if len(alone) > 1 else alone[0]
    shown = [
        (f"reconstruction of {loaded.names(result.classes)}", both),
        ("input", inference.pixels(result.activations.picture)),
    ]
    if len(alone) > 1:
        names = [f"{loaded.names([one])} alone" for one in result.classes]
        shown += zip(names, alone, strict=True)
    return shown


class CapsuleRow:
    """One dimension of a capsule: its slider between the pictures of its ends."""

    def __init__(self, place: int, moved: Any, ink: bool) -> None:
        name = f"dimension {place + 1}"
        with box("pose-number"):
            ui.label(str(place + 1)).classes("place")
            self.low = Image(f"{name} changed by −{FURTHEST}", ink=ink)
            self.slider = slider(name, FURTHEST, 0.01, moved)
            self.high = Image(f"{name} changed by +{FURTHEST}", ink=ink)
            self.value = ui.label().classes("value")
            self.change = ui.label().classes("change")
