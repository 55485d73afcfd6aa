"""Expanded images: padded by six pixels and moved by up to six on each axis [P][C].

In training an image moves anew at each step, as in shifted MNIST; the released code writes all
169 shifts of each image instead, the same ones in the long run [C]. In evaluation it is where
a table puts it, once and for all. MNIST becomes 40×40.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Int, Int8, UInt8
from torch import Tensor
from torch.nn.functional import pad

from capsnet.config import Data
from capsnet.data import storage
from capsnet.data.counter_rng import integers
from capsnet.data.dataset import DataSet
from capsnet.data.examples import Examples, OnDevice, single_label
from capsnet.data.options import add_seed
from capsnet.data.shifted import random_offsets, shifted
from capsnet.data.specification import LabelledImages, View
from capsnet.data.splits import with_tables

MARGIN = 6  # pixels on each side
MAX_SHIFT = 6  # pixels: an image never leaves the frame
TRAIN, TEST = range(2)  # whose shift a random number is, as a key


def fixed_shifts(n: int, split: int, seed: int = 0) -> Int8[np.ndarray, "n 2"]:
    """Place each image of a split for evaluation, (down, right): of (seed, split, image)."""
    image, axes = np.arange(n)[:, None], np.arange(2)
    return integers(-MAX_SHIFT, MAX_SHIFT + 1, seed, split, image, axes).astype(np.int8)


@dataclass(frozen=True)
class ExpandedImages(OnDevice):
    """Images in a larger frame: anywhere in training, at their fixed places in evaluation."""

    images: UInt8[Tensor, "n channels height width"]
    labels: Int[Tensor, "n"]
    shifts: Int8[Tensor, "n 2"]
    seed: int
    max_shift: ClassVar = MAX_SHIFT

    def __len__(self) -> int:
        return len(self.labels)

    def examples(self, indices: Int[Tensor, "batch"], step: int | None) -> Examples:
        """Return images `indices` as step `step` of training places them; None: at fixed places."""
        if step is None:
            offsets = self.shifts[indices].long()
        else:
            offsets = random_offsets(self.seed, step, indices, MAX_SHIFT)
        framed = pad(self.images[indices], (MARGIN, MARGIN, MARGIN, MARGIN))
        return single_label(shifted(framed, offsets, MAX_SHIFT), self.labels[indices])


def prepare(folder: Path, images: LabelledImages, seed: int = 0) -> None:
    """Write where every training and test image is in evaluation."""
    about = {
        "name": "expanded",
        "source": images.source,
        "digits": images.digest,
        "margin": MARGIN,
        "reach": MAX_SHIFT,
        "seed": seed,
    }
    arrays = {
        "train_shift": fixed_shifts(len(images.train_labels), TRAIN, seed),
        "test_shift": fixed_shifts(len(images.test_labels), TEST, seed),
    }
    with storage.building(folder) as scratch:
        storage.write(scratch, about, arrays)


def read(
    folder: Path, images: LabelledImages, seed: int = 0, holdout: int = 0
) -> dict[str, ExpandedImages]:
    """Read the splits by name; `seed` moves the training images.

    The first `holdout` training images are held out for validation. Raises UserError when
    `folder` holds no tables, or tables made from other images.
    """
    _, arrays = storage.read_made_from(images, folder)
    train = images.train_images, images.train_labels, arrays["train_shift"]
    test = images.test_images, images.test_labels, arrays["test_shift"]
    splits = {
        "train": [array[holdout:] for array in train],
        "validation": [array[:holdout] for array in train],
        "test": test,
    }
    return {
        name: ExpandedImages(*(torch.from_numpy(array) for array in split), seed=seed)
        for name, split in splits.items()
        if len(split[0])
    }


def load(data: Data, images: LabelledImages, seed: int, held: int) -> DataSet:
    """Return a run's splits. Raises UserError as `read` does."""
    folder = SPEC.folder(data)
    return with_tables(folder, images, read(folder, images, seed, held))


def noise(images: Tensor, labels: Tensor) -> ExpandedImages:
    """Make a training split for the benchmark."""
    return ExpandedImages(images, labels, torch.zeros(len(labels), 2, dtype=torch.int8), 0)


SPEC = View(
    name="expanded",
    load=load,
    margin=MARGIN,
    folders=("expanded-{source}",),
    prepare=prepare,
    add_options=add_seed,
    noise=noise,
)
