"""Panel: the length of each capsule, and the answer that they give."""

import numpy as np
from jaxtyping import Float
from nicegui import ui
from nicegui.element import Element

from capsnet.explorer import inference
from capsnet.explorer.checkpoint import ExploredRun
from capsnet.explorer.session import Recompute, Result, Session
from capsnet.explorer.widgets import box, colours, panel
from capsnet.functional import M_MINUS, M_PLUS

WIDEST = 14  # characters of a class name beside its bar; the rest is cut off, and in its tooltip
FEW = 12  # bars that fit; more of them scroll


class Lengths:
    """One bar for each capsule, which is also a button."""

    def __init__(self, session: Session, loaded: ExploredRun) -> None:
        self.session, self.loaded = session, loaded
        names = loaded.info.class_names
        line = (
            "‖v‖ of each capsule is the probability that an object of its class is there. Training "
            f"pulls it over {M_PLUS} or under {M_MINUS} (the two lines). <b>Click one</b> to look "
            "at that capsule, and again for the longest."
        )
        width = min(max(map(len, names)), WIDEST)
        with panel("lengths", "Length of the capsules", line):
            self.verdict = ui.label().classes("verdict")
            with box("bars").style(f"--name:{width + 1}ch") as self.box:
                self.bars = [self._bar(number, name) for number, name in enumerate(names)]

    def _bar(self, number: int, name: str) -> tuple[Element, Element, ui.label]:
        async def choose() -> None:
            chosen = None if self.session.query.chosen == number else number
            await self.session.ask(Recompute.CAPSULE, chosen=chosen, offsets=0.0)

        with ui.element("button").classes("bar").on("click", choose) as button:
            ui.label(name).classes("class").props["title"] = name
            with box("track"):
                fill = box("fill")
            length = ui.label().classes("number")
        return button, fill, length

    def show(self, result: Result) -> None:
        """Show lengths after the last iteration, the reconstructed ones in their colours."""
        scores, colour = result.activations.lengths[-1], colours(result.classes)
        self.verdict.text = verdict(self.loaded, scores, result.query.labels)
        for number, (button, fill, length) in enumerate(self.bars):
            name, selected = self.loaded.info.class_names[number], number == result.selected
            button.classes(replace=f"bar {colour.get(number, '')} {'selected' * selected}")
            button.props["aria-pressed"] = str(selected).lower()
            button.props["aria-label"] = f"capsule {name}, length {scores[number]:.3f}"
            fill.style(replace=f"width:{100 * scores[number]:.1f}%")
            length.text = f"{scores[number]:.3f}"
        if len(self.bars) > FEW:
            self._scroll_to(self.bars[result.selected][0])

    def _scroll_to(self, button: Element) -> None:
        """Scroll the bars, and not the page, until `button` is in their middle."""
        ui.run_javascript(
            f"const bar = getHtmlElement({button.id}), box = getHtmlElement({self.box.id});"
            "box.scrollTop = bar.offsetTop - (box.clientHeight - bar.clientHeight) / 2"
        )


def verdict(loaded: ExploredRun, scores: Float[np.ndarray, "classes"], labels: list[int]) -> str:
    """Compare the answer with the labels."""
    found = sorted(inference.longest(scores, max(1, len(set(labels)))))
    answer = f"Answer: {loaded.names(found)}"
    if not labels:
        return answer
    if found == sorted(set(labels)):
        return f"{answer}, right"
    verb = "it is" if len(labels) == 1 else "they are"
    return f"{answer}, wrong: {verb} {loaded.names(labels)}"
