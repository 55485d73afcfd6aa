"""Expanded MNIST: the digit padded to 40×40 and moved by up to six pixels on each axis [P][C].

In training a digit moves anew at each step, as in shifted MNIST; the released code writes all
169 shifts of each image instead, the same ones in the long run [C]. In evaluation it stands where
a table puts it, once and for all.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, Int8, UInt8
from torch import Tensor
from torch.nn.functional import pad

from capsnet.data import storage
from capsnet.data.counter_rng import integers
from capsnet.data.examples import Examples, OnDevice, one_digit_each
from capsnet.data.shifted import random_offsets, shifted
from capsnet.data.storage import LabelledImages

MARGIN = 6  # pixels around the 28×28 digit: 40×40
REACH = 6  # pixels: a digit never leaves the frame
TRAIN, TEST = range(2)  # whose shift a random number is, as a key


def fixed_shifts(n: int, split: int, seed: int = 0) -> Int8[np.ndarray, "n 2"]:
    """Place each digit of a split for evaluation, (down, right): of (seed, split, digit)."""
    digit, axes = np.arange(n)[:, None], np.arange(2)
    return integers(-REACH, REACH + 1, seed, split, digit, axes).astype(np.int8)


@dataclass(frozen=True)
class ExpandedImages(OnDevice):
    """Digits in a 40×40 frame: anywhere in training, at their fixed places in evaluation."""

    images: UInt8[Tensor, "n height width"]
    labels: Int[Tensor, "n"]
    shifts: Int8[Tensor, "n 2"]
    seed: int

    def __len__(self) -> int:
        return len(self.labels)

    def examples(self, indices: Int[Tensor, "batch"], step: int | None) -> Examples:
        """Digits `indices` where training step `step` puts them; None: at their fixed places."""
        if step is None:
            offsets = self.shifts[indices].long()
        else:
            offsets = random_offsets(self.seed, step, indices, REACH)
        framed = pad(self.images[indices], (MARGIN, MARGIN, MARGIN, MARGIN))
        return one_digit_each(shifted(framed, offsets, REACH), self.labels[indices])


def prepare(folder: Path, digits: LabelledImages, seed: int = 0) -> None:
    """Write where every training and test digit stands in evaluation."""
    about = {
        "name": "expanded",
        "source": digits.source,
        "digits": digits.digest,
        "margin": MARGIN,
        "reach": REACH,
        "seed": seed,
    }
    arrays = {
        "train_shift": fixed_shifts(len(digits.train_labels), TRAIN, seed),
        "test_shift": fixed_shifts(len(digits.test_labels), TEST, seed),
    }
    with storage.building(folder) as scratch:
        storage.write(scratch, about, arrays)


def read(
    folder: Path, digits: LabelledImages, seed: int = 0, holdout: int = 0
) -> dict[str, ExpandedImages]:
    """The splits by name; the first `holdout` training digits validate, `seed` moves the others.

    Raises UserError when `folder` holds no tables, or tables made from other digits.
    """
    _, arrays = storage.read_made_from(digits, folder)
    train = digits.train_images, digits.train_labels, arrays["train_shift"]
    test = digits.test_images, digits.test_labels, arrays["test_shift"]
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
