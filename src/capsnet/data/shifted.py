"""Shifted images: each moved by up to two pixels on each axis in training [P]."""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.nn.functional import pad

from capsnet.config import Data
from capsnet.data.counter_rng import integers
from capsnet.data.crops import cropped
from capsnet.data.dataset import DataSet
from capsnet.data.examples import Examples, OnDevice, single_label
from capsnet.data.specification import LabelledImages, View
from capsnet.data.splits import with_tests


def shifted(
    images: UInt8[Tensor, "batch channels height width"],
    offsets: Int[Tensor, "batch 2"],
    max_shift: int,
) -> UInt8[Tensor, "batch channels height width"]:
    """Shift each image by its own (down, right), at most `max_shift` pixels; zeros move in [P]."""
    padded = pad(images, (max_shift, max_shift, max_shift, max_shift))
    return cropped(padded, max_shift - offsets, *images.shape[2:])


def random_offsets(
    seed: int, step: int, indices: Int[Tensor, "batch"], max_shift: int
) -> Int[Tensor, "batch 2"]:
    """Draw the shift of image i at a step, a function of (seed, step, i).

    All (2 max_shift + 1)² are equally likely.
    """
    axes = torch.arange(2, device=indices.device)
    return integers(-max_shift, max_shift + 1, seed, step, indices[:, None], axes)


@dataclass(frozen=True)
class ShiftedImages(OnDevice):
    """Images shifted by up to `max_shift` pixels at each training step, unshifted in evaluation."""

    images: UInt8[Tensor, "n channels height width"]
    labels: Int[Tensor, "n"]
    max_shift: int
    seed: int

    def __len__(self) -> int:
        return len(self.labels)

    def examples(self, indices: Int[Tensor, "batch"], step: int | None) -> Examples:
        """Return images `indices`, shifted as training step `step` shifts them; None: unshifted."""
        images = self.images[indices]
        if step is not None and self.max_shift:
            offsets = random_offsets(self.seed, step, indices, self.max_shift)
            images = shifted(images, offsets, self.max_shift)
        return single_label(images, self.labels[indices])


def load(data: Data, images: LabelledImages, seed: int, held: int) -> DataSet:
    """Return a run's splits; `seed` moves the training images."""
    show = partial(ShiftedImages, max_shift=data.shift, seed=seed)
    return with_tests(images, held, show)


def noise(images: Tensor, labels: Tensor) -> ShiftedImages:
    """Make a training split for the benchmark, with the paper's shifts."""
    return ShiftedImages(images, labels, Data.shift, 0)


SPEC = View(name="shifted", load=load, noise=noise)
