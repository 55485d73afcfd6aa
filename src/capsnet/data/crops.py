"""Square crops of images: random ones in training, the central ones in evaluation [P] [C]."""

import torch
from jaxtyping import Int
from torch import Tensor

from capsnet.data.counter_rng import integers


def cropped(images: Tensor, corners: Int[Tensor, "batch 2"], height: int, width: int) -> Tensor:
    """Cut [batch, channels, height, width] out of images, each at its upper left (row, column)."""
    count, channels = images.shape[:2]
    rows = corners[:, :1] + torch.arange(height, device=images.device)
    columns = corners[:, 1:] + torch.arange(width, device=images.device)
    batch = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[:, None, None]
    return images[batch, channel, rows[:, None, :, None], columns[:, None, None, :]]


def random_corners(
    seed: int, step: int, indices: Int[Tensor, "batch"], images: Tensor, side: int
) -> Int[Tensor, "batch 2"]:
    """Draw the upper left corner of image i's crop at a step, a function of (seed, step, i).

    All places at which a square of `side` pixels is inside of the images are equally likely.
    """
    places = [size - side + 1 for size in images.shape[2:]]
    drawn = [integers(0, many, seed, step, indices, axis) for axis, many in enumerate(places)]
    return torch.stack(drawn, 1)


def central(images: Tensor, side: int) -> Tensor:
    """Cut the square of `side` pixels out of the middle of images, as tf.image does [C].

    Where the margins cannot be equal, the upper or left one is a pixel narrower.
    """
    top, left = ((size - side) // 2 for size in images.shape[2:])
    return images[:, :, top : top + side, left : left + side]
