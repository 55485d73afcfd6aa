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
    pictures: Sequence[Sequence[NDArray[np.number]]],
    captions: Sequence[str],
    notes: Sequence[str] | None = None,
) -> None:
    """48 cells as a PNG, six rows of eight: pictures side by side, a caption above, `notes` below.

    Pictures are arrays [height, width] with any scale of grey, 0 for paper.
    """
    side = max(len(cell) for cell in pictures) * INCH
    height = INCH * (1.3 if notes is None else 1.8)
    figure = Figure((COLUMNS * side, ROWS * height), layout="compressed")
    figure.suptitle(title)
    for place, axes in enumerate(figure.subplots(ROWS, COLUMNS).flat):
        _draw(axes, pictures[place])
        axes.set_title(captions[place], fontsize=9, pad=2)
        if notes is not None:
            axes.set_xlabel(notes[place], fontsize=6, labelpad=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Title": title})


def _draw(axes: Axes, pictures: Sequence[NDArray[np.number]]) -> None:
    """The pictures in one row, a line between them."""
    axes.imshow(np.hstack(pictures), cmap="gray_r", vmin=0, interpolation="nearest")
    for count in range(1, len(pictures)):
        axes.axvline(count * pictures[0].shape[1] - 0.5, color="tab:red", linewidth=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
