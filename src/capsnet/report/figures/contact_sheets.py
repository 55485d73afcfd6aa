"""Contact sheets: a page of examples of every view of some images, as `report data` draws them.

The one part of the report that needs torch: it shows the very images that a network is shown.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from capsnet import registry
from capsnet.config import Data
from capsnet.data import storage
from capsnet.data.dataset import DataSet
from capsnet.data.examples import Split
from capsnet.data.info import DatasetInfo
from capsnet.data.loading import load_view
from capsnet.data.specification import LabelledImages, View
from capsnet.errors import UserError
from capsnet.evaluation.figure_data import to_uint8

ROWS, COLUMNS = 6, 8
CELLS = ROWS * COLUMNS
INCH = 0.95  # the side of one picture


def draw(
    root: Path, source: str, folder: Path, views: Sequence[str] | None = None
) -> Iterator[Path]:
    """Draw a PNG for each view of `source` in `folder`, and give its path.

    Of the `views`, SOURCE-VIEW.png; without them VIEW.png of every one. Views whose tables are not
    prepared, or that do not fit the images, are left out, and named. Raises UserError when the
    images themselves are not prepared.
    """
    images = storage.read_images(root / source)
    for name in views or registry.names("capsnet.views"):
        path = folder / f"{f'{source}-{name}' if views else name}.png".replace("_", "-")
        try:
            _require_fit(load_view(name), images.info, root, source)
            yield _view(path, images, Data(name=name, source=source, root=str(root)))
        except UserError as error:
            print(f"Left out: {name}. {error}")


def _require_fit(view: View, info: DatasetInfo, root: Path, source: str) -> None:
    """Raise UserError when a view lacks its tables, or would crop small images or handwriting."""
    missing = [one for one in view.prepared(source) if not (root / one).is_dir()]
    if missing:
        raise UserError(f"{' and '.join(missing)} in {root} is not prepared")
    view.info(info)
    if view.crop is not None and info.ink:
        raise UserError(f"{view.name} crops photographs, and {source} is handwriting")


def _view(path: Path, images: LabelledImages, data: Data) -> Path:
    """Draw the training set as step 0 sees it, or the test set that only this view has."""
    name, info = data.name, images.info
    found = load_view(name).load(data, images, 0, 0)
    other = [one for one in found.tests if one != "test"]
    if not other:
        _examples(path, f"{name} ({images.source})", found.train, 0, info)
    elif name == "affnist":
        _affine(path, load_view(name).folder(data), found, info)
    else:
        test = found.tests[other[0]]
        _examples(path, f"{other[0]} ({test.source})", test.split, None, info)
    return path


def _examples(path: Path, title: str, split: Split, step: int | None, info: DatasetInfo) -> None:
    """Draw the first 48 examples below their labels; several objects also each alone."""
    shown = split.examples(torch.arange(min(CELLS, len(split))), step)
    pictures = [[one] for one in to_uint8(shown.pictures).numpy()]
    if shown.labels.shape[1] > 1:
        alone = to_uint8(shown.parts).numpy()
        pictures = [[*one, *parts] for one, parts in zip(pictures, alone, strict=True)]
    labels: list[list[int]] = shown.labels.tolist()
    captions = [" + ".join(info.class_names[k] for k in some) for some in labels]
    sheet(path, title, pictures, captions, ink=info.ink)


def _affine(path: Path, folder: Path, data: DataSet, info: DatasetInfo) -> None:
    """Draw six digits, one a row, each in its first eight copies, above their maps."""
    test, (_, arrays) = data.tests["affnist"], storage.read(folder)
    copies = torch.arange(ROWS)[:, None] + test.num_distinct * torch.arange(COLUMNS)
    shown = test.split.examples(copies.flatten(), None)
    title = f"affNIST, generated ({data.tests['test'].source}): rotation, shear; expansions; shifts"
    labels: list[int] = shown.labels[:, 0].tolist()
    captions = [info.class_names[label] for label in labels]
    maps = [_map(row) for row in arrays["test_transforms"][copies.flatten().numpy()]]
    pictures = [[one] for one in to_uint8(shown.pictures).numpy()]
    sheet(path, title, pictures, captions, maps, ink=info.ink)


def _map(transform: NDArray[np.float32]) -> str:
    """Write a map in the order of `affnist.COLUMNS`: degrees, shear, expansions, shifts."""
    angle, shear, down, right, shift_down, shift_right = transform
    return (
        f"{angle:+.0f}°, {shear:+.2f}\n×{down:.2f}, ×{right:.2f}\n"
        f"{shift_down:+.1f}, {shift_right:+.1f}"
    )


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
    widths = (sum(one.shape[1] for one in cell) / cell[0].shape[0] for cell in pictures)
    height = INCH * (1.3 if below is None else 1.8)
    figure = Figure((COLUMNS * max(widths) * INCH, ROWS * height), layout="compressed")
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


def _draw(axes: Axes, pictures: Sequence[NDArray[np.uint8]], colours: str) -> None:
    """Draw the pictures in one row, a line between them."""
    axes.imshow(np.hstack(pictures), cmap=colours, vmin=0, vmax=255, interpolation="nearest")
    for count in range(1, len(pictures)):
        axes.axvline(count * pictures[0].shape[1] - 0.5, color="tab:red", linewidth=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
