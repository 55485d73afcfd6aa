"""Contact sheets of every set made of some digits, as `python -m capsnet.report data` draws.

The one part of the report that needs torch: it shows the very pictures that a network is shown.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from capsnet.data import affnist, affnist_official, expanded, multimnist, storage
from capsnet.data.examples import Examples, Split
from capsnet.data.shifted import EnumeratedShifts, ShiftedImages
from capsnet.data.storage import LabelledImages
from capsnet.report.figures.contact import COLUMNS, ROWS, sheet

CELLS = ROWS * COLUMNS


def draw(root: Path, source: str, folder: Path) -> Iterator[Path]:
    """One PNG a set in `folder`, named as it is drawn.

    Raises UserError when a set is not prepared; the official affNIST is left out where it is not.
    """
    digits = storage.read_images(root / source)
    for name, split in singles(root, source, digits).items():
        yield _digits(folder / f"{name}.png", f"{name} ({digits.source})", split)
    pairs = multimnist.read(root / f"multimnist-{source}", digits)["test"]
    yield _pairs(folder / "multimnist.png", f"MultiMNIST, test ({digits.source})", pairs)
    yield _affine(folder / "affnist.png", root / f"affnist-{source}", digits)
    if (root / "affnist-official").is_dir():
        official = affnist_official.read(root / "affnist-official")
        yield _digits(folder / "affnist-official.png", "affNIST (affnist-official)", official)


def singles(root: Path, source: str, digits: LabelledImages) -> dict[str, Split]:
    """The sets of one digit a picture."""
    images, labels = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels)
    frames = expanded.read(root / f"expanded-{source}", digits)
    return {
        "shifted": ShiftedImages(images, labels, 2, 0),
        "enumerated": EnumeratedShifts(images, labels, 2),
        "expanded": frames["test"],
    }


def _first(split: Split) -> Examples:
    """The first 48 examples, as training step 0 sees them."""
    return split.examples(torch.arange(CELLS), 0)


def _digits(path: Path, title: str, split: Split) -> Path:
    """Each digit below its label."""
    shown = _first(split)
    captions = [f"{label}" for label in shown.labels[:, 0].tolist()]
    sheet(path, title, [[image] for image in shown.images[:, 0].numpy()], captions)
    return path


def _pairs(path: Path, title: str, split: Split) -> Path:
    """Each pair beside its two digits alone."""
    shown = _first(split)
    images, parts = shown.images[:, 0].numpy(), shown.parts[:, :, 0].numpy()
    pictures = [[image, *alone] for image, alone in zip(images, parts, strict=True)]
    captions = [f"{base} + {partner}" for base, partner in shown.labels.tolist()]
    sheet(path, title, pictures, captions)
    return path


def _affine(path: Path, folder: Path, digits: LabelledImages) -> Path:
    """Six digits, one a row, each in its first eight copies; below each picture its map."""
    split, (_, arrays) = affnist.read(folder, digits), storage.read(folder)
    copies = torch.arange(ROWS)[:, None] + len(split.labels) * torch.arange(COLUMNS)
    shown = split.examples(copies.flatten(), None)
    title = f"affNIST, generated ({digits.source}): rotation, shear; expansions; shifts"
    captions = [f"{label}" for label in shown.labels[:, 0].tolist()]
    notes = [_map(row) for row in arrays["test_transforms"][copies.flatten().numpy()]]
    sheet(path, title, [[image] for image in shown.images[:, 0].numpy()], captions, notes)
    return path


def _map(transform: NDArray[np.float32]) -> str:
    """Write a map in the order of `affnist.COLUMNS`: degrees, shear, expansions, shifts."""
    angle, shear, down, right, shift_down, shift_right = transform
    return (
        f"{angle:+.0f}°, {shear:+.2f}\n×{down:.2f}, ×{right:.2f}\n"
        f"{shift_down:+.1f}, {shift_right:+.1f}"
    )
