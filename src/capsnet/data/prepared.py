"""Prepared data on disk: a folder of arrays and a manifest that says what they are."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capsnet.errors import Mistake

MANIFEST = "manifest.json"


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """A scratch folder that becomes `folder` whole at the end, or leaves no trace."""
    scratch = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write(folder: Path, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Store each array as `<name>.npy`, then the manifest: `about`, counts and md5s."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    manifest = {
        **about,
        "shapes": {name: list(array.shape) for name, array in arrays.items()},
        "md5": {name: md5(folder / f"{name}.npy") for name in arrays},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def md5(path: Path) -> str:
    """The file's md5, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def read(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The manifest and the arrays, each checked against its md5.

    The arrays stay on disk until they are looked at: a table may be larger than what a run needs.
    Raises Mistake when the folder is not there or a file is not what was prepared.
    """
    again = f"run `python -m capsnet.prepare {folder.name}`"
    if not (folder / MANIFEST).is_file():
        raise Mistake(f"{folder} holds no prepared data: {again}")
    manifest = json.loads((folder / MANIFEST).read_text())
    for name, expected in manifest["md5"].items():
        path = folder / f"{name}.npy"
        if not path.is_file():
            raise Mistake(f"{path} is missing: {again}")
        if md5(path) != expected:
            raise Mistake(f"{path} has changed since it was prepared (wrong md5): {again}")
    # Copy on write: torch takes no arrays that it could not write to, and none is ever written to.
    names = manifest["md5"]
    return manifest, {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in names}


@dataclass(frozen=True)
class Digits:
    """Single handwritten digits, 28×28: images uint8 [n, 28, 28], labels int64 [n]."""

    source: str
    digest: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


def read_digits(folder: Path) -> Digits:
    """The digits prepared in `folder`. Raises Mistake as `read` does."""
    manifest, arrays = read(folder)
    return Digits(manifest["source"], digest(folder), **arrays)


def digest(folder: Path) -> str:
    """Of the manifest, and so of all that was prepared in `folder`."""
    manifest = json.loads((folder / MANIFEST).read_text())
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def read_made_from(digits: Digits, folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """As `read`, for tables that only say what to do with `digits`.

    Raises Mistake when they were made from other digits.
    """
    manifest, arrays = read(folder)
    if manifest["digits"] != digits.digest:
        raise Mistake(
            f"{folder} was not made from these {digits.source} digits: "
            f"run `python -m capsnet.prepare {folder.name}`"
        )
    return manifest, arrays
