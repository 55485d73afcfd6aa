"""Folders of pictures: a folder for each class, below train/ and test/ or with a share held out."""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from rich.progress import track

from capsnet.errors import UserError

Item = TypeVar("Item")
PARTS = ("train", "test")
TEST_SHARE = 0.2
SKIPPED = ("Thumbs.db", "desktop.ini")  # of Windows; hidden files are skipped as well


class Picture(NamedTuple):
    """A file, its name 'class/file', and the number of its class."""

    path: Path
    name: str
    label: int


class PictureFolder(NamedTuple):
    """The pictures of a folder. Class i of `class_names`, sorted by name, is labelled i."""

    root: Path
    class_names: tuple[str, ...]
    train: list[Picture]
    test: list[Picture]


def find_pictures(root: Path, test_share: float | None = None) -> PictureFolder:
    """Find ROOT/train/CLASS/* and ROOT/test/CLASS/*, or ROOT/CLASS/* and hold a share out.

    Of each class `test_share` (None: 0.2) is held out, at least one picture, the first in the order
    of the SHA-256 of 'test class/file'. Both parts are in the order of that of 'mixed class/file',
    which mixes the classes. Raises UserError for what is missing, empty, or in a place where no
    picture belongs.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: name one that holds a folder for each class")
    if any(_entries(root / part, folders=True) for part in PARTS):
        return _divided(root, test_share)
    classes = _classes(root)
    parts = [_held_out(root / name, files, test_share) for name, files in classes.items()]
    return _folder(root, [*classes], [part[1] for part in parts], [part[0] for part in parts])


def _divided(root: Path, test_share: float | None) -> PictureFolder:
    """Find the pictures of a folder that is divided into train and test."""
    if test_share is not None:
        raise UserError(f"{root} has its own test folder: leave the test share ({test_share}) out")
    for entry in _entries(root):
        if entry.name not in PARTS or not entry.is_dir():
            raise UserError(f"{entry} is beside train and test, which must be alone in {root}")
    for part in PARTS:
        if not (root / part).is_dir():
            raise UserError(f"{root / part} is missing: {root} must hold both train and test")
    train, test = (_classes(root / part) for part in PARTS)
    if lacking := sorted(train.keys() ^ test.keys()):
        part = "test" if lacking[0] in train else "train"
        raise UserError(f"{root / part / lacking[0]} is missing: train and test have one classes")
    return _folder(root, [*train], [*train.values()], [*test.values()])


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Find the files of each class, the classes sorted by name."""
    folders = _entries(folder, folders=True)
    if not folders:
        raise UserError(f"{folder} holds no folders: it must hold a folder of pictures a class")
    for entry in _entries(folder):
        if not entry.is_dir():
            raise UserError(f"{entry} is beside the folders of the classes: move it into its own")
        if not entry.name.isprintable():
            raise UserError(f"{str(entry)!r} has a name that cannot be printed: rename it")
    if len(folders) == 1:
        raise UserError(f"{folders[0]} is the only class in {folder}: there must be two or more")
    return {one.name: _files(one) for one in folders}


def _files(folder: Path) -> list[Path]:
    if inner := _entries(folder, folders=True):
        raise UserError(f"{inner[0]} is a folder in that of a class: move its pictures up")
    files = _entries(folder)
    if not files:
        raise UserError(f"{folder} holds no picture: fill it, or remove the class")
    return files


def _entries(folder: Path, folders: bool = False) -> list[Path]:
    """List what is in a folder, if there is one, by name: all that is visible, or folders alone."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    visible = [one for one in entries if not one.name.startswith(".") and one.name not in SKIPPED]
    return [one for one in visible if one.is_dir()] if folders else visible


def _held_out(
    folder: Path, files: list[Path], test_share: float | None
) -> tuple[list[Path], list[Path]]:
    """Divide the files of a class into those held out for testing and the others."""
    if len(files) == 1:
        raise UserError(f"{folder} holds one picture: it takes two, to train on and to test on")
    ordered = sorted(files, key=lambda path: _order("test", f"{folder.name}/{path.name}"))
    wanted = round((test_share or TEST_SHARE) * len(files))
    count = min(max(wanted, 1), len(files) - 1)
    return ordered[:count], ordered[count:]


def _folder(
    root: Path, names: list[str], train: list[list[Path]], test: list[list[Path]]
) -> PictureFolder:
    return PictureFolder(root, tuple(names), _mixed(names, train), _mixed(names, test))


def _mixed(names: list[str], classes: list[list[Path]]) -> list[Picture]:
    """Put the pictures of all classes into one order, so that the first are of every class."""
    pictures = [
        Picture(path, f"{name}/{path.name}", label)
        for label, (name, files) in enumerate(zip(names, classes, strict=True))
        for path in files
    ]
    return sorted(pictures, key=lambda picture: _order("mixed", picture.name))


def _order(purpose: str, name: str) -> bytes:
    """Order names as if by chance, and another way for another purpose."""
    return hashlib.sha256(f"{purpose} {name}".encode(errors="surrogateescape")).digest()


def digest(folder: PictureFolder, settings: Iterable[object]) -> str:
    """Digest `settings` and the names and bytes of all pictures, wherever their folder is.

    Raises UserError for a file that cannot be read, and for one to train on and one to test on
    whose bytes are the same.
    """
    found = hashlib.sha256(json.dumps(list(settings)).encode())
    parts = [(part, sorted(getattr(folder, part), key=lambda one: one.name)) for part in PARTS]
    pictures = [(part, one) for part, some in parts for one in some]
    train, both = dict[str, Path](), list[tuple[Path, Path]]()
    for part, one in progress(pictures, f"Looking through {folder.root.name}", len(pictures)):
        contents = _bytes_digest(one.path)
        found.update(json.dumps([part, one.name, contents]).encode())
        if part == "train":
            train[contents] = one.path
        elif contents in train:
            both.append((train[contents], one.path))
    _require_apart(both)
    return found.hexdigest()[:16]


def _require_apart(both: list[tuple[Path, Path]]) -> None:
    """Raise UserError if there are pictures `both` to train on and to test on."""
    if both:
        first, second = both[0]
        raise UserError(
            f"{first}, to train on, and {second}, to test on, are one picture, and there are "
            f"{len(both)} such pairs: keep one of each"
        )


def progress(items: Iterable[Item], about: str, total: int) -> Iterable[Item]:
    """Show on a terminal, and only there, how many of `total` items are done."""
    return track(items, about, total, transient=True, disable=not sys.stdout.isatty())


def _bytes_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): replace or remove it") from None
