"""Prepared data on disk: a folder of arrays and a manifest that says what they are."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from capsnet import registry
from capsnet.config import PICTURES
from capsnet.data.groups import Groups
from capsnet.data.info import DIGITS, DatasetInfo
from capsnet.data.specification import DataSpec, LabelledImages
from capsnet.errors import UserError

MANIFEST = "manifest.json"
BUILT = {".npy", ".json", ".yaml"}  # what is in folders that were built here
OWN_ARRAYS = {  # of labelled images; all others are annotations
    f"{split}_{name}" for split in ("train", "test") for name in ("images", "labels", "groups")
}


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Yield a scratch folder that becomes `folder` at the end, or leaves no trace.

    A second process that builds the same folder waits. What `folder` held before is replaced; if it
    is a link, what it leads to. Raises UserError when it holds files that were not built here, and
    when the disk does not take what is written.
    """
    folder = folder.resolve()
    _require_built(folder)
    scratch = folder.with_name(f".{folder.name}.partial")
    with _alone(scratch):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
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


def _require_built(folder: Path) -> None:
    """Raise UserError when building `folder` would delete a file of somebody else."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    others = [one for one in found if one.suffix not in BUILT and not one.name.startswith(".")]
    if others:
        raise UserError(
            f"{others[0]} was not built by capsnet, and {folder} is to be built anew: move it"
        )


@contextmanager
def _alone(scratch: Path) -> Iterator[None]:
    """Wait for other processes that build in `scratch`, and keep others out."""
    scratch.parent.mkdir(parents=True, exist_ok=True)
    lock = scratch.with_name(f"{scratch.name}.lock")
    with FileLock(lock):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)  # who waits for it makes another


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
    """Return the file's md5, in hexadecimal."""
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
    """Memory-map an array copy-on-write, as torch warns about read-only ones; none is changed."""
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


def repair(folder: Path, options: str = "") -> str:
    """Return the advice that ends an error message: the command that prepares `folder`.

    The command has these `options`; for an unknown folder, the advice names the known sources.
    """
    sources = registry.names("capsnet.sources")
    if folder.name.startswith(f"{PICTURES}-"):
        return (
            f"run `python -m capsnet.prepare {PICTURES} FOLDER`, FOLDER being that of the pictures"
        )
    if folder.name.split("-")[-1] not in (*sources, "official"):
        choices = (
            f"data.source must be one of {', '.join(sources)}, or data that you have put there"
        )
        return "prepare it again" if folder.is_dir() else choices
    root = "" if folder.parent == Path("data") else f" --root {folder.parent}"
    return f"run `python -m capsnet.prepare {folder.name}{root}{options}`"


Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


def write_images(
    folder: Path,
    about: Mapping[str, Any],
    train: tuple[Images, Labels],
    test: tuple[Images, Labels],
    groups: tuple[Labels, Labels] | None = None,
    annotations: Mapping[str, tuple[NDArray[Any], NDArray[Any]]] | None = None,
    scratch: Path | None = None,
) -> None:
    """Store labelled images as the prepared data set `folder`.

    Images are uint8 [n, height, width] or [n, channels, height, width], labels int64 [n]. `about`
    is a `DataSpec.manifest`, or holds name, source and class_names itself. `groups` int64 [n] say
    which training and test images show the same thing, which `about` may name: group_name, such as
    'toy'. `annotations` are other facts by name, with a row for each training and test image.
    `scratch` is what `building(folder)` gave, where the caller builds the folder. Raises UserError
    when the arrays are others, or the disk is full.
    """
    require_images(folder, [train, test], tuple(about.get("class_names", DIGITS)))
    rows = {"images": (train[0], test[0]), "labels": (train[1], test[1]), **(annotations or {})}
    if groups is not None:
        require_groups(folder, groups, (len(train[1]), len(test[1])))
        rows["groups"] = groups
    arrays = {
        f"{split}_{name}": both[k]
        for k, split in enumerate(("train", "test"))
        for name, both in rows.items()
    }
    with nullcontext(scratch) if scratch else building(folder) as place:
        write(place, about, arrays)


