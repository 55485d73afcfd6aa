"""MultiMNIST: two digits of different classes overlaid in a 36×36 frame [P].

Each digit of a split, the base, is overlaid with `count` digits of other classes from the same
split. The base is shifted once, each partner anew [C], by up to 4 pixels on both axes [P] (6 in
the samples of the released code [C]); what leaves the frame is cut off.

Example i is base i mod n with its partner number i div n, where the split has n digits: so a table
with fewer partners is the beginning of one with more, and any beginning has seen all bases alike.
"""

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int, Int8, Integer, UInt8, UInt16
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor
from torch.nn.functional import pad

from capsnet.config import Data
from capsnet.data import storage
from capsnet.data.counter_rng import hash32, integers, permuted
from capsnet.data.dataset import DataSet
from capsnet.data.examples import Examples, OnDevice
from capsnet.data.options import add_seed, whole_number
from capsnet.data.shifted import shifted
from capsnet.data.specification import LabelledImages, View
from capsnet.data.splits import with_tables
from capsnet.errors import UserError

MARGIN = 4  # pixels around the 28×28 digit: 36×36
PAIRS = 1000  # partners of each base [P]
MAX_SHIFT = 4  # pixels [P]
PARTNER, PARTNER_SHIFT, BASE_SHIFT = range(3)  # what a random number is for, as a key


class Pairs(NamedTuple):
    """Pair each digit with its partners and their places; shifts as (down, right) in pixels."""

    base_shift: Int8[np.ndarray, "n 2"]
    partner: UInt16[np.ndarray, "count n"]
    partner_shift: Int8[np.ndarray, "count n 2"]


def pairs(
    labels: Int[np.ndarray, "n"],
    count: int = PAIRS,
    max_shift: int = MAX_SHIFT,
    seed: int = 0,
    progress: str | None = None,
) -> Pairs:
    """Draw `count` partners for every digit of a split, of other classes, none twice for one base.

    What base i and its partner k are is a function of (seed, i, k) and the labels, whatever the
    count. `progress` names a progress bar. Raises UserError when a class leaves too few partners.
    """
    _require_partners(labels, count)
    base, axes = np.arange(len(labels)), np.arange(2)
    partner = np.empty((count, len(labels)), np.uint16)
    shift = np.empty((count, len(labels), 2), np.int8)
    steps = range(count)
    for k in steps if progress is None else track(steps, description=progress):
        partner[k] = partners(labels, k, seed)
        keys = (PARTNER_SHIFT, k, base[:, None], axes)
        shift[k] = integers(-max_shift, max_shift + 1, seed, *keys)
    base_shift = integers(-max_shift, max_shift + 1, seed, BASE_SHIFT, base[:, None], axes)
    return Pairs(base_shift.astype(np.int8), partner, shift)


def partners(labels: Int[np.ndarray, "n"], k: int, seed: int) -> Int[np.ndarray, "n"]:
    """Return partner `k` of every base: element k of a shuffle of all digits of other classes.

    Sorted by class, and the end joined to the beginning, those are the digits that follow the last
    one of the base's class, so that shuffling them is a bijection of range(their number).
    """
    order = np.argsort(labels, stable=True)
    of_class = np.bincount(labels)
    others, after = len(labels) - of_class[labels], np.cumsum(of_class)[labels]
    place = permuted(k, others, seed, PARTNER, np.arange(len(labels)))
    return order[(after + place) % len(labels)]


def _require_partners(labels: Int[np.ndarray, "n"], count: int) -> None:
    if len(labels) > 2**16:
        raise UserError(f"MultiMNIST's tables hold at most 65,536 digits, not {len(labels)}")
    others = len(labels) - np.bincount(labels).max()
    if count > others:
        raise UserError(
            f"{count} pairs for each digit are too many: of {len(labels)} digits, "
            f"{others} are of another class than the most frequent one"
        )


def render(
    images: UInt8[np.ndarray, "n height width"],
    base: Integer[np.ndarray, "batch"],
    base_shift: Integer[np.ndarray, "batch 2"],
    partner: Integer[np.ndarray, "batch"],
    partner_shift: Integer[np.ndarray, "batch 2"],
) -> UInt8[np.ndarray, "batch height+8 width+8"]:
    """Add base and partner, each shifted by its own (down, right), and clip at 255 [P]."""
    total = _placed(images[base], base_shift) + _placed(images[partner], partner_shift)
    return np.minimum(total, 255).astype(np.uint8)


def _placed(
    digits: UInt8[np.ndarray, "batch height width"], shift: Integer[np.ndarray, "batch 2"]
) -> Int[np.ndarray, "batch height+8 width+8"]:
    """Put each digit in the middle of its frame and move it; what leaves the frame is cut off."""
    batch, height, width = digits.shape
    # One row and column of zeros on all sides is what a pixel from outside the digit looks up.
    rimmed = np.pad(digits.astype(np.int64), ((0, 0), (1, 1), (1, 1)))
    rows = np.arange(height + 2 * MARGIN) - MARGIN - shift[:, :1]
    columns = np.arange(width + 2 * MARGIN) - MARGIN - shift[:, 1:]
    rows, columns = rows.clip(-1, height) + 1, columns.clip(-1, width) + 1
    return rimmed[np.arange(batch)[:, None, None], rows[:, :, None], columns[:, None, :]]


