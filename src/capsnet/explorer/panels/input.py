"""Panel: a picture from the test set, from a pen, or of two test images on top of each other."""

import random
from html import escape
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from nicegui import ui
from nicegui.events import GenericEventArguments

from capsnet.data import multimnist
from capsnet.data.loading import load_view
from capsnet.data.specification import LabelledImages
from capsnet.explorer import drawing, inference
from capsnet.explorer.checkpoint import ExploredRun
from capsnet.explorer.inference import STILL
from capsnet.explorer.session import Result, Session
from capsnet.explorer.widgets import COLOURS, Image, box, html, labelled_slider, panel

MAX_SHIFT = 6  # pixels that one of a pair can be shifted: [P] has 4, the released samples 6 [C]

# The ink appears at once; the server gets the points, each with whether a stroke begins there.
PEN = """(event) => {
  const pad = event.currentTarget, begins = event.type === "pointerdown";
  if (!begins && !pad.hasPointerCapture(event.pointerId)) return;
  event.preventDefault();
  if (begins) pad.setPointerCapture(event.pointerId);
  const frame = pad.getBoundingClientRect(), path = pad.querySelector("path");
  const moves = begins ? [] : (event.getCoalescedEvents?.() ?? []);
  const points = (moves.length ? moves : [event]).map((one) => [
    (one.clientX - frame.left) / frame.width, (one.clientY - frame.top) / frame.height, begins]);
  const ink = points.map(([x, y]) => (begins ? `M${x} ${y}l0 0` : `L${x} ${y}`)).join("");
  path.setAttribute("d", (path.getAttribute("d") ?? "") + ink);
  emit(points);
}"""


class Drawing:
    """A pad for mouse, pen and finger."""

    def __init__(self, session: Session, loaded: ExploredRun) -> None:
        self.session, self.info = session, loaded.info
        self.strokes = list[list[drawing.Point]]()
        with box("draw") as self.box:
            self.pad = ui.element("svg").classes("pad").props('viewBox="0 0 1 1" role="img"')
            self.pad.props["aria-label"] = "draw here"
            with self.pad:
                self.ink = ui.element("path")
            for event in ("pointerdown", "pointermove"):
                self.pad.on(event, self._drew, js_handler=PEN)
            ui.button("Clear", on_click=self._clear).props("flat dense no-caps")
            html(
                "p", "", "Scaled into 20×20 pixels and centred by its mass, as MNIST's digits were."
            )

    async def _drew(self, event: GenericEventArguments) -> None:
        for right, down, begins in event.args:
            if begins:
                self.strokes.append([])
            if self.strokes:
                self.strokes[-1].append((min(max(right, 0), 1), min(max(down, 0), 1)))
        await self.ask()

    async def _clear(self) -> None:
        self.strokes.clear()
        ui.run_javascript(f'getHtmlElement({self.ink.id}).setAttribute("d", "")')
        await self.ask()

    async def ask(self) -> None:
        """Ask for what is drawn so far."""
        picture = drawing.framed(drawing.digit(self.strokes), self.info.height, self.info.width)
        await self.session.show_picture(picture[None], [])


class Example:
    """An example of a test set by its number."""

    def __init__(self, session: Session, loaded: ExploredRun) -> None:
        self.session, self.tests = session, loaded.tests
        with box("example") as self.box:
            self.name = ui.select(list(self.tests), value="test", label="test set")
            self.name.on_value_change(self._choose).set_visibility(len(self.tests) > 1)
            self.numbers = {name: self._number(name) for name in self.tests}
            with box("steps"):
                for label, step in (("← previous", -1), ("next →", 1), ("random", 0)):
                    ui.button(label, on_click=self._by(step)).props("flat dense no-caps")

    def _number(self, name: str) -> ui.number:
        made = number_field("test example", len(self.tests[name].split), 0, self.ask)
        made.set_visibility(name == "test")
        return made

    @property
    def chosen(self) -> str:
        """Return the name of the chosen test set."""
        return str(self.name.value)

    async def _choose(self) -> None:
        for name, number in self.numbers.items():
            number.set_visibility(name == self.chosen)
        await self.ask()

    def _by(self, step: int) -> Any:
        def go() -> None:
            number, count = self.numbers[self.chosen], len(self.tests[self.chosen].split)
            goal = int(number.value or 0) + step if step else random.randrange(count)
            number.value = goal % count

        return go

    async def ask(self) -> None:
        """Ask for the example, if there is one of that number."""
        split = self.tests[self.chosen].split
        number = whole_number(self.numbers[self.chosen].value, len(split))
        if number is not None:
            example = split.examples(torch.tensor([number]), None)
            picture = np.round(example.pictures[0].numpy() * 255).astype(np.uint8)
            await self.session.show_picture(picture, example.labels[0].tolist())


