"""affNIST by its documented recipe: test digits under random affine maps, in a 40×40 frame.

These are our own copies, source `affnist-generated`; `affnist_official` reads the official ones.

Positions are (down, right) in pixels. A digit's map turns a position p, measured from the middle
of the digit, into rotation · shear · expansion · p + shift, measured from the middle of the frame;
the documentation of affNIST gives the ranges, not the order [?].
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int, Int32, UInt8
from rich.progress import track
from torch import Tensor
from torch.nn.functional import pad

from capsnet.config import Data
from capsnet.data import expanded, storage
from capsnet.data.counter_rng import uniform
from capsnet.data.dataset import DataSet, TestSet
from capsnet.data.examples import Examples, OnDevice, single_label
from capsnet.data.options import add_seed, whole_number
from capsnet.data.specification import LabelledImages
from capsnet.errors import UserError

FRAME = 40
COPIES = 32
# The documented ranges, all uniform: rotation in degrees (anticlockwise here [?]), shear in pixels
# to the right for each pixel down [?], expansions as factors.
RANGES = {
    "rotation": (-20.0, 20.0),
    "shear": (-0.2, 0.2),
    "expansion_down": (0.8, 1.2),
    "expansion_right": (0.8, 1.2),
}
COLUMNS = (*RANGES, "shift_down", "shift_right")
CHUNK = 200  # digits whose maps are drawn together: 2.5 MB a temporary array
BITS = 20  # after the point of the fixed-point numbers that sampling works with
UNIT = 1 << BITS


def random_transforms(
    images: UInt8[np.ndarray, "n height width"], copy: int, seed: int, first: int = 0
) -> Float32[np.ndarray, "n 6"]:
    """Draw the transforms of copy `copy` for digits `first`, `first` + 1 …; columns as in COLUMNS.

    The shift is uniform among those that keep all ink in the frame, or cut off least where none
    does: ink fills the whole image. A function of (seed, digit, copy) and of the digit's ink.
    """
    digit = first + np.arange(len(images))
    linear = np.stack(
        [uniform(*RANGES[name], seed, copy, digit, column) for column, name in enumerate(RANGES)], 1
    ).astype(np.float32)
    low, high = _room(images > 0, _matrices(linear))
    axes = len(RANGES) + np.arange(2)
    share = uniform(0, 1, seed, copy, digit[:, None], axes)
    return np.concatenate([linear, (low + share * (high - low)).astype(np.float32)], 1)


def _matrices(transforms: Float32[np.ndarray, "n columns"]) -> Float64[np.ndarray, "n 2 2"]:
    """rotation · shear · expansion of each map, acting on (down, right)."""
    angle, shear, down, right = transforms[:, :4].astype(np.float64).T
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    first = [(cosine - sine * shear) * down, -sine * right]
    second = [(sine + cosine * shear) * down, cosine * right]
    return np.stack([np.stack(first, 1), np.stack(second, 1)], 1)


def _room(
    ink: Bool[np.ndarray, "n height width"], matrices: Float64[np.ndarray, "n 2 2"]
) -> tuple[Float64[np.ndarray, "n 2"], Float64[np.ndarray, "n 2"]]:
    """Compute the least and the greatest shift that keep all ink in the frame, on each axis."""
    where = _centred(ink.shape[1], ink.shape[2])
    mapped = np.einsum("nij,jhw->nihw", matrices, where)
    least = np.where(ink[:, None], mapped, np.inf).min((2, 3))
    greatest = np.where(ink[:, None], mapped, -np.inf).max((2, 3))
    # Bilinear sampling spreads a pixel to just below one pixel on all sides: to this, mapped.
    reach = np.abs(matrices).sum(2)
    # So the frame's pixels, ±19.5, may be passed by one, where nothing is sampled any more.
    edge = (FRAME - 1) / 2 + 1
    return reach - edge - least, edge - reach - greatest


def _centred(height: int, width: int) -> Float64[np.ndarray, "2 height width"]:
    """Return the position of every pixel, from the middle."""
    return np.stack(
        np.meshgrid(
            np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij"
        )
    )


def sampling(
    transforms: Float32[np.ndarray, "n 6"], height: int = 28, width: int = 28
) -> Int32[np.ndarray, "n 2 3"]:
    """Return the source of each map's pixels: (row, column) = M · (down, right, 1), in 2⁻²⁰ pixels.

    Whole numbers, so that the rendered images are the same to the byte on every device.
    """
    inverse = np.linalg.inv(_matrices(transforms))
    centre = (FRAME - 1) / 2 + transforms[:, 4:].astype(np.float64)
    origin = np.array([(height - 1) / 2, (width - 1) / 2])
    offset = origin - np.einsum("nij,nj->ni", inverse, centre)
    maps = np.concatenate([inverse, offset[:, :, None]], 2)
    return np.round(maps * UNIT).astype(np.int32)


def render(
    digits: UInt8[Tensor, "batch height width"], maps: Int32[Tensor, "batch 2 3"]
) -> UInt8[Tensor, "batch 40 40"]:
    """Render each digit under its own map, bilinearly, on the digits' device; see `sampling`."""
    batch, height, width = digits.shape
    places = torch.arange(FRAME, device=digits.device)
    down, right, offset = maps.long()[..., None, None].unbind(2)
    rows, columns = (down * places[:, None] + right * places + offset).unbind(1)
    # Two rows and columns of zeros on all sides are what a pixel from outside the digit looks up.
    rimmed = pad(digits, (2, 2, 2, 2))
    which = torch.arange(batch, device=digits.device)[:, None, None]
    total = torch.zeros_like(rows)
    for row, row_weight in _neighbours(rows, height):
        for column, column_weight in _neighbours(columns, width):
            total += rimmed[which, row, column] * (row_weight * column_weight)
    return ((total + UNIT**2 // 2) >> 2 * BITS).to(torch.uint8)


def _neighbours(place: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the two pixels around a place between −2 and `size`, in the rimmed digit, weighted.

    A place farther out is as empty as the rim is.
    """
    whole, part = place >> BITS, place & (UNIT - 1)
    first = whole.clip(-2, size) + 2
    yield first, UNIT - part
    yield first + 1, part


@dataclass(frozen=True)
class AffnistImages(OnDevice):
    """Grey digits under affine maps, rendered on their device.

    Example i is copy i div n of digit i mod n: the first n examples show every digit once, and any
    beginning shows all digits alike.
    """

    images: UInt8[Tensor, "n 1 height width"]
    labels: Int[Tensor, "n"]
    maps: Int32[Tensor, "examples 2 3"]

    def __len__(self) -> int:
        return len(self.maps)

    def examples(self, indices: Int[Tensor, "batch"], step: int | None) -> Examples:
        """Return copies `indices`; `step` is ignored."""
        which = indices % len(self.labels)
        rendered = render(self.images[which, 0], self.maps[indices])
        return single_label(rendered[:, None], self.labels[which])


def prepare(folder: Path, images: LabelledImages, copies: int = COPIES, seed: int = 0) -> None:
    """Write the maps of `copies` copies of every test digit, one row for each copy.

    Raises UserError when the images are not grey digits of 28×28 pixels.
    """
    digits = _grey_digits(images)
    about = {
        "name": "affnist",
        "source": "affnist-generated",
        "digits_source": images.source,
        "digits": images.digest,
        "copies": copies,
        "ranges": RANGES,
        "columns": COLUMNS,
        "seed": seed,
    }
    starts = range(0, len(digits), CHUNK)
    chunks = [
        [random_transforms(digits[i : i + CHUNK], copy, seed, i) for i in starts]
        for copy in track(range(copies), description="affNIST")
    ]
    with storage.building(folder) as scratch:
        transforms = np.concatenate([np.concatenate(chunk) for chunk in chunks])
        storage.write(scratch, about, {"test_transforms": transforms})


def read(folder: Path, images: LabelledImages) -> AffnistImages:
    """Read the copies prepared in `folder`.

    Raises UserError when there are none, or when they were made from other digits.
    """
    _, arrays = storage.read_made_from(images, folder)
    _, _, height, width = images.test_images.shape
    maps = sampling(arrays["test_transforms"], height, width)
    tensors = map(torch.from_numpy, (images.test_images, images.test_labels, maps))
    return AffnistImages(*tensors)


def _grey_digits(images: LabelledImages) -> UInt8[np.ndarray, "n 28 28"]:
    if images.info.image != (1, 28, 28):
        shape = "×".join(map(str, images.info.image))
        raise UserError(f"affNIST is made of grey 28×28 digits, and {images.source} is {shape}")
    return images.test_images[:, 0]


def load(data: Data, images: LabelledImages, seed: int, held: int) -> DataSet:
    """Return expanded digits, tested on affine copies of the test digits as well."""
    folder = SPEC.folder(data)
    count, groups = len(images.test_labels), images.test_groups
    test = TestSet(read(folder, images), "affnist-generated", count, groups)
    return with_affnist(expanded.load(data, images, seed, held), test, folder)


def with_affnist(expanded: DataSet, test: TestSet, folder: Path) -> DataSet:
    """Add the test set `affnist`, prepared in `folder`."""
    digest = f"{expanded.digest}+{storage.digest(folder)}"
    return expanded._replace(tests=expanded.tests | {"affnist": test}, digest=digest)


def add_options(parser: ArgumentParser) -> None:
    """Declare the options of `prepare`."""
    parser.add_argument("--copies", type=whole_number(1, 1000), help="of each digit (32)")
    add_seed(parser)


SPEC = replace(
    expanded.SPEC,
    name="affnist",
    title="affNIST",
    load=load,
    folders=(*expanded.SPEC.folders, "affnist-{source}"),
    prepare=prepare,
    add_options=add_options,
)
