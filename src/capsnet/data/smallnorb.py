"""smallNORB: 24,300 training and 24,300 test pairs of pictures of toys, 25 toys each.

LeCun, Huang and Bottou (2004), 'Learning methods for generic object recognition with invariance to
pose and lighting'. The files are provided for research purposes and cannot be sold, so that none
of them is ever shipped with this package.
"""

import gzip
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Int32, Int64, UInt8
from numpy.typing import NDArray
from rich.progress import track

from capsnet.data import storage
from capsnet.data.download import fetch_from
from capsnet.data.specification import DataSpec
from capsnet.errors import UserError

MIRROR = "CAPSNET_SMALLNORB_MIRROR"
PAGE = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small"
STEMS = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}
MD5 = {
    "train-dat": "66054832f9accfe74a0f4c36a75bc0a2",
    "train-cat": "23c8b86101fbf0904a000b43d3ed2fd9",
    "train-info": "51dee1210a742582ff607dfd94e332e3",
    "test-dat": "e4ad715691ed5a3a5f138751a4ceb071",
    "test-cat": "5aa791cd7e6016cf957ce9bdb93b8603",
    "test-info": "a9454f3864d7fd4bb3ea7fc3eb84924e",
}
COUNT = 24_300  # pairs of each split
CLASSES = ("animal", "human", "airplane", "truck", "car")
INSTANCES = {"train": (4, 6, 7, 8, 9), "test": (0, 1, 2, 3, 5)}
MAGIC = {"|u1": 0x1E3D4C55, "<i4": 0x1E3D4C54}  # of the files, by NumPy's name of their numbers
INFO = {  # columns of the info files, and the values that they may have
    "instance": range(10),
    "elevation": range(9),  # 30 to 70 degrees, in steps of 5
    "azimuth": range(0, 36, 2),  # in tens of degrees
    "lighting": range(6),
}
COLUMNS = tuple(INFO)
ABOUT = {
    "about": "smallNORB (LeCun, Huang, Bottou 2004), left and right picture, every second pixel",
    "terms": "for research purposes; cannot be sold",
    "group_name": "toy",
    "order": "training pairs by instance, so that the first ones are whole toys of every class",
    "info_columns": COLUMNS,
}


class Pairs(NamedTuple):
    """Pairs of one split: left and right picture, class, and INFO of each."""

    images: UInt8[np.ndarray, "n 2 48 48"]
    labels: Int64[np.ndarray, "n"]
    info: Int32[np.ndarray, "n 4"]

    @property
    def toys(self) -> Int64[np.ndarray, "n"]:
        """Number the toys: the class in tens, the instance in ones."""
        return 10 * self.labels + self.info[:, COLUMNS.index("instance")]


def azimuth(info: Int[np.ndarray, "n 4"]) -> Int[np.ndarray, "n"]:
    """Return the azimuth of each pair in degrees: 0, 20 … 340."""
    return 10 * info[:, COLUMNS.index("azimuth")]


def elevation(info: Int[np.ndarray, "n 4"]) -> Int[np.ndarray, "n"]:
    """Return the elevation of each pair in degrees above the horizon: 30, 35 … 70."""
    return 30 + 5 * info[:, COLUMNS.index("elevation")]


def prepare(folder: Path, count: int = COUNT) -> None:
    """Fetch the six official files, check them, and store their pairs at 48×48 in `folder`.

    `count` is the number of pairs of each split. No official file has been read here yet: the
    reader is tested on files of the documented layout, and on the published md5 of the labels.
    Raises UserError when no mirror gives a file with the right md5, or when it is not what
    `read_pairs` reads.
    """
    with storage.building(folder) as scratch:
        names = track(MD5, description="smallNORB")
        files = {name: _fetch(name, scratch / "raw") for name in names}
        train = by_instance(read_pairs(files, "train", count))
        test = read_pairs(files, "test", count)
        for file in files.values():
            file.unlink()
        (scratch / "raw").rmdir()
        storage.write_images(
            *(folder, SPEC.manifest | ABOUT, train[:2], test[:2], (train.toys, test.toys)),
            annotations={"info": (train.info, test.info)},
            scratch=scratch,
        )


def by_instance(pairs: Pairs) -> Pairs:
    """Sort pairs by instance, so that any beginning of whole instances shows all classes alike."""
    order = np.argsort(pairs.info[:, COLUMNS.index("instance")], stable=True)
    return Pairs(*(array[order] for array in pairs))


