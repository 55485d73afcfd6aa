"""The training set that the released code writes: every shift of every image [C]."""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from capsnet.config import Data
from capsnet.data.dataset import DataSet
from capsnet.data.examples import Examples, OnDevice, single_label
from capsnet.data.shifted import noise, shifted
from capsnet.data.specification import LabelledImages, View
from capsnet.data.splits import with_tests


@dataclass(frozen=True)
class EnumeratedShifts(OnDevice):
    """The training set of the released code: all (2 max_shift + 1)² shifts of each image [C].

    With max_shift 2, example i is image i div 25 at shift i mod 25, from (−2, −2), (−2, −1) … to
    (2, 2) as (down, right). Only the order in which they are seen is random.
    """

    images: UInt8[Tensor, "n channels height width"]
    labels: Int[Tensor, "n"]
    max_shift: int

    def __len__(self) -> int:
        return len(self.labels) * (2 * self.max_shift + 1) ** 2

    def examples(self, indices: Int[Tensor, "batch"], step: int | None) -> Examples:
        """Return examples `indices`; `step` is ignored."""
        side = 2 * self.max_shift + 1
        which, places = indices // side**2, indices % side**2
        offsets = torch.stack([places // side, places % side], 1) - self.max_shift
        pixels = shifted(self.images[which], offsets, self.max_shift)
        return single_label(pixels, self.labels[which])


def load(data: Data, images: LabelledImages, seed: int, held: int) -> DataSet:
    """Return a run's splits; `seed` is ignored."""
    return with_tests(images, held, partial(EnumeratedShifts, max_shift=data.shift))


SPEC = View(name="enumerated", load=load, noise=noise)
