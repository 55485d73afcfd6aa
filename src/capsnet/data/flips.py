"""Random left-right flips [C]."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from capsnet.data.counter_rng import integers

KEY = 2  # crops have 0 and 1


def random_flips(seed: int, step: int, indices: Int[Tensor, "batch"]) -> Bool[Tensor, "batch"]:
    """Draw whether image i is flipped at a step, with probability ½: of (seed, step, i)."""
    return integers(0, 2, seed, step, indices, KEY) == 1


def flipped(images: Tensor, which: Bool[Tensor, "batch"]) -> Tensor:
    """Flip those images [batch, channels, height, width] left to right that `which` marks."""
    return torch.where(which[:, None, None, None], images.flip(3), images)
