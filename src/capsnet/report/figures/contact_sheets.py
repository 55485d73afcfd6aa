"""Contact sheets of every view of some images, as `python -m capsnet.report data` draws them.

The one part of the report that needs torch: it shows the very images that a network is shown.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from capsnet import registry
from capsnet.config import Data
from capsnet.data import storage
from capsnet.data.dataset import DataSet
from capsnet.data.examples import Split
from capsnet.data.loading import load_view
from capsnet.data.specification import LabelledImages
from capsnet.errors import UserError
from capsnet.evaluation.figure_data import to_uint8
from capsnet.report.figures.contact import COLUMNS, ROWS, sheet

CELLS = ROWS * COLUMNS


def draw(
    root: Path, source: str, folder: Path, views: Sequence[str] | None = None
) -> Iterator[Path]:
    """Draw a PNG for each view of `source` in `folder`, and give its path.

    Of the `views`, SOURCE-VIEW.png; without them VIEW.png of all but those that crop. Views whose
    tables are not prepared, or that are made of other images, are left out, and named. Raises
    UserError when the images themselves are not prepared.
    """
    images, every = storage.read_images(root / source), registry.names("capsnet.views")
    for name in views or [one for one in every if load_view(one).margin >= 0]:
        missing = [one for one in load_view(name).prepared(source) if not (root / one).is_dir()]
        if missing:
            print(f"Left out: {name}, as {' and '.join(missing)} in {root} is not prepared")
            continue
        path = folder / f"{f'{source}-{name}' if views else name}.png".replace("_", "-")
        try:
            yield _view(path, images, Data(name=name, source=source, root=str(root)))
        except UserError as error:
            print(f"Left out: {name}. {error}")


def _view(path: Path, images: LabelledImages, data: Data) -> Path:
    """Draw the training set as step 0 sees it, or the test set that only this view has."""
    name, names = data.name, images.info.class_names
    found = load_view(name).load(data, images, 0, 0)
    other = [one for one in found.tests if one != "test"]
    if not other:
        _examples(path, f"{name} ({images.source})", found.train, 0, names)
    elif name == "affnist":
        _affine(path, load_view(name).folder(data), found, names)
    else:
        test = found.tests[other[0]]
        _examples(path, f"{other[0]} ({test.source})", test.split, None, names)
    return path


def _examples(
    path: Path, title: str, split: Split, step: int | None, class_names: Sequence[str]
) -> None:
    """Draw the first 48 examples below their labels; several objects also each alone."""
    shown = split.examples(torch.arange(min(CELLS, len(split))), step)
    pictures = [[one] for one in to_uint8(shown.images).numpy()]
    if shown.labels.shape[1] > 1:
        alone = to_uint8(shown.parts).numpy()
        pictures = [[*one, *parts] for one, parts in zip(pictures, alone, strict=True)]
    labels: list[list[int]] = shown.labels.tolist()
    sheet(path, title, pictures, [" + ".join(class_names[k] for k in some) for some in labels])


def _affine(path: Path, folder: Path, data: DataSet, class_names: Sequence[str]) -> None:
    """Draw six digits, one a row, each in its first eight copies, above their maps."""
    test, (_, arrays) = data.tests["affnist"], storage.read(folder)
    copies = torch.arange(ROWS)[:, None] + test.num_distinct * torch.arange(COLUMNS)
    shown = test.split.examples(copies.flatten(), None)
    title = f"affNIST, generated ({data.tests['test'].source}): rotation, shear; expansions; shifts"
    labels: list[int] = shown.labels[:, 0].tolist()
    captions = [class_names[label] for label in labels]
    maps = [_map(row) for row in arrays["test_transforms"][copies.flatten().numpy()]]
    sheet(path, title, [[one] for one in to_uint8(shown.images).numpy()], captions, maps)


def _map(transform: NDArray[np.float32]) -> str:
    """Write a map in the order of `affnist.COLUMNS`: degrees, shear, expansions, shifts."""
    angle, shear, down, right, shift_down, shift_right = transform
    return (
        f"{angle:+.0f}°, {shear:+.2f}\n×{down:.2f}, ×{right:.2f}\n"
        f"{shift_down:+.1f}, {shift_right:+.1f}"
    )
