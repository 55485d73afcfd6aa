"""affNIST as its author published it: 10,000 MNIST test digits under 32 affine maps each."""

import zipfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from scipy.io import loadmat

from capsnet.config import Data
from capsnet.data import affnist, expanded, storage
from capsnet.data.affnist import FRAME, with_affnist
from capsnet.data.dataset import DataSet, TestSet
from capsnet.data.download import fetch_from
from capsnet.data.examples import UnshiftedImages
from capsnet.data.matlab_files import mat_errors
from capsnet.data.specification import LabelledImages
from capsnet.errors import UserError

PIXELS = ("columns", "rows")
MIRROR = "CAPSNET_AFFNIST_MIRROR"
PAGE = "https://www.cs.toronto.edu/~tijmen/affNIST/32x/transformed"
FILE = "test.mat.zip"
WHERE = "it, or name a file with --file"
COUNT = 320_000
ABOUT = {
    "name": "affnist",
    "source": "affnist-official",
    "about": "affNIST (Tieleman): 10,000 MNIST test digits under 32 affine maps each",
}


def prepare(
    folder: Path, file: Path | None = None, pixels: str = PIXELS[0], count: int = COUNT
) -> None:
    """Store the official test set; `file` is test.mat or test.mat.zip, None: fetch it.

    No md5 is published: the one first seen is kept in the manifest, and another file is refused
    from then on. Raises UserError when the file cannot be had, is another, or is not what it should
    be; see `read_mat`.
    """
    with storage.building(folder) as scratch:
        found = file or fetch_from(MIRROR, [PAGE], FILE, scratch, None, WHERE)
        if not found.is_file():
            raise UserError(f"{found} does not exist: it should be affNIST's {FILE}")
        digest = storage.md5(found)
        _require_first_seen(folder, digest)
        arrays = read_mat(found, count, pixels)
        if file is None:
            found.unlink()
        storage.write(scratch, {**ABOUT, "file_md5": digest, "pixels": pixels}, arrays)


def read(folder: Path) -> UnshiftedImages:
    """Read the official test set prepared in `folder`. Raises UserError when there is none."""
    _, arrays = storage.read(folder)
    images, labels = (torch.from_numpy(arrays[f"test_{name}"]) for name in ("images", "labels"))
    return UnshiftedImages(images[:, None], labels)


def read_mat(path: Path, count: int = COUNT, pixels: str = PIXELS[0]) -> dict[str, NDArray[Any]]:
    """Read images uint8 [count, 40, 40], labels int64 and transforms of test.mat, or of its zip.

    `pixels` says whether an image's 1600 numbers run down its `columns`, as documented, or along
    its `rows`. The transforms are the file's own human_readable_transform, [count, columns], where
    it has them. Raises UserError when the file is no such struct, has another shape or count, or
    shows digits that lie on their side.
    """
    struct = _struct(path)
    images, labels = struct["image"], struct["label_int"].ravel()
    if images.dtype != np.uint8 or images.shape != (FRAME**2, count):
        raise UserError(
            f"{path}: image is {images.dtype} {images.shape}, not uint8 {(FRAME**2, count)}"
        )
    if labels.shape != (count,) or not np.isin(labels, np.arange(10)).all():
        raise UserError(f"{path}: label_int is not {count} digits from 0 to 9")
    squares = images.T.reshape(count, FRAME, FRAME)
    squares = np.ascontiguousarray(squares.transpose(0, 2, 1) if pixels == "columns" else squares)
    _require_upright(path, squares[labels == 1], pixels)
    arrays = {"test_images": squares, "test_labels": labels.astype(np.int64)}
    transforms = struct.get("human_readable_transform")
    if transforms is not None and transforms.ndim == 2 and transforms.shape[1] == count:
        arrays["test_transforms"] = np.ascontiguousarray(transforms.T.astype(np.float32))
    return arrays


def _struct(path: Path) -> dict[str, NDArray[Any]]:
    """Read the fields of the file's affNISTdata."""
    with mat_errors(path), _unzipped(path) as file:
        struct = loadmat(file).get("affNISTdata")
    if struct is None or struct.shape != (1, 1) or struct.dtype.names is None:
        raise UserError(f"{path} holds no MATLAB struct affNISTdata")
    fields = {name: struct[0, 0][name] for name in struct.dtype.names}
    if missing := {"image", "label_int"} - fields.keys():
        raise UserError(f"{path}: its affNISTdata has no {' and no '.join(sorted(missing))}")
    return fields


@contextmanager
def _unzipped(path: Path) -> Iterator[IO[bytes]]:
    """Open the .mat file, unzipped where it comes in a zip."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        inside = [name for name in archive.namelist() if name.endswith(".mat")]
        if len(inside) != 1:
            raise UserError(f"{path} holds {len(inside)} .mat files, not one")
        with archive.open(inside[0]) as file:
            yield file


def _require_upright(path: Path, ones: UInt8[np.ndarray, "n height width"], pixels: str) -> None:
    """Check that ones are taller than wide: else the pixels run the other way."""
    tall, wide = ones.any(2).sum(), ones.any(1).sum()
    if tall < wide:
        other = PIXELS[1 - PIXELS.index(pixels)]
        raise UserError(
            f"{path}: read along its {pixels}, the ones lie on their side; try --pixels {other}"
        )


def _require_first_seen(folder: Path, digest: str) -> None:
    there = (folder / storage.MANIFEST).is_file()
    try:
        known = storage.read_manifest(folder)["file_md5"] if there else digest
    except UserError as error:
        raise UserError(f"{folder} is damaged: delete it, and prepare it again") from error
    if known != digest:
        raise UserError(
            f"the file's md5 is {digest}, but {folder} was made from one with {known}: "
            f"delete {folder} to trust the new one"
        )


def load(data: Data, images: LabelledImages, seed: int, held: int) -> DataSet:
    """Return expanded digits, tested on the official affNIST as well.

    Raises UserError for images that are not MNIST's, of which affNIST is made.
    """
    if images.source != "mnist":
        raise UserError(
            f"the official affNIST is made of mnist, not of {images.source}: use data=affnist"
        )
    folder = SPEC.folder(data)
    # that each batch of the file has MNIST's order is nowhere stated [?]
    test = TestSet(read(folder), "affnist-official", len(images.test_labels))
    return with_affnist(expanded.load(data, images, seed, held), test, folder)


def add_options(parser: ArgumentParser) -> None:
    """Declare the options of `prepare`."""
    parser.add_argument("--file", type=Path, help="test.mat or test.mat.zip, to download nothing")
    parser.add_argument("--pixels", choices=PIXELS, help="their order (columns)")


SPEC = replace(
    affnist.SPEC,
    name="affnist_official",
    load=load,
    folders=(*expanded.SPEC.folders, "affnist-official"),
    prepare=prepare,
    add_options=add_options,
)
