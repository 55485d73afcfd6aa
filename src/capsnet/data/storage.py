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

from capsnet.errors import UserError

MANIFEST = "manifest.json"
SOURCES = ("mnist", "digits")  # the digits that `capsnet.prepare` can get


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Give a scratch folder that becomes `folder` at the end, or leaves no trace.

    Raises UserError when the disk does not take what is written.
    """
    scratch = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    except OSError as error:  # NumPy's has no number: it says how many bytes were not written
        free = shutil.disk_usage(scratch.parent).free / 1e6
        raise UserError(
            f"{folder} was not prepared: {error} ({free:,.1f} MB are free there)"
        ) from error
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


class Contents(dict[str, Any]):
    """Manifest or arrays of a prepared folder. A missing entry raises UserError."""

    def __init__(self, folder: Path, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.folder = folder

    def __missing__(self, name: str) -> Any:
        raise UserError(f"{self.folder} is another data set, without {name}: {repair(self.folder)}")


def read(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read the manifest and the arrays, each checked against its md5.

    The arrays stay on disk until they are used: a table may be larger than what a run needs.
    Raises UserError when there is nothing prepared or a file is not as it was prepared, and later
    when an entry is asked for that is missing from the result.
    """
    manifest = read_manifest(folder)
    for name, expected in manifest["md5"].items():
        path = folder / f"{name}.npy"
        if not path.is_file():
            raise UserError(f"{path} is missing: {repair(folder)}")
        if md5(path) != expected:
            raise UserError(
                f"{path} has changed since it was prepared (wrong md5): {repair(folder)}"
            )
    return manifest, Contents(folder, {name: _array(folder, name) for name in manifest["md5"]})


def _array(folder: Path, name: str) -> NDArray[Any]:
    """Map an array copy on write: torch takes none that it could not write to; none is changed."""
    path = folder / f"{name}.npy"
    try:
        return np.load(path, mmap_mode="c")
    except (ValueError, EOFError) as error:
        raise UserError(f"{path} is not an array of numbers: {repair(folder)}") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what was prepared in `folder`. Raises UserError when that is nothing, or damaged."""
    path = folder / MANIFEST
    try:
        manifest = Contents(folder, json.loads(path.read_text()))
        if isinstance(manifest["md5"], dict):
            return manifest
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{folder.absolute()} holds no prepared data: {repair(folder)}") from error
    except PermissionError as error:
        raise UserError(f"{path} may not be read: run `chmod -R u+rX {folder}`") from error
    except (ValueError, TypeError):
        pass
    raise UserError(f"{path} is cut or of another program: {repair(folder)}")


def repair(folder: Path) -> str:
    """Say which command prepares `folder`; data of other sources are prepared by their owner."""
    if folder.name.split("-")[-1] not in (*SOURCES, "official"):
        choices = f"data.source must be {' or '.join(SOURCES)}, or data that you have put there"
        return "prepare it again" if folder.is_dir() else choices
    root = "" if folder.parent == Path("data") else f" --root {folder.parent}"
    return f"run `python -m capsnet.prepare {folder.name}{root}`"


@dataclass(frozen=True)
class LabelledImages:
    """Single handwritten digits, 28×28: images uint8 [n, 28, 28], labels int64 [n]."""

    source: str
    digest: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


def read_images(folder: Path) -> LabelledImages:
    """Read the digits prepared in `folder`.

    Raises UserError as `read` does, and when they are not grey pictures of one size with a label
    from 0 to 9 each.
    """
    manifest, arrays = read(folder)
    splits = [(arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in ("train", "test")]
    for images, labels in splits:
        _require_digits(folder, images, labels)
    if (train := splits[0][0].shape[1:]) != (test := splits[1][0].shape[1:]):
        raise UserError(f"{folder}: training pictures are {train}, test pictures {test} in size")
    return LabelledImages(manifest["source"], digest(folder), *splits[0], *splits[1])


def _require_digits(folder: Path, images: NDArray[Any], labels: NDArray[Any]) -> None:
    """Raise UserError unless one split is grey pictures with a label of ten classes each."""
    if images.dtype != np.uint8 or images.ndim != 3:
        raise UserError(
            f"{folder}: pictures are {images.dtype} {images.shape}, but must be uint8 "
            "[n, height, width]: one channel, no colours"
        )
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise UserError(
            f"{folder}: labels are {labels.dtype} {labels.shape}, but must be int64 "
            f"[{len(images)}]: one for each picture"
        )
    if wrong := sorted({*labels.tolist()} - {*range(10)}):
        raise UserError(f"{folder}: label {wrong[0]} is not from 0 to 9: networks have ten classes")


def digest(folder: Path) -> str:
    """Digest the manifest, and so all that was prepared in `folder`. Raises UserError as `read`."""
    manifest = read_manifest(folder)
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def read_made_from(
    digits: LabelledImages, folder: Path
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read tables that only say what to do with `digits`.

    Raises UserError as `read` does, and when they were made from other digits.
    """
    manifest, arrays = read(folder)
    if manifest["digits"] != digits.digest:
        raise UserError(
            f"{folder} was not made from these {digits.source} digits: {repair(folder)}"
        )
    return manifest, arrays
