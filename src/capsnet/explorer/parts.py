"""The few elements that all panels are put together from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from nicegui import ui
from nicegui.element import Element

from capsnet.explorer import pictures

COLOURS = ("red", "green")  # of the first and the second digit of a pair: [P] figure 5


@contextmanager
def panel(name: str, title: str, line: str) -> Iterator[None]:
    """A section with its heading and a line that says what is seen."""
    with ui.element("section").classes(name):
        html("h2", content=title)
        html("p", content=line)
        yield


def box(classes: str) -> Element:
    """Something to put elements into."""
    return ui.element("div").classes(classes)


def html(tag: str = "div", classes: str = "", content: str = "") -> ui.html:
    """Our own HTML; nothing that a visitor has typed ever comes here."""
    return ui.html(content, tag=tag, sanitize=False).classes(classes)


def image(alt: str, classes: str = "ink") -> Element:
    """An empty picture; `ink` is white on black, and the other way round on white paper."""
    element = ui.element("img").classes(classes)
    element.props["alt"] = alt
    return element


def put(element: Element, pixels: UInt8[np.ndarray, "height width *channels"]) -> None:
    """Show `pixels` there, unless they are there already."""
    source = pictures.png(pixels)
    if element.props.get("src") != source:
        element.props["src"] = source


class Slider(ui.slider):
    """Its thumb moves at once, and not when the server has agreed, so that no step is lost."""

    LOOPBACK = False


def slider(name: str, reach: float, step: float, on_change: Any, value: float = 0) -> Slider:
    """From −reach to reach."""
    made = Slider(min=-reach, max=reach, step=step, value=value, on_change=on_change)
    made.props["aria-label"] = name
    return made


def moving(
    name: str, unit: str, reach: float, step: float, on_change: Any, value: float = 0
) -> Slider:
    """A slider between its name and its value."""
    with box("move"):
        ui.label(name)
        made = slider(name, reach, step, on_change, value)
        told = ui.label().classes("value")
        told.bind_text_from(made, "value", lambda now: signed(now, "g") + unit)
    return made


def grey(picture: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Ink in [0, 1] as pixels."""
    return np.round(picture * 255).clip(0, 255).astype(np.uint8)


def signed(number: float, form: str) -> str:
    """'+0.25', '−0.25', with a minus that is as wide as the plus; a 0 has no sign."""
    text = f"{abs(number):{form}}"
    sign = "" if float(text) == 0 else "+" if number > 0 else "−"
    return sign + text


def colours(digits: list[int]) -> dict[int, str]:
    """The first of two in red, the second in green; one alone has the page's own."""
    return dict(zip(digits, COLOURS, strict=True)) if len(digits) > 1 else {digits[0]: "looked-at"}


def names(digits: list[int]) -> str:
    """'4', '4 and 7'."""
    return " and ".join(map(str, digits))