class Pair:
    """Two test images on top of each other, each with its own shift: MultiMNIST by hand [P]."""

    def __init__(self, session: Session, loaded: ExploredRun) -> None:
        assert loaded.singles is not None
        self.session, self.loaded, self.singles = session, loaded, loaded.singles
        apart = min(loaded.max_shift or multimnist.MAX_SHIFT, MAX_SHIFT)
        labels = self.singles.test_labels
        other = int(np.argmax(labels != labels[0]))  # the first of another class
        starts = zip(COLOURS, (0, other), (-apart, apart), strict=True)
        with box("pair") as self.box:
            self.fields = [self._fields(*start) for start in starts]
            self.note = ui.label().classes("note")

    def _fields(
        self, colour: str, number: int, shift: int
    ) -> tuple[ui.number, ui.slider, ui.slider]:
        count = len(self.singles.test_labels)
        with box(f"of-pair {colour}"):
            return (
                number_field(f"{colour}: test image", count, number, self.ask),
                labelled_slider(f"{colour} right", " px", MAX_SHIFT, 1, self.ask, shift),
                labelled_slider(f"{colour} down", " px", MAX_SHIFT, 1, self.ask, shift),
            )

    async def ask(self) -> None:
        """Ask for the pair, if there are images of both numbers."""
        count = len(self.singles.test_labels)
        numbers = [whole_number(number.value, count) for number, _, _ in self.fields]
        if None in numbers:
            return
        which = np.array(numbers)
        shifts = np.array([[down.value, right.value] for _, right, down in self.fields], int)
        labels = self.singles.test_labels[which].tolist()
        same, info = labels[0] == labels[1], self.loaded.info
        self.note.text = f"Both are {info.class_names[labels[0]]}: {info.name} has no such pair."
        self.note.set_visibility(same)
        pair = overlay_pair(self.singles, which, shifts)
        await self.session.show_picture(drawing.framed(pair, info.height, info.width), labels)


def overlay_pair(
    singles: LabelledImages, which: np.ndarray, shifts: np.ndarray
) -> UInt8[np.ndarray, "channels height+8 width+8"]:
    """Lay two test images, `which`, on top of each other, each shifted by (down, right) [2, 2]."""
    images = singles.test_images[which]
    first, second = np.array([0]), np.array([1])
    return np.concatenate(
        [
            multimnist.render(channel, first, shifts[:1], second, shifts[1:])
            for channel in images.swapaxes(0, 1)
        ]
    )


class Input:
    """Choose a picture, and show it as the network gets it."""

    def __init__(self, session: Session, loaded: ExploredRun) -> None:
        self.loaded = loaded
        sources = picture_sources(loaded)
        with panel("input", "The picture", describe_input(loaded, list(sources))):
            self.toggle = ui.toggle(list(sources), value=TEST_SET, on_change=self.start)
            self.toggle.set_visibility(len(sources) > 1)
            self.sources = {name: kind(session, loaded) for name, kind in sources.items()}
            with ui.element("figure").classes("seen"):
                self.picture = Image("the picture as the network gets it", ink=loaded.ink)
                self.caption = html("figcaption")

    async def start(self) -> None:
        """Show the chosen source, and ask for its picture."""
        for name, source in self.sources.items():
            source.box.set_visibility(name == self.toggle.value)
        await self.sources[self.toggle.value].ask()

    def show(self, result: Result) -> None:
        """Show the picture, moved as the sliders of the last panel say."""
        labels = result.query.labels
        self.picture.put(inference.pixels(result.activations.picture))
        known = f"label {escape(self.loaded.names(labels))}" if labels else "no label"
        still = "" if result.query.move == STILL else " · moved by the sliders below"
        self.caption.content = f"as the network gets it · {known}{still}"


TEST_SET, DRAW, PAIR = "Test set", "Draw", "Two at once"


def picture_sources(loaded: ExploredRun) -> dict[str, type[Example | Drawing | Pair]]:
    """Choose what is offered: a pen for one grey channel, pairs to networks that learned pairs."""
    sources: dict[str, type[Example | Drawing | Pair]] = {TEST_SET: Example}
    if loaded.info.channels == 1:
        sources[DRAW] = Drawing
    if loaded.singles is not None:
        sources[PAIR] = Pair
    return sources


def describe_input(loaded: ExploredRun, sources: list[str]) -> str:
    """Say where pictures come from and what their format is."""
    offers = {DRAW: "draw one", PAIR: "lay two on top of each other"}
    ways = ["Take one from the test set", *(offers[one] for one in sources if one in offers)]
    *first, last = ways
    offered = f"{', '.join(first)} or {last}" if first else last
    info = loaded.info
    depth = "one channel" if info.channels == 1 else f"{info.channels} channels"
    standardised = ", standardised" * (load_view(loaded.run.data.name).normalise is not None)
    return (
        f"{offered}. This network takes {info.height}×{info.width} pixels of {depth}{standardised}."
    )


def number_field(label: str, count: int, value: int, ask: Any) -> ui.number:
    """Add a field for a number below `count`, which refuses anything else in a message."""
    rule = f"from 0 to {count - 1:,}"
    message = f"Type a whole number {rule}; the last picture stays"
    made = ui.number(
        f"{label}, {rule}",
        value=value,
        min=0,
        max=count - 1,
        step=1,
        format="%d",
        on_change=ask,
        validation=lambda typed: message if whole_number(typed, count) is None else None,
    )
    return made.props("dense outlined")


def whole_number(value: float | None, count: int) -> int | None:
    """Return the typed number if it is one of `count`; while typing it may not be."""
    return int(value) if value is not None and 0 <= value < count and value == int(value) else None