def read_images(folder: Path) -> LabelledImages:
    """Read the labelled images prepared in `folder`.

    Those of a registered source are what its specification says; others are what their manifest
    says, with digits as classes where it names none. Raises UserError as `read` does, and when they
    are not images of one shape with a label of a known class each.
    """
    manifest, arrays = read(folder)
    splits = [(arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in ("train", "test")]
    known = folder.name in registry.names("capsnet.sources")
    spec: DataSpec | None = registry.load("capsnet.sources", folder.name) if known else None
    names = spec.class_names if spec else tuple(manifest.get("class_names", DIGITS))
    require_images(folder, splits, names)
    (train, train_labels), (test, test_labels) = ((_4d(one), labels) for one, labels in splits)
    channels, height, width = train.shape[1:]
    source = manifest.get("title", manifest["source"])
    found = DatasetInfo(source, channels, height, width, names)
    info = spec.info if spec else found
    if found.image != info.image:
        raise UserError(
            f"{folder}: images are {_shape(train)}, but {folder.name} is specified as "
            f"{'×'.join(map(str, info.image))}: {repair(folder)}"
        )
    groups = _groups(folder, manifest, arrays, (len(train), len(test)))
    others = {name: rows for name, rows in arrays.items() if name not in OWN_ARRAYS}
    return LabelledImages(
        *(source, digest(folder), info, train, train_labels, test, test_labels),
        *groups,
        annotations=others,
    )


def _groups(
    folder: Path, manifest: dict[str, Any], arrays: dict[str, Labels], counts: tuple[int, int]
) -> tuple[Groups | None, Groups | None]:
    """Return the groups of training and test images, None where the images have none."""
    if not {"train_groups", "test_groups"} & arrays.keys():
        return None, None
    train, test = arrays["train_groups"], arrays["test_groups"]
    require_groups(folder, (train, test), counts)
    name = manifest.get("group_name", "group")
    return Groups(name, train), Groups(name, test)


def _4d(images: Images) -> Images:
    """Add the axis of their one channel to grey images."""
    return images[:, None] if images.ndim == 3 else images


def _shape(images: Images) -> str:
    return "×".join(map(str, images.shape[1:]))


def require_images(
    folder: Path, splits: Sequence[tuple[Images, Labels]], class_names: tuple[str, ...]
) -> None:
    """Raise UserError unless training and test are images of one shape with a known class each."""
    for images, labels in splits:
        _require_split(folder, images, labels, class_names)
    (train, _), (test, _) = splits
    if train.shape[1:] != test.shape[1:]:
        shapes = f"training images are {_shape(train)}, test images {_shape(test)}"
        raise UserError(f"{folder}: {shapes}: they must have one shape")


def _require_split(
    folder: Path, images: NDArray[Any], labels: NDArray[Any], class_names: tuple[str, ...]
) -> None:
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise UserError(
            f"{folder}: images are {images.dtype} {images.shape}, but must be uint8 "
            "[n, height, width] or [n, channels, height, width]"
        )
    if images.ndim == 4 and images.shape[1] > 4:
        raise UserError(f"{folder}: images are {_shape(images)}, but their channels come first")
    if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise UserError(
            f"{folder}: labels are {labels.dtype} {labels.shape}, but must be int64 "
            f"[{len(images)}]: one for each image"
        )
    if wrong := sorted({*labels.tolist()} - {*range(len(class_names))}):
        raise UserError(
            f"{folder}: label {wrong[0]} is not from 0 to {len(class_names) - 1}: the data have "
            f"{len(class_names)} classes (class_names)"
        )


def require_groups(folder: Path, groups: Sequence[Labels], counts: Sequence[int]) -> None:
    """Raise UserError unless each image has a group, and the test images have two or more."""
    for of, count in zip(groups, counts, strict=True):
        if of.dtype != np.int64 or of.shape != (count,):
            raise UserError(
                f"{folder}: groups are {of.dtype} {of.shape}, but must be int64 [{count}]: "
                "one for each image"
            )
    if len(np.unique(groups[-1])) < 2:
        raise UserError(
            f"{folder}: the test images are all of one group, but errors on one say nothing of "
            "others: give two groups or more"
        )


def digest(folder: Path) -> str:
    """Digest the manifest without its title, and so everything that was prepared in `folder`.

    Raises UserError as `read` does.
    """
    manifest = {key: one for key, one in read_manifest(folder).items() if key != "title"}
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
