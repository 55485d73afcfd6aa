"""Contact sheets: a page of examples of a data set, to look at before believing a number."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

ROWS, COLUMNS = 6, 8
INCH = 0.95  # the side of one picture


def sheet(
    path: Path,
    title: str,
    pictures: Sequence[Sequence[NDArray[np.uint8]]],
    above: Sequence[str],
    below: Sequence[str] | None = None,
    ink: bool = False,
) -> None:
    """Draw up to 48 cells as a PNG, six rows of eight: pictures side by side, text above and below.

    Pictures are uint8, grey [height, width] or RGB [height, width, 3]; `ink`: 0 is white paper.
    """
    side = max(_breadth(cell) for cell in pictures) * INCH
    height = INCH * (1.3 if below is None else 1.8)
    figure = Figure((COLUMNS * side, ROWS * height), layout="compressed")
    figure.suptitle(title)
    for place, axes in enumerate(figure.subplots(ROWS, COLUMNS).flat):
        if place >= len(pictures):
            axes.set_axis_off()
            continue
        _draw(axes, pictures[place], "gray_r" if ink else "gray")
        axes.set_title(above[place], fontsize=9, pad=2)
        if below is not None:
            axes.set_xlabel(below[place], fontsize=6, labelpad=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Title": title})


def _breadth(pictures: Sequence[NDArray[np.uint8]]) -> float:
    """Return how much broader than high the pictures are in one row."""
    return sum(one.shape[1] for one in pictures) / pictures[0].shape[0]


def _draw(axes: Axes, pictures: Sequence[NDArray[np.uint8]], colours: str) -> None:
    """Draw the pictures in one row, a line between them."""
    axes.imshow(np.hstack(pictures), cmap=colours, vmin=0, vmax=255, interpolation="nearest")
    for count in range(1, len(pictures)):
        axes.axvline(count * pictures[0].shape[1] - 0.5, color="tab:red", linewidth=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
