"""SVHN's two MATLAB files: files of their layout by SciPy's writer, and files that are none."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from capsnet.data import svhn
from capsnet.data.storage import read_images
from helpers.preparing import refusal, run

TRAIN, TEST = "train_32x32.mat", "test_32x32.mat"
LABELS = {TRAIN: [10, 1, 9, 2, 10], TEST: [5, 10, 3]}


def value(image: int, channel: int, row: int, column: int) -> int:
    return (7 * image + 101 * channel + 5 * row + 3 * column) % 256


def pixels(count: int) -> np.ndarray:
    """Images as the official files have them: row, column, channel, image."""
    images = np.zeros((32, 32, 3, count), np.uint8)
    for row, column, channel, image in np.ndindex(*images.shape):
        images[row, column, channel, image] = value(image, channel, row, column)
    return images


def variables(name: str) -> dict[str, Any]:
    labels = np.array(LABELS[name], np.uint8)[:, None]
    return {"X": pixels(len(labels)), "y": labels}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with both files, of five and of three images, which are the right numbers."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in (TRAIN, TEST):
        savemat(folder / name, variables(name), do_compression=True)
    monkeypatch.setenv("CAPSNET_SVHN_MIRROR", str(folder))
    monkeypatch.setattr(svhn, "COUNT", {"train": 5, "test": 3})
    return folder


def trust(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"train": folder / TRAIN, "test": folder / TEST}
    md5s = {split: hashlib.md5(path.read_bytes()).hexdigest() for split, path in content.items()}
    monkeypatch.setattr(svhn, "MD5", md5s)


def test_pixels_and_labels_are_where_another_writer_put_them(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(mirror, monkeypatch)
    run(tmp_path / "data", "svhn")
    images = read_images(tmp_path / "data/svhn")
    assert images.source == "svhn"
    assert images.info.class_names == tuple("0123456789")
    assert images.train_labels.tolist() == [0, 1, 9, 2, 0]  # 10 is the digit 0
    assert images.test_labels.tolist() == [5, 0, 3]
    shape = images.train_images.shape
    assert shape == (5, 3, 32, 32)
    expected = [value(*place) for place in np.ndindex(*shape)]
    assert images.train_images.flatten().tolist() == expected
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["svhn"]
    assert not [*(tmp_path / "data/svhn").glob("*.mat")]


UNOFFICIAL = {
    "empty": (b"", "is an empty file"),
    "a page": (b"<html><body>Moved</body></html>", "is an HTML page"),
    "cut": (bytes(1000), "is a truncated or altered file of 1,000 bytes"),
}


@pytest.mark.parametrize("fault", UNOFFICIAL)
def test_a_file_that_is_not_the_official_one_is_named_with_both_md5s(
    fault: str, mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, expected = UNOFFICIAL[fault]
    (mirror / TRAIN).write_bytes(content)
    line = refusal(tmp_path / "data", capsys, "svhn")
    assert f"could not get {TRAIN}: {mirror / TRAIN} {expected}" in line
    assert "the right one is e26dedcc434d2e4c54c9b2d4a06d8373)" in line


@pytest.mark.parametrize("name", [TRAIN, TEST])
@pytest.mark.parametrize("fault", ["altered", "the other file"])
def test_a_readable_file_of_another_md5_is_refused(
    fault: str,
    name: str,
    mirror: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trust(mirror, monkeypatch)
    if fault == "altered":
        savemat(mirror / name, variables(name) | {"more": 1})
    else:
        (mirror / name).write_bytes((mirror / (TEST if name == TRAIN else TRAIN)).read_bytes())
    line = refusal(tmp_path / "data", capsys, "svhn")
    assert f"could not get {name}: {mirror / name} is a truncated or altered file" in line


def damage(path: Path, fault: str) -> None:
    """Make a training file that is not SVHN's, whatever its md5."""
    right = variables(TRAIN)
    images, labels = right["X"], right["y"]
    match fault:
        case "empty":
            path.write_bytes(b"")
        case "a page":
            path.write_bytes(b"<!DOCTYPE html>" + b"<p>Moved</p>" * 100)
        case "another format":
            path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
        case "MATLAB 7.3":
            path.write_bytes(
                b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + b"\x89HDF" + bytes(1000)
            )
        case "cut in its header" | "cut in its pixels" | "cut in its labels":
            savemat(path, right)
            size = {"header": 100, "pixels": 2000, "labels": -4}[fault.split()[-1]]
            path.write_bytes(path.read_bytes()[:size])
        case "no y":
            savemat(path, {"X": images})
        case "bounding boxes":
            savemat(path, {"digitStruct": np.zeros(3)})
        case "X of floats":
            savemat(path, right | {"X": images / 255})
        case "images first":
            savemat(path, right | {"X": images.transpose(3, 0, 1, 2)})
        case "grey":
            savemat(path, right | {"X": images[:, :, :1]})
        case "label 0" | "label 11":
            savemat(path, right | {"y": np.where(labels == 9, int(fault.split()[1]), labels)})
        case "label 1.5":
            savemat(path, right | {"y": labels * 0.75})
        case "a label too few":
            savemat(path, right | {"y": labels[1:]})
        case "an image too few":
            savemat(path, {"X": images[..., 1:], "y": labels[1:]})
        case _:
            raise AssertionError(fault)


