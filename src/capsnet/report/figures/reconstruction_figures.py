"""[P] figures 3, 4 and 5: what the decoder draws. Ink is dark on light, on black where colours add.

The arrays are described at `capsnet.evaluation.figure_data`, which chose the examples by their
order in the test set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from capsnet.report.analysis.runs import RunResult, caption, caveats
from capsnet.report.figures.style import GREY, framed, save_figure

TRUE, PREDICTED, FORCED = range(3)  # the second axis of targets and reconstructions
RIGHTS, FORCEDS, WRONGS = 4, 2, 2  # examples of each kind in a figure
OFFSETS = ("−0.25", "0", "+0.25")
RED, GREEN = (255, 0, 0), (0, 255, 0)
SIDE = 1.15  # of a picture with the space around it, in inches
GAP, HEAD = 0.25, 0.22  # between groups of columns, and above them: shares of a picture's side


class Column(NamedTuple):
    """One column of pictures: uint8, grey [h, w] or colours [h, w, 3]."""

    caption: str
    pictures: tuple[NDArray[np.uint8], ...]


def figure_3(stem: Path, run: RunResult) -> None:
    """Input and reconstruction of single digits: (label, prediction, reconstructed)."""
    right, wrong = found(run.arrays["targets"])
    groups = {
        "right": [_single(run.arrays, one, PREDICTED) for one in right[:RIGHTS]],
        "wrong, reconstructed from the label's capsule and from the predicted one": [
            _single(run.arrays, one, which) for one in wrong[:WRONGS] for which in (TRUE, PREDICTED)
        ],
    }
    remark = "(l, p, r): label, prediction, reconstructed digit." + _absent(right, wrong)
    _columns(stem, "Figure 3: reconstructions", run, remark, groups, ("input", "output"))


def figure_5(stem: Path, run: RunResult) -> None:
    """Two digits at once and each digit alone, in red and green: R reconstructed, L labels."""
    right, wrong = found(run.arrays["targets"])
    groups = {
        "right": [_pair(run.arrays, one, PREDICTED) for one in right[:RIGHTS]],
        "* is not in the picture": [_pair(run.arrays, one, FORCED) for one in right[:FORCEDS]],
        "wrong: R the prediction, then the labels": [
            _pair(run.arrays, one, which) for one in wrong[:WRONGS] for which in (PREDICTED, TRUE)
        ],
    }
    remark = (
        "R: reconstructed digits, the first in red and the second in green, yellow where both are; "
        "below them each alone. L: labels." + _absent(right, wrong)
    )
    rows = ("input", "output", "alone")
    _columns(stem, "Figure 5: two digits told apart", run, remark, groups, rows)


def found(targets: NDArray[np.integer]) -> tuple[list[int], list[int]]:
    """The examples [n, 3, digits] that were answered rightly, and the others; in any order."""
    same = np.sort(targets[:, TRUE]) == np.sort(targets[:, PREDICTED])
    rights = same.all(axis=1)
    return rights.nonzero()[0].tolist(), (~rights).nonzero()[0].tolist()


def _absent(right: Sequence[int], wrong: Sequence[int]) -> str:
    """A sentence for what the test set does not have."""
    said = "" if right else " No answer on the test set is right."
    return said + ("" if wrong else " No answer on the test set is wrong.")


def _single(arrays: dict[str, NDArray[Any]], one: int, which: int) -> Column:
    label, predicted = arrays["targets"][one, : PREDICTED + 1, 0]
    drawn = arrays["targets"][one, which, 0]
    output = arrays["reconstructions"][one, which, 0]
    return Column(f"({label}, {predicted}, {drawn})", (255 - arrays["images"][one], 255 - output))


def _pair(arrays: dict[str, NDArray[Any]], one: int, which: int) -> Column:
    """The labels first where the prediction is right: so a digit keeps its colour."""
    labels, drawn = arrays["targets"][one, TRUE], arrays["targets"][one, which]
    alone = arrays["reconstructions"][one, which]
    if which == PREDICTED and set(labels) == set(drawn):
        drawn, alone = labels, arrays["reconstructions"][one, TRUE]
    star = "*" if which == FORCED else ""
    told = f"R:({drawn[0]}, {drawn[1]}{star})\nL:({labels[0]}, {labels[1]})"
    return Column(told, (arrays["images"][one], overlay(*alone), beside(*alone)))


def overlay(red: NDArray[np.uint8], green: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[h, w] twice -> [h, w, 3]. Red is darker than green and green than yellow, to any eye."""
    return np.stack([red, green, np.zeros_like(red)], axis=-1)


