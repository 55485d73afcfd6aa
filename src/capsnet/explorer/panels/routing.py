"""Panel: where the votes of the primary capsules go, iteration by iteration."""

from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float, UInt8
from nicegui import ui

from capsnet.explorer import pictures
from capsnet.explorer.checkpoint import ExploredRun
from capsnet.explorer.session import Result
from capsnet.explorer.widgets import Image, box, colours, html, panel

FEWEST, ACROSS = 4, 8  # places for tiles in a row: a single tile would fill the panel


class Routing:
    """Show where the votes of the primary capsules go, iteration by iteration."""

    def __init__(self, loaded: ExploredRun) -> None:
        self.names = loaded.info.class_names
        rows, columns = loaded.network.grid
        line = (
            f"Each tile is one type of primary capsule on its {rows}×{columns} grid over the "
            "picture; each square is a coupling c<sub>ij</sub>, the share of the vote that goes to "
            "the selected capsule, or to each of two. Left, the lengths of all class capsules "
            "after the iteration. A mean near the equal share does not say that nothing was "
            "routed: some capsules give more, others less, as their range tells."
        )
        with panel("routing", "Routing by agreement", line):
            self.legend = html(classes="legend")
            count = loaded.network.class_capsules.iterations
            self.rows = [self._row(place + 1) for place in range(count)]

    def _row(self, iteration: int) -> tuple[Image, ui.html, ui.html]:
        with box("iteration"):
            with box("summary"):
                html("h3", content=f"Iteration {iteration}")
                mean = html(classes="mean")
                html(classes="mean", content="lengths ‖v‖, 0 to 1:")
                lengths = html(classes="columns")
                html(classes="axis", content=axis(self.names))
            tiles = Image(f"couplings of iteration {iteration} by type", "tiles")
        return tiles, lengths, mean

    def show(self, result: Result) -> None:
        """Show the shares of one class, or those of two against each other."""
        classes = result.classes if len(result.classes) > 1 else [result.selected]
        couplings, lengths = result.activations.couplings, result.activations.lengths
        low, high = couplings[..., classes].min(), couplings[..., classes].max()
        names = [self.names[one] for one in classes]
        self.legend.content = legend(names, couplings.shape[-1], low, high)
        for iteration, (tiles, columns, mean) in enumerate(self.rows):
            shares = couplings[iteration]
            tiles.put(draw_couplings(shares, classes, low, high))
            columns.content = pictures.columns(lengths[iteration], colours(classes), self.names)
            mean.content = "<br>".join(
                describe_shares(name, shares[..., one])
                for name, one in zip(names, classes, strict=True)
            )


def describe_shares(name: str, shares: Float[np.ndarray, "types rows columns"]) -> str:
    """Return the mean and the range of the couplings to one class, as HTML."""
    mean, low, high = shares.mean(), shares.min(), shares.max()
    return f"to {escape(name)}: mean <b>{mean:.3f}</b>, {low:.3f} to {high:.3f}"


def axis(names: Sequence[str]) -> str:
    """Label columns by class, as HTML: each if there is room, else the first and the last."""
    short = len(names) <= 12 and max(map(len, names)) <= 2
    shown = names if short else (names[0], f"… {names[-1]}")
    return "".join(f"<span>{escape(name)}</span>" for name in shown)


def draw_couplings(
    couplings: Float[np.ndarray, "types rows columns classes"],
    classes: list[int],
    low: float,
    high: float,
) -> UInt8[np.ndarray, "height width 4"]:
    """Draw one iteration's couplings as tiles; `low` and `high` are those of all iterations."""
    types, *_, count = couplings.shape
    shares = [couplings[..., one] for one in classes]
    if len(shares) > 1:
        tiles = pictures.contest(shares[0], shares[1], 1 / count, high)
    else:
        tiles = pictures.shares(shares[0], low, 1 / count, high)
    return pictures.tiled(tiles, min(max(types, FEWEST), ACROSS))


def legend(names: list[str], classes: int, low: float, high: float) -> str:
    """Return the legend of the colours, as HTML."""
    equal = f"{1 / classes:.3g}"
    if len(names) > 1:
        red, green = map(escape, names)
        return (
            f'<span><i class="swatch red"></i> to {red}, full: {high:.3f}</span> '
            f'<span><i class="swatch green"></i> to {green}, full: {high:.3f}</span> '
            f"<span>black: {equal} or less to either, the equal share "
            "that routing starts from</span>"
        )
    return (
        f'<span>{low:.3f} <i class="scale"></i> {high:.3f}</span> '
        f"<span>grey: {equal}, the equal share that routing starts from</span>"
    )
