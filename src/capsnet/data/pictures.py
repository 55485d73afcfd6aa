"""Your own pictures in a folder for each class, made into a data set of square images.

`data=images data.path=FOLDER` prepares them when they are first used, in a folder whose name has
the digest of the pictures: a folder that has changed is another data set.
"""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from capsnet import paper
from capsnet.config import PICTURES, Data, RunConfig
from capsnet.data import storage
from capsnet.data.options import whole_number
from capsnet.data.picture_files import read_picture
from capsnet.data.picture_folders import (
    Picture,
    PictureFolder,
    digest,
    find_pictures,
    progress,
)
from capsnet.errors import UserError

VERSION = 1  # of how pictures become images: another one makes another data set


def add_options(parser: ArgumentParser) -> None:
    """Declare the folder of pictures and what is made of it."""
    parser.add_argument(
        "pictures", type=Path, metavar="FOLDER", help="with a folder for each class"
    )
    parser.add_argument("--size", type=whole_number(1, 128), help="pixels on a side (32)")
    parser.add_argument("--test-share", type=_share, help="of each class, held out for tests (0.2)")
    about = "1: all grey, 3: all RGB (as they are)"
    parser.add_argument("--channels", type=int, choices=(1, 3), help=about)


def _share(text: str) -> float:
    if not 0 < float(text) < 1:
        raise ArgumentTypeError(f"{text} is not between 0 and 1")
    return float(text)


def prepare(folder: Path, pictures: Path, **options: Any) -> None:
    """Prepare the pictures anew, beside `folder`, in images-DIGEST.

    Raises UserError as `located` does.
    """
    root = str(folder.parent)
    data = Data(name="shifted", source=PICTURES, root=root, path=str(pictures), **options)
    found = _find(data)
    _build(found, Path(data.root) / _name(found, data), data)


def on_pictures(run: RunConfig) -> RunConfig:
    """Return a run whose data are prepared, renamed after its pictures if it is one of the paper's.

    'mnist_capsnet_r3_recon' becomes 'pets_capsnet_r3_recon' on a folder 'pets': the paper has no
    number for it. Runs without `data.path` stay as they are. Raises UserError as `located` does.
    """
    if run.data.path is None:
        return run
    data = located(run.data)
    title = storage.read_manifest(Path(data.root) / data.source)["title"]
    name = f"{title}_{run.name.partition('_')[2]}" if paper.table_of(run.name) else run.name
    return replace(run, data=data, name=f"own_{name}" if paper.table_of(name) else name)


def located(data: Data) -> Data:
    """Return `data` with the prepared folder of its pictures as source.

    What is not there is prepared from `data.path`. Raises UserError for pictures that cannot be
    used, and when they are not those that a run was trained on.
    """
    root, known = Path(data.root), data.source.startswith(f"{PICTURES}-")
    if data.path is None or (known and (root / data.source).is_dir()):
        return data
    found = _find(data)
    name = _name(found, data)
    if known and data.source != name:
        raise UserError(
            f"{root / data.source} is missing, and {found.root} no longer holds the pictures that "
            "it was prepared from: put one of them back"
        )
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f".{name}.lock"):
        if not (root / name).is_dir():
            _build(found, root / name, data)
    return replace(data, source=name, path=str(found.root))


def _find(data: Data) -> PictureFolder:
    return find_pictures(Path(data.path or "").expanduser().absolute(), data.test_share)


def _name(found: PictureFolder, data: Data) -> str:
    return f"{PICTURES}-{digest(found, (VERSION, data.size, data.channels))}"


def _build(found: PictureFolder, folder: Path, data: Data) -> None:
    """Read all pictures and store them as the prepared data set `folder`."""
    images = _read(found, data)
    count = len(found.train)
    labels = (np.array([one.label for one in part], np.int64) for part in (found.train, found.test))
    about = {"name": folder.name, "source": PICTURES, "title": _title(found.root)}
    train, test = zip((images[:count], images[count:]), labels, strict=True)
    storage.write_images(folder, about | {"class_names": found.class_names}, train, test)
    print(
        f"{folder}: {count:,} training and {len(found.test):,} test pictures of "
        f"{len(found.class_names)} classes, {'×'.join(map(str, images.shape[1:]))}"
    )


def _title(root: Path) -> str:
    """Name the data after their folder, in characters that W&B takes in names."""
    name = root.resolve().name
    return "".join(one if one.isascii() and one.isalnum() else "-" for one in name) or PICTURES


def _read(found: PictureFolder, data: Data) -> NDArray[np.uint8]:
    """Read training and test pictures, uint8 [n, channels, height, width], on all cores."""
    pictures = [*found.train, *found.test]
    with ThreadPoolExecutor() as pool:
        read = pool.map(lambda one: read_picture(one.path, data.size, data.channels), pictures)
        images = list(progress(read, f"Reading {found.root.name}", len(pictures)))
    _require_one_kind(pictures, images)
    return np.stack(images)


def _require_one_kind(pictures: Sequence[Picture], images: Sequence[NDArray[np.uint8]]) -> None:
    """Raise UserError where some pictures are grey and some are in colour."""
    kinds = {len(image): one.path for one, image in zip(pictures, images, strict=True)}
    if len(kinds) > 1:
        raise UserError(
            f"{kinds[1]} is grey and {kinds[3]} is in colour: data.channels=1 (--channels 1) makes "
            "all grey, data.channels=3 all RGB"
        )