def beside(red: NDArray[np.uint8], green: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[h, w] twice -> [h, 2 w, 3]: both in grey, each in a frame of its colour."""
    return np.hstack([_framed(red, RED), _framed(green, GREEN)])


def _framed(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    pixels = np.empty((*picture.shape, 3), np.uint8)
    pixels[:] = colour
    pixels[1:-1, 1:-1] = picture[1:-1, 1:-1, None]
    return pixels


def coloured(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[h, w] -> [h, w, 3]: a colour map would round some greys by one."""
    return np.repeat(picture[..., None], 3, axis=-1)


def _columns(
    stem: Path,
    title: str,
    run: RunResult,
    remark: str,
    groups: dict[str, list[Column]],
    rows: Sequence[str],
) -> None:
    """Groups of columns side by side, a heading over each, the rows named at the left."""
    groups = {heading: columns for heading, columns in groups.items() if columns}
    count = sum(map(len, groups.values()))
    tall = sum(_heights(groups))
    size = (1.0 + SIDE * (count + GAP * len(groups)), 1.4 + SIDE * tall)
    with save_figure(stem, size, title, caption([run], remark), caveats([run])) as figure:
        _fill(figure, groups, rows)


def _fill(figure: Figure, groups: dict[str, list[Column]], rows: Sequence[str]) -> None:
    """One grid for all, so that all pictures are of one size; empty columns part the groups."""
    widths = [width for columns in groups.values() for width in [GAP, *[1.0] * len(columns)]][1:]
    heights = [HEAD, *_heights(groups)]
    grid = figure.add_gridspec(
        len(heights), len(widths), width_ratios=widths, height_ratios=heights
    )
    start = 0
    for heading, columns in groups.items():
        _head(figure.add_subplot(grid[0, start : start + len(columns)]), heading)
        for place, column in enumerate(columns, start):
            for row, picture in enumerate(column.pictures):
                axes = figure.add_subplot(grid[row + 1, place])
                _show(axes, picture, column.caption * (row == 0), rows[row] * (place == 0))
        start += len(columns) + 1


def _heights(groups: dict[str, list[Column]]) -> list[float]:
    """Return the height of each row, in widths of a column."""
    first = next(iter(groups.values()))[0]
    return [picture.shape[0] / picture.shape[1] for picture in first.pictures]


def _head(axes: Axes, heading: str) -> None:
    """Above a line that spans the group. Left out of the layout, as it may be wider than that."""
    axes.set_axis_off()
    axes.plot([0, 1], [0, 0], color=GREY, linewidth=0.8, transform=axes.transAxes, clip_on=False)
    text = axes.text(0, 0.15, heading, transform=axes.transAxes, color=GREY, fontsize=8)
    text.set_in_layout(False)


def _show(axes: Axes, picture: NDArray[np.uint8], above: str, left: str) -> None:
    axes.imshow(picture if picture.ndim == 3 else coloured(picture))
    axes.set_title(above, fontsize=9, pad=3)
    axes.set_ylabel(left, rotation=0, ha="right", va="center")
    framed(axes)


def figure_4(stem: Path, run: RunResult) -> None:
    """Every dimension of a digit's capsule moved alone, for each class."""
    blocks = run.arrays["perturbed"]
    remark = (
        "Rows: the 16 dimensions of the digit's capsule, each moved alone from −0.25 to 0.25 in "
        "steps of 0.05. The first test example of each class."
    )
    rows = -(-len(blocks) // 5)
    title = "Figure 4: what the dimensions of a capsule do"
    size = (12, 0.9 + 3.4 * rows)
    with save_figure(stem, size, title, caption([run], remark), caveats([run])) as figure:
        cells = figure.subplots(rows, 5, squeeze=False).flat
        for place, axes in enumerate(cells):
            if place < len(blocks):
                _block(axes, blocks[place], str(place))
            else:
                axes.set_visible(False)


def _block(axes: Axes, pictures: NDArray[np.uint8], digit: str) -> None:
    """[dim, offsets, h, w] as one picture, ticks in the middle of its rows and columns."""
    dim, offsets, height, width = pictures.shape
    axes.imshow(coloured(assembled(255 - pictures)))
    framed(axes)
    axes.set_title(digit, fontweight="bold", pad=3)
    middles = (np.array([0, offsets // 2, offsets - 1]) + 0.5) * width
    axes.set_xticks(middles, OFFSETS, fontsize=7)
    axes.set_yticks((np.arange(dim) + 0.5) * height, map(str, range(1, dim + 1)), fontsize=6)
    axes.tick_params(length=0, pad=2)


def assembled(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[rows, columns, h, w] -> [rows h, columns w]."""
    rows, columns, height, width = pictures.shape
    return pictures.swapaxes(1, 2).reshape(rows * height, columns * width)
