"""`Examples`, a batch, and `Split`, the interface of every data set."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self

import torch
from jaxtyping import Int, UInt8
from torch import Tensor


class Examples(NamedTuple):
    """A batch, on the device that trains.

    images [batch, channels, height, width] are what a network gets, in [0, 1] or standardised as
    the view has it; labels int64 [batch, labels], one column for each object in the image; parts
    [batch, labels, channels, height, width], those objects alone in [0, 1], each at its place:
    what the decoder has to draw.
    """

    images: Tensor
    labels: Tensor
    parts: Tensor

    @property
    def pictures(self) -> Tensor:
        """Return the images to display, in [0, 1].

        The decoder's target for a single object, else the whole image.
        """
        return self.parts[:, 0] if self.labels.shape[1] == 1 else self.images


def single_label(
    pixels: UInt8[Tensor, "batch channels height width"], labels: Int[Tensor, "batch"]
) -> Examples:
    """Make examples of a single object, which is what the decoder has to draw."""
    images = pixels.float() / 255
    return Examples(images, labels[:, None], images[:, None])


def evaluation_batch(device: torch.device) -> int:
    """Choose an evaluation batch: small on a CPU, where baselines take 10 MB for each image."""
    return 1000 if device.type == "cuda" else 200


class Split(Protocol):
    """Examples by index: for training anew at each step, for evaluation always the same."""

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def to(self, device: torch.device) -> Self:
        """Return the same split with its arrays on `device`."""
        ...

    def examples(self, indices: Tensor, step: int | None) -> Examples:
        """Make examples `indices` as training step `step` sees them; None: as evaluation does."""
        ...


@dataclass(frozen=True)
class OnDevice:
    """Tensors of a split, which move between devices together."""

    def to(self, device: torch.device) -> Self:
        """Return the same split with its tensors on `device`."""
        tensors = {name: part for name, part in vars(self).items() if isinstance(part, Tensor)}
        return replace(self, **{name: part.to(device) for name, part in tensors.items()})


@dataclass(frozen=True)
class UnshiftedImages(OnDevice):
    """Images that are always shown as they are."""

    images: UInt8[Tensor, "n channels height width"]
    labels: Int[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.labels)

    def examples(self, indices: Int[Tensor, "batch"], step: int | None) -> Examples:
        """Return images `indices`; `step` is ignored."""
        return single_label(self.images[indices], self.labels[indices])
