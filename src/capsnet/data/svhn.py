"""SVHN: 73,257 training and 26,032 test house-number digits, RGB of 32×32 pixels.

The paper trains on "the small training set": the 531,131 images of `extra` are not used.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray
from rich.progress import track

from capsnet.data import storage
from capsnet.data.download import fetch_from
from capsnet.data.matlab_files import mat_errors
from capsnet.data.specification import DataSpec
from capsnet.errors import UserError

MIRROR = "CAPSNET_SVHN_MIRROR"
PAGE = "http://ufldl.stanford.edu/housenumbers"
FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}
MD5 = {"train": "e26dedcc434d2e4c54c9b2d4a06d8373", "test": "eb5a983be6a315427106f1b164d9cef3"}
COUNT = {"train": 73_257, "test": 26_032}
NO_EXTRA = "extra_32x32.mat is not used: the paper trains on the 73,257 images of train_32x32.mat"
WHAT = f"{FILES['train']} and {FILES['test']} as {PAGE} has them ({NO_EXTRA})"
ABOUT = "SVHN (Netzer et al. 2011), cropped digits: 73,257 training and 26,032 test images"


def prepare(folder: Path, extra: bool = False) -> None:
    """Fetch the two official files, check them, and store their images as arrays in `folder`.

    Raises UserError when no mirror gives a file with the right md5, when one is not what `read_mat`
    reads or has another number of images, and when `extra` is asked for.
    """
    if extra:
        raise UserError(f"{NO_EXTRA}; leave out --extra")
    with storage.building(folder) as scratch:
        files = {
            split: fetch_from(MIRROR, [PAGE], name, scratch, MD5[split], WHAT)
            for split, name in FILES.items()
        }
        arrays: dict[str, NDArray[Any]] = {}
        for split, file in track(files.items(), description="Reading SVHN"):
            images, labels = read_mat(file)
            _require_official_count(file, split, len(labels))
            arrays |= {f"{split}_images": images, f"{split}_labels": labels}
            file.unlink()
        storage.write(scratch, {**SPEC.manifest, "about": ABOUT, "file_md5": MD5}, arrays)


def read_mat(path: Path) -> tuple[UInt8[np.ndarray, "n 3 32 32"], Int64[np.ndarray, "n"]]:
    """Read X, uint8 [32, 32, 3, n], and y, [n, 1] from 1 to 10, where 10 labels the digit 0.

    Raises UserError when it is no MATLAB file, or its arrays are others.
    """
    pixels, labels = _variables(path)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:3] != (32, 32, 3):
        raise UserError(
            f"{path.name}: X is {pixels.dtype} {pixels.shape}, but must be uint8 (32, 32, 3, n)"
        )
    if labels.shape != (pixels.shape[3], 1) or not np.isin(labels, np.arange(1, 11)).all():
        raise UserError(
            f"{path.name}: y must have a label from 1 to 10 for each of {pixels.shape[3]:,} images"
        )
    images = np.ascontiguousarray(pixels.transpose(3, 2, 0, 1))
    return images, labels.ravel().astype(np.int64) % 10


def _variables(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read X and y, of any shape."""
    from scipy.io import loadmat

    with mat_errors(path):
        values = loadmat(path, variable_names=("X", "y"))
    if missing := [name for name in ("X", "y") if name not in values]:
        raise UserError(f"{path.name} lacks the array {missing[0]}: it must have X and y")
    return values["X"], values["y"]


def _require_official_count(file: Path, split: str, count: int) -> None:
    if count != COUNT[split]:
        raise UserError(f"{file.name} has {count:,} images, but must have {COUNT[split]:,}")


def add_options(parser: ArgumentParser) -> None:
    """Declare the option that is refused, with the reason."""
    parser.add_argument("--extra", action="store_true", help="refused: the paper trains without it")


SPEC = DataSpec(
    name="svhn",
    title="SVHN",
    channels=3,
    height=32,
    width=32,
    prepare=prepare,
    add_options=add_options,
)
