"""CIFAR-10: 50,000 training and 10,000 test photographs of ten classes, RGB of 32×32 pixels.

Read from the binary version of the official archive. The one that most libraries read holds
pickles, which can run any program when they are opened.
"""

import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray
from rich import progress

from capsnet.data import storage
from capsnet.data.download import fetch_from
from capsnet.data.specification import DataSpec
from capsnet.errors import UserError

MIRROR = "CAPSNET_CIFAR10_MIRROR"
PAGE = "https://www.cs.toronto.edu/~kriz"
FILE = "cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
BATCHES = {
    "train": [f"cifar-10-batches-bin/data_batch_{number}.bin" for number in range(1, 6)],
    "test": ["cifar-10-batches-bin/test_batch.bin"],
}
PER_CLASS = {"train": 5000, "test": 1000}
RECORD = 1 + 3 * 32 * 32  # bytes: the label, then the red, the green and the blue plane
CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
ABOUT = "CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test photographs"


def prepare(folder: Path) -> None:
    """Fetch the official archive, check it, and store its images as arrays in `folder`.

    Raises UserError when no mirror gives the file with the right md5, or when it is not what
    `read_archive` reads, or has not 5,000 training and 1,000 test images of each class.
    """
    with storage.building(folder) as scratch:
        archive = fetch_from(MIRROR, [PAGE], FILE, scratch, MD5, f"{FILE} as {PAGE} has it")
        arrays = read_archive(archive)
        _require_official_counts(arrays)
        archive.unlink()
        storage.write(scratch, {**SPEC.manifest, "about": ABOUT, "file_md5": MD5}, arrays)


def read_archive(path: Path) -> dict[str, NDArray[Any]]:
    """Read images uint8 [n, 3, 32, 32] and labels int64 [n] of both splits; extract no file.

    Raises UserError when it is no tar.gz archive, lacks one of the six batches, or one of them
    is not what `read_batch` reads.
    """
    contents = _contents(path)
    if missing := [name for names in BATCHES.values() for name in names if name not in contents]:
        raise UserError(f"{path.name} lacks {', '.join(missing)}: the official one has six batches")
    arrays: dict[str, NDArray[Any]] = {}
    for split, names in BATCHES.items():
        batches = [read_batch(contents[name], f"{name} in {path.name}") for name in names]
        arrays[f"{split}_images"] = np.concatenate([images for images, _ in batches])
        arrays[f"{split}_labels"] = np.concatenate([labels for _, labels in batches])
    return arrays


def read_batch(
    content: bytes, name: str
) -> tuple[UInt8[np.ndarray, "n 3 32 32"], Int64[np.ndarray, "n"]]:
    """Read records of a label byte and 3,072 bytes of pixels, plane by plane and row by row.

    `name` names the file in errors. Raises UserError when its size is not that of whole records,
    or a label is above 9.
    """
    if not content or len(content) % RECORD:
        raise UserError(f"{name} has {len(content):,} bytes, but must have {RECORD:,} an image")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CLASSES):
        raise UserError(f"{name} has a label {labels.max()}, but labels must be from 0 to 9")
    return records[:, 1:].reshape(-1, 3, 32, 32), labels


def _contents(path: Path) -> dict[str, bytes]:
    """Read the batches among the archive's members, by their names."""
    expected = {name for names in BATCHES.values() for name in names}
    found: dict[str, bytes] = {}
    try:
        with (
            progress.open(path, "rb", description="Reading CIFAR-10") as file,
            tarfile.open(fileobj=file, mode="r:gz") as archive,
        ):
            for member in archive:
                if member.name in expected and (content := archive.extractfile(member)):
                    found[member.name] = content.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(f"{path.name} is truncated or no tar.gz archive ({error})") from error
    return found


def _require_official_counts(arrays: dict[str, NDArray[Any]]) -> None:
    for split, count in PER_CLASS.items():
        counts = np.bincount(arrays[f"{split}_labels"], minlength=len(CLASSES)).tolist()
        if counts != [count] * len(CLASSES):
            raise UserError(
                f"{FILE} has {counts} {split} images of its classes, but must have {count:,} each"
            )


SPEC = DataSpec(
    name="cifar10",
    title="CIFAR-10",
    channels=3,
    height=32,
    width=32,
    class_names=CLASSES,
    prepare=prepare,
)