def read_pairs(files: dict[str, Path], split: str, count: int = COUNT) -> Pairs:
    """Read the pairs of `split` from its three files, named as in MD5, in the order of the files.

    The pictures' 96×96 pixels become 48×48 by leaving out every second row and column: that is what
    the released code's bilinear `tf.image.resize_images` of TensorFlow 1 does [D]. Raises UserError
    when a file is not what `read_matrix` reads, when classes are not equally frequent, or when an
    instance or a viewpoint is none of this split.
    """
    images = read_matrix(files[f"{split}-dat"], "|u1", (count, 2, 96, 96))
    labels = read_matrix(files[f"{split}-cat"], "<i4", (count,))
    info = read_matrix(files[f"{split}-info"], "<i4", (count, len(INFO)))
    _require_equal_classes(files[f"{split}-cat"], labels)
    for column, (name, values) in zip(info.T, INFO.items(), strict=True):
        allowed = INSTANCES[split] if name == "instance" else values
        _require_values(files[f"{split}-info"], name, column, allowed)
    return Pairs(np.ascontiguousarray(images[:, :, ::2, ::2]), labels.astype(np.int64), info)


def read_matrix(path: Path, dtype: str, sizes: tuple[int, ...]) -> NDArray[Any]:
    """Read a gzip file of NORB's own matrix format: '|u1' or '<i4' numbers, [*sizes].

    Its header are int32 numbers: a magic one for the kind of numbers, how many sizes there are, and
    the sizes, at least three of them. Raises UserError when the file is no gzip file, is truncated
    or too long, or has another magic number or other sizes.
    """
    content = _decompressed(path)
    start = 4 * (2 + max(3, len(sizes)))
    if len(content) < start:
        raise UserError(f"{path.name} is truncated: it ends after {len(content)} bytes")
    magic, dimensions, *found = np.frombuffer(content, "<i4", start // 4).tolist()
    if magic != MAGIC[dtype]:
        raise UserError(
            f"{path.name} has magic number {magic & 0xFFFFFFFF:#x}, but must have {MAGIC[dtype]:#x}"
        )
    if dimensions != len(sizes) or tuple(found[:dimensions]) != sizes:
        shape = _times(found[:dimensions] if 0 < dimensions <= len(found) else [dimensions, "…"])
        raise UserError(f"{path.name} has the sizes {shape}, but must have {_times(sizes)}")
    expected = start + np.dtype(dtype).itemsize * prod(sizes)
    if len(content) != expected:
        wrong = "truncated" if len(content) < expected else "too long"
        raise UserError(f"{path.name} is {wrong}: {len(content):,} bytes, not {expected:,}")
    return np.frombuffer(content, dtype, offset=start).reshape(sizes)


def _decompressed(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except EOFError as error:
        raise UserError(f"{path.name} is truncated: its gzip stream has no end") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path.name} is no gzip file ({error})") from error


def _times(sizes: Sequence[object]) -> str:
    return "×".join(map(str, sizes))


def _require_equal_classes(path: Path, labels: Int[np.ndarray, "n"]) -> None:
    _require_values(path, "label", labels, range(len(CLASSES)))
    counts = np.bincount(labels, minlength=len(CLASSES)).tolist()
    if len({*counts}) > 1:
        raise UserError(
            f"{path.name} has {counts} pairs of the classes {', '.join(CLASSES)}, but must have "
            f"{len(labels) // len(CLASSES):,} of each"
        )


def _require_values(
    path: Path, name: str, found: Int[np.ndarray, "n"], allowed: Sequence[int]
) -> None:
    if wrong := sorted({*found.tolist()} - {*allowed}):
        choices = ", ".join(map(str, allowed))
        raise UserError(f"{path.name} has {name} {wrong[0]}, but must have one of {choices}")


def _fetch(name: str, folder: Path) -> Path:
    split, part = name.split("-")
    file = f"{STEMS[split]}-{part}.mat.gz"
    return fetch_from(MIRROR, [PAGE], file, folder, MD5[name], "smallNORB's six gzip files")


SPEC = DataSpec(
    name="smallnorb",
    title="smallNORB",
    channels=2,
    height=48,
    width=48,
    class_names=CLASSES,
    prepare=prepare,
)
