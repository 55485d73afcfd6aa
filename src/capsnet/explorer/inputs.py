"""Panel: a picture from a pen, from the test set, or of two test digits over each other."""

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from nicegui import ui
from nicegui.events import GenericEventArguments

from capsnet.data import multimnist
from capsnet.explorer import drawing
from capsnet.explorer.answers import Answered
from capsnet.explorer.parts import COLOURS, box, grey, html, image, moving, names, panel, put
from capsnet.explorer.what import STILL

if TYPE_CHECKING:
    from capsnet.explorer.interface import Explorer

APART = (-2, 2)  # pixels to the right and down, of the first and the second digit of a pair
REACH = 6  # pixels that a digit of a pair can be moved: [P] has 4, the released samples 6 [C]

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

    def __init__(self, explorer: "Explorer") -> None:
        self.explorer, self.strokes = explorer, list[list[drawing.Point]]()
        with box("draw") as self.box:
            self.pad = ui.element("svg").classes("pad").props('viewBox="0 0 1 1" role="img"')
            self.pad.props["aria-label"] = "draw a digit here"
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
        """What is drawn so far."""
        picture = drawing.framed(drawing.digit(self.strokes), self.explorer.subject.side)
        await self.explorer.look_at(picture, [])


class Example:
    """An example of a test set by its number."""

    def __init__(self, explorer: "Explorer") -> None:
        self.explorer, self.tests = explorer, explorer.subject.tests
        with box("example") as self.box:
            self.name = ui.select(list(self.tests), value="test", label="test set")
            self.name.on_value_change(self.ask).set_visibility(len(self.tests) > 1)
            self.number = _number("test example", self._count(), 0, self.ask)
            with box("steps"):
                for label, step in (("← previous", -1), ("next →", 1), ("random", 0)):
                    ui.button(label, on_click=self._by(step)).props("flat dense no-caps")

    def _count(self) -> int:
        return len(self.tests[str(self.name.value)].split)

    def _by(self, step: int) -> Any:
        def go() -> None:
            number = int(self.number.value or 0) + step if step else random.randrange(self._count())
            self.number.value = number % self._count()

        return go

    async def ask(self) -> None:
        """The example, where there is one of that number."""
        split, number = (
            self.tests[str(self.name.value)].split,
            _whole(self.number.value, self._count()),
        )
        if number is not None:
            example = split.examples(torch.tensor([number]), None)
            picture = grey(example.images[0, 0].numpy())
            await self.explorer.look_at(picture, example.labels[0].tolist())


class Pair:
    """Two test digits in a 36×36 frame, each with its own shift: MultiMNIST by hand [P]."""

    def __init__(self, explorer: "Explorer") -> None:
        self.explorer, self.subject = explorer, explorer.subject
        with box("pair") as self.box:
            self.digits = [
                self._digit(colour, number, shift)
                for number, (colour, shift) in enumerate(zip(COLOURS, APART, strict=True))
            ]
            self.note = ui.label().classes("note")

    def _digit(
        self, colour: str, number: int, shift: int
    ) -> tuple[ui.number, ui.slider, ui.slider]:
        count = len(self.subject.labels)
        with box(f"of-pair {colour}"):
            return (
                _number(f"{colour}: test digit", count, number, self.ask),
                moving(f"{colour} right", " px", REACH, 1, self.ask, shift),
                moving(f"{colour} down", " px", REACH, 1, self.ask, shift),
            )

    async def ask(self) -> None:
        """The pair, where there are digits of both numbers."""
        count = len(self.subject.labels)
        numbers = [_whole(number.value, count) for number, _, _ in self.digits]
        if None in numbers:
            return
        which = np.array(numbers)[:, None]
        shifts = np.array([[[down.value, right.value]] for _, right, down in self.digits], int)
        pair = multimnist.render(self.subject.digits, which[0], shifts[0], which[1], shifts[1])[0]
        labels = self.subject.labels[which[:, 0]].tolist()
        self.note.text = " ".join(self._remarks(labels))
        await self.explorer.look_at(drawing.framed(pair, self.subject.side), labels)

    def _remarks(self, labels: list[int]) -> list[str]:
        remarks = []
        if labels[0] == labels[1]:
            remarks.append(f"Both are {labels[0]}s: MultiMNIST has no such pair.")
        if self.subject.run.data.name != "multimnist":
            side = self.subject.side
            remarks.append(
                "This network has never seen two digits at once. The pair is put into its "
                f"{side}×{side} frame all the same; a network that learned to tell two digits "
                "apart comes from the experiment multimnist_capsnet_r3_recon."
            )
        return remarks


class Input:
    """Where the picture comes from, and the picture as the network gets it."""

    def __init__(self, explorer: "Explorer") -> None:
        side = explorer.subject.side
        line = (
            "Draw a digit, take one from the test set, or lay two over each other. "
            f"This network's frame has {side}×{side} pixels."
        )
        with panel("input", "The picture", line):
            kinds = {"Test set": Example, "Draw": Drawing, "Two digits": Pair}
            self.toggle = ui.toggle(list(kinds), value="Test set", on_change=self.start)
            self.kinds = {name: kind(explorer) for name, kind in kinds.items()}
            with ui.element("figure").classes("seen"):
                self.picture = image("the picture as the network gets it")
                self.caption = html("figcaption")

    async def start(self) -> None:
        """Show the kind of input that is chosen, and ask for its picture."""
        for name, kind in self.kinds.items():
            kind.box.set_visibility(name == self.toggle.value)
        await self.kinds[self.toggle.value].ask()

    def show(self, answered: Answered) -> None:
        """The picture, moved as the last panel says."""
        labels = answered.asked.labels
        put(self.picture, grey(answered.seen.picture))
        known = f"label {names(labels)}" if labels else "no label"
        still = "" if answered.asked.move == STILL else " · moved by the sliders below"
        self.caption.content = f"as the network gets it · {known}{still}"


def _number(label: str, count: int, value: int, ask: Any) -> ui.number:
    """A field for a number below `count`, which says so under anything else."""
    rule = f"from 0 to {count - 1:,}"
    refusal = f"Type a whole number {rule}"
    made = ui.number(
        f"{label}, {rule}",
        value=value,
        min=0,
        max=count - 1,
        step=1,
        format="%d",
        on_change=ask,
        validation=lambda typed: refusal if _whole(typed, count) is None else None,
    )
    return made.props("dense outlined")


def _whole(value: float | None, count: int) -> int | None:
    """Return the typed number if it is one of `count`; while typing it may not be."""
    return int(value) if value is not None and 0 <= value < count and value == int(value) else None
