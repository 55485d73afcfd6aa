"""What a network is shown, and the promise every data set makes."""

from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor


class Examples(NamedTuple):
    """A batch, on the device that trains.

    images [batch, channels, height, width] in [0, 1]; labels int64 [batch, digits], one column
    for each digit in the picture; parts [batch, digits, channels, height, width], those digits
    alone, each at its place: what the decoder has to draw.
    """

    images: Tensor
    labels: Tensor
    parts: Tensor


def evaluation_batch(device: torch.device) -> int:
    """How many to ask at a time: few on a CPU, where a baseline's convolutions need 10 MB each."""
    return 1000 if device.type == "cuda" else 200


class Split(Protocol):
    """Examples by index: for training anew at each step, for evaluation always the same."""

    def __len__(self) -> int:
        """How many examples there are."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same split, its arrays on `device`."""
        ...

    def examples(self, indices: Tensor, step: int | None) -> Examples:
        """Examples `indices` as training step `step` sees them; None: as evaluation does."""
        ...