NO_FILE = f"{TRAIN} is truncated or no MATLAB 5 file ("
X = f"{TRAIN}: X is "
LABEL = f"{TRAIN}: y must have a label from 1 to 10 for each of 5 images"
FAULTS = {
    "empty": NO_FILE,
    "a page": NO_FILE,
    "another format": NO_FILE,
    "MATLAB 7.3": NO_FILE,
    "cut in its header": NO_FILE,
    "cut in its pixels": NO_FILE,
    "cut in its labels": NO_FILE,
    "no y": f"{TRAIN} lacks the array y: it must have X and y",
    "bounding boxes": f"{TRAIN} lacks the array X: it must have X and y",
    "X of floats": f"{X}float64 (32, 32, 3, 5), but must be uint8 (32, 32, 3, n)",
    "images first": f"{X}uint8 (5, 32, 32, 3), but must be",
    "grey": f"{X}uint8 (32, 32, 1, 5), but must be",
    "label 0": LABEL,
    "label 11": LABEL,
    "label 1.5": LABEL,
    "a label too few": LABEL,
    "an image too few": f"{TRAIN} has 4 images, but must have 5",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_trusted_file_that_is_not_svhn_is_refused_all_the_same(
    fault: str,
    mirror: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(mirror / TRAIN, fault)
    trust(mirror, monkeypatch)
    assert FAULTS[fault] in refusal(tmp_path / "data", capsys, "svhn")


def test_the_official_numbers_of_images_are_asked_for(
    mirror: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trust(mirror, monkeypatch)
    monkeypatch.setattr(svhn, "COUNT", {"train": 73_257, "test": 26_032})
    line = refusal(tmp_path / "data", capsys, "svhn")
    assert f"{TRAIN} has 5 images, but must have 73,257" in line


def test_a_mirror_of_the_extra_images_alone_is_told_that_they_are_not_used(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mirror / TRAIN).rename(mirror / "extra_32x32.mat")
    line = refusal(tmp_path / "data", capsys, "svhn")
    assert f"could not get {TRAIN}: {mirror / TRAIN} does not exist. Set CAPSNET_SVHN_M" in line
    assert "extra_32x32.mat is not used: the paper trains on the 73,257 images of train_" in line


def test_the_extra_images_are_refused_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(tmp_path / "data", capsys, "svhn", "--extra")
    assert "extra_32x32.mat is not used: the paper trains on the 73,257 images of train_" in line


@pytest.mark.slow
def test_options_and_bad_mirrors_are_answered_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from capsnet.prepare import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    for arguments, expected in [
        ("svhn --help", "0 False"),
        ("cifar10 --help", "0 False"),
        ("svhn", "1 False"),
    ]:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments.split()],
            cwd=tmp_path,
            env={"PYTHONPATH": ":".join(sys.path), "CAPSNET_SVHN_MIRROR": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.stdout.splitlines()[-1] == expected, done
