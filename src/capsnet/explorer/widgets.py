"""The elements that all panels are made of."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nicegui import ui
from nicegui.element import Element

from capsnet.explorer import pictures
from capsnet.explorer.inference import Pixels

COLOURS = ("red", "green")  # of the first and the second of a pair: [P] figure 5


@contextmanager
def panel(name: str, title: str, line: str) -> Iterator[None]:
    """Open a section with its heading and a line that explains it."""
    with ui.element("section").classes(name):
        html("h2", content=title)
        html("p", content=line)
        yield


def box(classes: str) -> Element:
    """Add a box for other elements."""
    return ui.element("div").classes(classes)


def html(tag: str = "div", classes: str = "", content: str = "") -> ui.html:
    """Add HTML of our own, in which names from data are escaped."""
    return ui.html(content, tag=tag, sanitize=False).classes(classes)


class Image:
    """An image of the page; `ink` turns white on black around where the page is light."""

    def __init__(self, alt: str, classes: str = "colour", ink: bool = False) -> None:
        self.element = ui.element("img").classes(classes)
        self.element.props["alt"] = alt
        self.ink = ink

    def put(self, pixels: Pixels) -> None:
        """Show `pixels`, unless they are shown already. Only pictures of one channel invert."""
        source = pictures.png(pixels)
        if self.element.props.get("src") != source:
            self.element.props["src"] = source
        inverted = self.ink and pixels.ndim == 2
        self.element.classes(add="ink" * inverted, remove="ink" * (not inverted))


class Slider(ui.slider):
    """A slider whose thumb never waits for the server, so that no step is lost."""

    LOOPBACK = False


def slider(name: str, most: float, step: float, on_change: Any, value: float = 0) -> Slider:
    """Add a slider from −most to most."""
    made = Slider(min=-most, max=most, step=step, value=value, on_change=on_change)
    made.props["aria-label"] = name
    return made


def labelled_slider(
    name: str, unit: str, most: float, step: float, on_change: Any, value: float = 0
) -> Slider:
    """Add a slider between its name and its value."""
    with box("move"):
        ui.label(name)
        made = slider(name, most, step, on_change, value)
        text = ui.label().classes("value")
        text.bind_text_from(made, "value", lambda now: signed(now, "g") + unit)
    return made


def signed(number: float, form: str) -> str:
    """Format as '+0.25', '−0.25', with a minus as wide as the plus; a 0 has no sign."""
    text = f"{abs(number):{form}}"
    sign = "" if float(text) == 0 else "+" if number > 0 else "−"
    return sign + text


def colours(classes: list[int]) -> dict[int, str]:
    """Return colours by class: red and green for two, the page's own for one alone."""
    if len(classes) > 1:
        return dict(zip(classes, COLOURS, strict=True))
    return {classes[0]: "selected"}
