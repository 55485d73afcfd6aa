"""[P] figures 3, 4 and 5: what the decoder draws. Handwriting is dark on light.

The arrays are described at `capsnet.evaluation.figure_data`, which chose the examples by their
order in the test set. Images are uint8 [n, h, w], or [n, h, w, 3] in colour.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from capsnet.records.runs import Run
from capsnet.report.figures.style import GREY, framed, save_figure
from capsnet.report.runs import caption, caveats

TRUE, PREDICTED, ABSENT = range(3)  # the second axis of targets and reconstructions
NUM_RIGHT, NUM_ABSENT, NUM_WRONG = 4, 2, 2  # examples of each kind in a figure
OFFSETS = ("−0.25", "0", "+0.25")
RED, GREEN = (255, 0, 0), (0, 255, 0)
LETTERS = 8  # of a class name above a picture
SIDE = 1.15  # of a picture with the space around it, in inches
GAP, HEAD = 0.25, 0.22  # between groups of columns, and above them: shares of a picture's side


class Column(NamedTuple):
    """One column of pictures: uint8, grey [h, w] or colours [h, w, 3]."""

    caption: str
    pictures: tuple[NDArray[np.uint8], ...]


def figure_3(stem: Path, run: Run) -> None:
    """Draw inputs of one label and their reconstructions: (label, prediction, reconstructed)."""
    right, wrong = found(run.arrays["targets"])
    groups = {
        "right": [_single(run, one, PREDICTED) for one in right[:NUM_RIGHT]],
        "wrong, reconstructed from the label's capsule and from the predicted one": [
            _single(run, one, which) for one in wrong[:NUM_WRONG] for which in (TRUE, PREDICTED)
        ],
    }
    remark = "(l, p, r): label, prediction, reconstructed class." + _absent(right, wrong)
    _columns(stem, "Figure 3: reconstructions", run, remark, groups, ("input", "output"))


def figure_5(stem: Path, run: Run) -> None:
    """Draw two classes at once and each alone, in red and green: R reconstructed, L labels."""
    right, wrong = found(run.arrays["targets"])
    groups = {
        "right": [_pair(run, one, PREDICTED) for one in right[:NUM_RIGHT]],
        "* is not in the picture": [_pair(run, one, ABSENT) for one in right[:NUM_ABSENT]],
        "wrong: R the prediction, then the labels": [
            _pair(run, one, which) for one in wrong[:NUM_WRONG] for which in (PREDICTED, TRUE)
        ],
    }
    remark = (
        "R: reconstructed classes, the first in red and the second in green, yellow where both "
        "are; below them each alone. L: labels." + _absent(right, wrong)
    )
    rows = ("input", "output", "alone")
    _columns(stem, "Figure 5: two digits told apart", run, remark, groups, rows)


def found(targets: NDArray[np.integer]) -> tuple[list[int], list[int]]:
    """Split examples [n, 3, labels] into those answered rightly and the others."""
    same = np.sort(targets[:, TRUE]) == np.sort(targets[:, PREDICTED])
    rights = same.all(axis=1)
    return rights.nonzero()[0].tolist(), (~rights).nonzero()[0].tolist()


def _absent(right: Sequence[int], wrong: Sequence[int]) -> str:
    """Say what the test set does not have."""
    said = "" if right else " No answer on the test set is right."
    return said + ("" if wrong else " No answer on the test set is wrong.")


def _single(run: Run, one: int, which: int) -> Column:
    targets, names = run.arrays["targets"][one, :, 0], short_names(run)
    above = ", ".join(names[targets[place]] for place in (TRUE, PREDICTED, which))
    shown, ink = run.arrays["images"][one], run.record.dataset.ink
    drawn = run.arrays["reconstructions"][one, which, 0]
    return Column(f"({above})", (visible(shown, ink), visible(drawn, ink)))


def _pair(run: Run, one: int, which: int) -> Column:
    """Put the labels first where the prediction is right, so that a class keeps its colour."""
    arrays, names = run.arrays, short_names(run)
    labels, drawn = arrays["targets"][one, TRUE], arrays["targets"][one, which]
    alone = arrays["reconstructions"][one, which]
    if which == PREDICTED and set(labels) == set(drawn):
        drawn, alone = labels, arrays["reconstructions"][one, TRUE]
    star = "*" if which == ABSENT else ""
    reconstructed = f"R:({names[drawn[0]]}, {names[drawn[1]]}{star})"
    above = f"{reconstructed}\nL:({names[labels[0]]}, {names[labels[1]]})"
    return Column(above, (arrays["images"][one], overlay(*alone), beside(*alone)))


def short_names(run: Run) -> list[str]:
    """Return the class names, cut where they are too long to stand above a picture."""
    return [
        name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
        for name in run.record.dataset.class_names
    ]


def overlay(red: NDArray[np.uint8], green: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add two pictures, [h, w] or [h, w, 3], as one [h, w, 3] that has one in red, one in green.

    Red is darker than green and green than yellow, to any eye.
    """
    return np.stack([_grey(red), _grey(green), np.zeros(red.shape[:2], np.uint8)], axis=-1)


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture if picture.ndim == 2 else picture.mean(axis=-1).round().astype(np.uint8)


