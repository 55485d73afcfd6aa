"""Shifted MNIST: every training image moved by up to two pixels on each axis [P]."""

from dataclasses import dataclass

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.nn.functional import pad

from capsnet.data.counter_rng import integers
from capsnet.data.examples import Examples, OnDevice, one_digit_each


def shifted(
    images: UInt8[Tensor, "batch height width"], offsets: Int[Tensor, "batch 2"], reach: int
) -> UInt8[Tensor, "batch height width"]:
    """Each image moved by its own (down, right), at most `reach` pixels; zeros move in [P]."""
    _, height, width = images.shape
    padded = pad(images, (reach, reach, reach, reach))
    rows = torch.arange(height, device=images.device) + reach - offsets[:, :1]
    columns = torch.arange(width, device=images.device) + reach - offsets[:, 1:]
    batch = torch.arange(len(images), device=images.device)
    return padded[batch[:, None, None], rows[:, :, None], columns[:, None, :]]


def random_offsets(
    seed: int, step: int, indices: Int[Tensor, "batch"], reach: int
) -> Int[Tensor, "batch 2"]:
    """The shift of image i at a step, all (2 reach + 1)² equally likely: of (seed, step, i)."""
    axes = torch.arange(2, device=indices.device)
    return integers(-reach, reach + 1, seed, step, indices[:, None], axes)


@dataclass(frozen=True)
class ShiftedImages(OnDevice):
    """Digits that move by up to `reach` pixels at each training step, and stand in evaluation."""

    images: UInt8[Tensor, "n height width"]
    labels: Int[Tensor, "n"]
    reach: int
    seed: int

    def __len__(self) -> int:
        return len(self.labels)

    def examples(self, indices: Int[Tensor, "batch"], step: int | None) -> Examples:
        """Digits `indices`, shifted as training step `step` shifts them; None: unshifted."""
        digits = self.images[indices]
        if step is not None and self.reach:
            offsets = random_offsets(self.seed, step, indices, self.reach)
            digits = shifted(digits, offsets, self.reach)
        return one_digit_each(digits, self.labels[indices])


@dataclass(frozen=True)
class EnumeratedShifts(OnDevice):
    """The training set that the released code writes: all (2 reach + 1)² shifts of each digit [C].

    With reach 2, example i is digit i div 25 at shift i mod 25, from (−2, −2), (−2, −1) … to
    (2, 2) as (down, right). Nothing is left to chance but the order in which they are seen.
    """

    images: UInt8[Tensor, "n height width"]
    labels: Int[Tensor, "n"]
    reach: int

    def __len__(self) -> int:
        return len(self.labels) * (2 * self.reach + 1) ** 2

    def examples(self, indices: Int[Tensor, "batch"], step: int | None) -> Examples:
        """Examples `indices`; `step` changes nothing."""
        side = 2 * self.reach + 1
        digits, places = indices // side**2, indices % side**2
        offsets = torch.stack([places // side, places % side], 1) - self.reach
        pixels = shifted(self.images[digits], offsets, self.reach)
        return one_digit_each(pixels, self.labels[digits])
