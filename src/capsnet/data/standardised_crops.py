"""Views that crop and standardise; they differ in the side of a crop and in what is random."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from jaxtyping import Float, Int, UInt8
from torch import Tensor

from capsnet.config import Data
from capsnet.data.crops import central
from capsnet.data.dataset import DataSet
from capsnet.data.examples import Examples, OnDevice
from capsnet.data.specification import LabelledImages, View
from capsnet.data.splits import with_tests
from capsnet.data.standardisation import normalise, standardised

Pixels = UInt8[Tensor, "batch channels height width"]


@dataclass(frozen=True)
class StandardisedCrops(OnDevice, ABC):
    """Crops of `side` pixels: altered at random in training, the central ones in evaluation [C].

    `parts` are the crops before contrast and standardisation, as the decoder ends in a sigmoid and
    cannot draw a standardised image [D].
    """

    images: UInt8[Tensor, "n channels height width"]
    labels: Int[Tensor, "n"]
    seed: int
    side: ClassVar[int]

    @abstractmethod
    def altered(
        self, images: Pixels, indices: Int[Tensor, "batch"], step: int
    ) -> tuple[Float[Tensor, "batch channels side side"], Pixels]:
        """Alter images as a training step does: crops in 0 … 255, and those without contrast."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def max_shift(self) -> int:
        """Return by how many pixels a crop is off the middle at most, on either axis."""
        return (min(self.images.shape[2:]) - self.side) // 2

    def examples(self, indices: Int[Tensor, "batch"], step: int | None) -> Examples:
        """Return crops of images `indices` as at training step `step`; None: central ones."""
        images, labels = self.images[indices], self.labels[indices]
        if step is None:
            crops = central(images, self.side)
            pixels = crops.float()
        else:
            pixels, crops = self.altered(images, indices, step)
        return Examples(standardised(pixels), labels[:, None], crops[:, None].float() / 255)


def crops_view(name: str, split: type[StandardisedCrops]) -> View:
    """Specify the view of this name that shows every split as `split` does."""

    def load(data: Data, images: LabelledImages, seed: int, held: int) -> DataSet:
        show = partial(split, seed=seed)
        return with_tests(images, held, show, show)

    noise = partial(split, seed=0)
    return View(name=name, load=load, crop=split.side, normalise=normalise, noise=noise)