def beside(red: NDArray[np.uint8], green: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put two pictures side by side as one [h, 2 w, 3], each in a frame of its colour."""
    return np.hstack([_framed(coloured(red), RED), _framed(coloured(green), GREEN)])


def _framed(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    pixels = np.empty(picture.shape, np.uint8)
    pixels[:] = colour
    pixels[1:-1, 1:-1] = picture[1:-1, 1:-1]
    return pixels


def visible(picture: NDArray[np.uint8], ink: bool) -> NDArray[np.uint8]:
    """Turn a picture into [h, w, 3], handwriting (`ink`) dark on light."""
    return coloured(255 - picture if ink else picture)


def coloured(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn [h, w] into [h, w, 3]: a colour map would round some greys by one. Colours stay."""
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=-1)


def _columns(
    stem: Path,
    title: str,
    run: Run,
    remark: str,
    groups: dict[str, list[Column]],
    rows: Sequence[str],
) -> None:
    """Draw groups of columns side by side, a heading over each, the rows named at the left."""
    groups = {heading: columns for heading, columns in groups.items() if columns}
    count, first = sum(map(len, groups.values())), next(iter(groups.values()))[0]
    heights = [picture.shape[0] / picture.shape[1] for picture in first.pictures]  # of the rows
    size = (1.0 + SIDE * (count + GAP * len(groups)), 1.4 + SIDE * sum(heights))
    with save_figure(stem, size, title, caption([run], remark), caveats([run])) as figure:
        _fill(figure, groups, [HEAD, *heights], rows)


def _fill(
    figure: Figure, groups: dict[str, list[Column]], heights: list[float], rows: Sequence[str]
) -> None:
    """Fill one grid, so that all pictures are of one size; empty columns part the groups."""
    widths = [width for columns in groups.values() for width in [GAP, *[1.0] * len(columns)]][1:]
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


def _head(axes: Axes, heading: str) -> None:
    """Above a line that spans the group. Left out of the layout, as it may be wider than that."""
    axes.set_axis_off()
    axes.plot([0, 1], [0, 0], color=GREY, linewidth=0.8, transform=axes.transAxes, clip_on=False)
    text = axes.text(0, 0.15, heading, transform=axes.transAxes, color=GREY, fontsize=8)
    text.set_in_layout(False)


def _show(axes: Axes, picture: NDArray[np.uint8], above: str, left: str) -> None:
    axes.imshow(coloured(picture))
    axes.set_title(above, fontsize=9, pad=3)
    axes.set_ylabel(left, rotation=0, ha="right", va="center")
    framed(axes)


def figure_4(stem: Path, run: Run) -> None:
    """Draw every dimension of a class's capsule moved alone, a block for each class."""
    blocks = run.arrays["perturbed"]
    remark = (
        f"Rows: the {blocks.shape[1]} dimensions of the class's capsule, each moved alone from "
        "−0.25 to 0.25 in steps of 0.05. The first test example of each class."
    )
    columns = min(5, len(blocks))
    rows = -(-len(blocks) // columns)
    title = "Figure 4: what the dimensions of a capsule do"
    size = (max(6, 2.4 * columns), 0.9 + 3.4 * rows)
    with save_figure(stem, size, title, caption([run], remark), caveats([run])) as figure:
        cells = figure.subplots(rows, columns, squeeze=False).flat
        for pictures, name, axes in zip(blocks, short_names(run), cells, strict=False):
            _block(axes, pictures, name, run.record.dataset.ink)
        for axes in cells:
            axes.set_visible(False)


def _block(axes: Axes, pictures: NDArray[np.uint8], name: str, ink: bool) -> None:
    """Draw [dim, offsets, h, w] as one picture, ticks in the middle of its rows and columns."""
    dim, offsets, height, width = pictures.shape[:4]
    axes.imshow(visible(assembled(pictures), ink))
    framed(axes)
    axes.set_title(name, fontweight="bold", pad=3)
    middles = (np.array([0, offsets // 2, offsets - 1]) + 0.5) * width
    axes.set_xticks(middles, OFFSETS, fontsize=7)
    axes.set_yticks((np.arange(dim) + 0.5) * height, map(str, range(1, dim + 1)), fontsize=6)
    axes.tick_params(length=0, pad=2)


def assembled(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tile [rows, columns, h, w] as [rows h, columns w]; a last axis of colours stays."""
    rows, columns, height, width, *colours = pictures.shape
    return pictures.swapaxes(1, 2).reshape(rows * height, columns * width, *colours)
