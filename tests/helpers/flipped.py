"""A view from outside: images upside down, in a frame that is two pixels wider on each side."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import pad

from capsnet.config import Data
from capsnet.data.dataset import DataSet, TestSet
from capsnet.data.examples import Examples, OnDevice, single_label
from capsnet.data.specification import LabelledImages, View
from capsnet.data.splits import parts


@dataclass(frozen=True)
class Flipped(OnDevice):
    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def examples(self, indices: Tensor, step: int | None) -> Examples:
        return single_label(pad(self.images[indices].flip(2), (2, 2, 2, 2)), self.labels[indices])


def load(data: Data, images: LabelledImages, seed: int, held: int) -> DataSet:
    train, held_out, test = (Flipped(*part) for part in parts(images, held))
    tests = {"test": TestSet(test, images.source, len(test))}
    return DataSet(train, held_out if held else None, tests, images.digest, images.info)


SPEC = View(name="flipped", title="Flipped digits", load=load, margin=2)
