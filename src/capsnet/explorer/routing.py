"""Panel: where the votes of the primary capsules go, iteration by iteration."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8
from nicegui import ui
from nicegui.element import Element

from capsnet.explorer import pictures
from capsnet.explorer.answers import Answered
from capsnet.explorer.parts import box, colours, html, image, panel, put

if TYPE_CHECKING:
    from capsnet.explorer.interface import Explorer

ACROSS = 8  # tiles in a row


class Routing:
    """Where the votes of the primary capsules go, iteration by iteration."""

    def __init__(self, explorer: "Explorer") -> None:
        side = (explorer.subject.side - 15) // 2
        line = (
            f"A tile is a type of primary capsule on its {side}×{side} grid over the picture, a "
            "square a coupling c<sub>ij</sub>: which share of its vote goes to the capsule looked "
            "at, or to either of two. Left, the lengths of all ten after that iteration."
        )
        with panel("routing", "Routing by agreement", line):
            self.legend = html(classes="legend")
            count = explorer.subject.network.class_capsules.iterations
            self.rows = [self._row(place + 1) for place in range(count)]

    def _row(self, iteration: int) -> tuple[Element, ui.html, ui.label]:
        with box("iteration"):
            with box("told"):
                html("h3", content=f"Iteration {iteration}")
                mean = ui.label().classes("mean")
                lengths = html(classes="columns")
            tiles = image(f"couplings of iteration {iteration} by type", "tiles")
        return tiles, lengths, mean

    def show(self, answered: Answered) -> None:
        """Shares of one digit, or those of two digits against each other."""
        digits = answered.digits if len(answered.digits) > 1 else [answered.digit]
        couplings = answered.seen.couplings
        low, high = couplings[..., digits].min(), couplings[..., digits].max()
        self.legend.content = legend(digits, couplings.shape[-1], low, high)
        for iteration, (tiles, lengths, mean) in enumerate(self.rows):
            shares = couplings[iteration]
            put(tiles, drawn(shares, digits, low, high))
            lengths.content = pictures.columns(answered.seen.lengths[iteration], colours(digits))
            told = (f"to {digit}: {shares[..., digit].mean():.3f}" for digit in digits)
            mean.text = "mean " + ", ".join(told)


def drawn(
    couplings: Float[np.ndarray, "types rows columns classes"],
    digits: list[int],
    low: float,
    high: float,
) -> UInt8[np.ndarray, "height width 4"]:
    """One iteration's couplings as tiles; `low` and `high` are those of all iterations."""
    types, *_, classes = couplings.shape
    shares = [couplings[..., digit] for digit in digits]
    if len(shares) > 1:
        tiles = pictures.contest(shares[0], shares[1], 1 / classes, high)
    else:
        tiles = pictures.shares(shares[0], low, 1 / classes, high)
    return pictures.tiled(tiles, min(types, ACROSS))


def legend(digits: list[int], classes: int, low: float, high: float) -> str:
    """Return the legend of the colours, as HTML."""
    if len(digits) > 1:
        red, green = digits
        return (
            f'<span><i class="swatch red"></i> to {red}, full: {high:.3f}</span> '
            f'<span><i class="swatch green"></i> to {green}, full: {high:.3f}</span> '
            f"<span>black: {1 / classes:g} or less to either, the equal share "
            "that routing starts from</span>"
        )
    return (
        f'<span>{low:.3f} <i class="scale"></i> {high:.3f}</span> '
        f"<span>grey: {1 / classes:g}, the equal share that routing starts from</span>"
    )
