"""Contact sheets: a page of examples of each data set, to look at before believing a number.

Images come as arrays, [n, height, width] with any scale of grey, 0 for paper.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

ROWS, COLUMNS = 6, 8
INCH = 0.95  # the side of one picture


def digits_sheet(
    path: Path, title: str, images: NDArray[np.number], labels: NDArray[np.integer]
) -> None:
    """48 single digits [48, height, width] with their labels [48] above them, as a PNG."""
    captions = [str(label) for label in labels]
    _sheet(path, title, [[image] for image in images], captions)


def multimnist_sheet(
    path: Path,
    title: str,
    images: NDArray[np.number],
    parts: NDArray[np.number],
    labels: NDArray[np.integer],
) -> None:
    """48 pairs [48, height, width], each beside its two digits alone [48, 2, height, width]."""
    pictures = [[image, *alone] for image, alone in zip(images, parts, strict=True)]
    captions = [f"{base} + {partner}" for base, partner in labels]
    _sheet(path, title, pictures, captions)


def affnist_sheet(
    path: Path,
    title: str,
    images: NDArray[np.number],
    labels: NDArray[np.integer],
    transforms: NDArray[np.floating] | None = None,
) -> None:
    """Six digits, one a row, each under eight transforms: images [6, 8, height, width], labels [6].

    `transforms` [6, 8, 6], where they are known, are told below each picture: the rotation in
    degrees, the shear, the expansions and the shifts, both down and right.
    """
    flat = images.reshape(-1, *images.shape[2:])
    captions = [str(label) for label in np.repeat(labels, images.shape[1])]
    told = None if transforms is None else [_told(row) for row in transforms.reshape(len(flat), -1)]
    _sheet(path, title, [[image] for image in flat], captions, told)


def _told(transform: NDArray[np.floating]) -> str:
    angle, shear, down, right, shift_down, shift_right = transform
    return (
        f"{angle:+.0f}°, {shear:+.2f}\n×{down:.2f}, ×{right:.2f}\n"
        f"{shift_down:+.1f}, {shift_right:+.1f}"
    )


def _sheet(
    path: Path,
    title: str,
    pictures: Sequence[Sequence[NDArray[np.number]]],
    captions: Sequence[str],
    told: Sequence[str] | None = None,
) -> None:
    """Six rows of eight cells; the pictures of one cell stand side by side, its caption above."""
    side = max(len(cell) for cell in pictures) * INCH
    height = INCH * (1.3 if told is None else 1.8)
    figure = Figure((COLUMNS * side, ROWS * height), layout="compressed")
    figure.suptitle(title)
    for place, axes in enumerate(figure.subplots(ROWS, COLUMNS).flat):
        _draw(axes, pictures[place])
        axes.set_title(captions[place], fontsize=9, pad=2)
        if told is not None:
            axes.set_xlabel(told[place], fontsize=6, labelpad=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Title": title})


def _draw(axes: Axes, pictures: Sequence[NDArray[np.number]]) -> None:
    """The pictures in one row, a line between them."""
    axes.imshow(np.hstack(pictures), cmap="gray_r", vmin=0, interpolation="nearest")
    for count in range(1, len(pictures)):
        axes.axvline(count * pictures[0].shape[1] - 0.5, color="tab:red", linewidth=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