@dataclass(frozen=True)
class MultiMnist(OnDevice):
    """Pairs of images, rendered on their device; the same at every training step."""

    images: UInt8[Tensor, "n channels height width"]
    labels: Int[Tensor, "n"]
    base_shift: Int8[Tensor, "n 2"]
    partner: UInt16[Tensor, "count n"]
    partner_shift: Int8[Tensor, "count n 2"]
    max_shift: int

    def __len__(self) -> int:
        return self.partner.numel()

    def examples(self, indices: Int[Tensor, "batch"], step: int | None) -> Examples:
        """Return pairs `indices`, base before partner; `step` is ignored."""
        both, shifts = self.pair(indices)
        parts = self.placed(both, shifts)
        images = parts.sum(1).clamp(max=255).float() / 255
        return Examples(images, self.labels[both], parts.float() / 255)

    def pair(
        self, indices: Int[Tensor, "batch"]
    ) -> tuple[Int[Tensor, "batch 2"], Int[Tensor, "batch 2 2"]]:
        """Return base and partner of each example, and their shifts."""
        k, base = indices // len(self.labels), indices % len(self.labels)
        # Not every device of torch can index uint16: the same bits, with a sign that is masked off.
        partner = self.partner.view(torch.int16)[k, base].long() & 0xFFFF
        both = torch.stack([base, partner], 1)
        shifts = torch.stack([self.base_shift[base], self.partner_shift[k, base]], 1)
        return both, shifts.long()

    def placed(
        self, both: Int[Tensor, "batch 2"], shifts: Int[Tensor, "batch 2 2"]
    ) -> UInt8[Tensor, "batch 2 channels frame frame"]:
        """Put the single images at their places: what the decoder has to draw."""
        framed = pad(self.images[both.flatten()], (MARGIN, MARGIN, MARGIN, MARGIN))
        return shifted(framed, shifts.flatten(0, 1), self.max_shift).unflatten(0, both.shape)


def prepare(
    folder: Path,
    images: LabelledImages,
    count: int = PAIRS,
    max_shift: int = MAX_SHIFT,
    seed: int = 0,
    holdout: int = 0,
) -> None:
    """Write the tables of every split of `images`.

    The first `holdout` training images are held out for validation, and are never a training
    image's partner. Raises UserError as `pairs` does, and when nothing is left to train on.
    """
    about = {
        "name": "multimnist",
        "source": images.source,
        "digits": images.digest,
        "pairs_per_digit": count,
        "reach": max_shift,
        "seed": seed,
        "holdout": holdout,
    }
    splits = _singles(images, holdout)
    if "train" not in splits:
        raise UserError(f"holding out {holdout} digits leaves none of {images.source} to train on")
    for single in splits.values():
        _require_partners(single.labels, count)
    with storage.building(folder) as scratch:
        arrays: dict[str, NDArray[Any]] = {}
        for name, single in splits.items():
            bar = f"MultiMNIST {name}"
            table = pairs(single.labels, count, max_shift, hash32(seed, single.number), bar)
            arrays |= {f"{name}_{part}": array for part, array in table._asdict().items()}
        storage.write(scratch, about, arrays)


def read(folder: Path, images: LabelledImages, holdout: int = 0) -> dict[str, MultiMnist]:
    """Read the splits prepared in `folder`: train, test, and validation where one was held out.

    Raises UserError when there are none, or when they were made from other digits or hold out
    another number of them.
    """
    manifest, arrays = storage.read_made_from(images, folder)
    if manifest["holdout"] != holdout:
        pairs, reach, seed = (manifest[key] for key in ("pairs_per_digit", "reach", "seed"))
        options = f" --holdout {holdout} --pairs {pairs} --max-shift {reach} --seed {seed}"
        raise UserError(
            f"{folder} holds out {manifest['holdout']} training digits, not {holdout}: "
            f"{storage.repair(folder, options)}"
        )
    return {
        name: MultiMnist(
            torch.from_numpy(single.images),
            torch.from_numpy(single.labels),
            *(torch.from_numpy(arrays[f"{name}_{part}"]) for part in Pairs._fields),
            max_shift=manifest["reach"],
        )
        for name, single in _singles(images, manifest["holdout"]).items()
    }


class _Singles(NamedTuple):
    """One split of the digits that pairs are made of; splits of different numbers pair anew."""

    number: int
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def _singles(images: LabelledImages, holdout: int) -> dict[str, _Singles]:
    train, labels = images.train_images, images.train_labels
    splits = {
        "train": _Singles(0, train[holdout:], labels[holdout:]),
        "validation": _Singles(1, train[:holdout], labels[:holdout]),
        "test": _Singles(2, images.test_images, images.test_labels),
    }
    return {name: single for name, single in splits.items() if len(single.labels)}


def load(data: Data, images: LabelledImages, seed: int, held: int) -> DataSet:
    """Return a run's splits. Raises UserError as `read` does."""
    folder = SPEC.folder(data)
    return with_tables(folder, images, read(folder, images, held))


def noise(images: Tensor, labels: Tensor) -> MultiMnist:
    """Make a training split for the benchmark, of two partners for each image."""
    tables = [torch.from_numpy(table) for table in pairs(labels.numpy(), count=2)]
    return MultiMnist(images, labels, *tables, max_shift=MAX_SHIFT)


def add_options(parser: ArgumentParser) -> None:
    """Declare the options of `prepare`."""
    parser.add_argument("--pairs", type=whole_number(1), dest="count", help="for each digit (1000)")
    shift = {"type": whole_number(0, 14), "dest": "max_shift"}
    parser.add_argument("--max-shift", **shift, help="in pixels, on both axes (4)")
    parser.add_argument("--holdout", type=whole_number(0), help="training digits that validate (0)")
    add_seed(parser)


SPEC = View(
    name="multimnist",
    title="MultiMNIST",
    load=load,
    margin=MARGIN,
    labels_per_image=2,
    folders=("multimnist-{source}",),
    prepare=prepare,
    add_options=add_options,
    noise=noise,
)
