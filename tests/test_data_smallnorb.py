"""smallNORB's reader, on files of its format: no official one but the labels is known here."""

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from capsnet.data import smallnorb, storage
from capsnet.data.specification import LabelledImages
from capsnet.errors import UserError
from capsnet.prepare import prepare
from helpers import norb

FEW = norb.arrays(elevations=(0,), azimuths=(0, 2))
COUNT = 50


def prepare_from(
    mirror: Path, folder: Path, md5: dict[str, str], patch: pytest.MonkeyPatch, count: int
) -> LabelledImages:
    patch.setenv(smallnorb.MIRROR, str(mirror))
    for key, value in md5.items():
        patch.setitem(smallnorb.MD5, key, value)
    prepare("smallnorb", folder, count=count)
    return storage.read_images(folder)


def test_the_labels_have_the_published_md5_and_are_read(tmp_path: Path) -> None:
    labels = (np.arange(24_300) % 5).astype("<i4")
    content = norb.matrix(labels)
    # Public readers of smallNORB expect this sum of both unpacked files (ethanleet/CapsNet).
    assert hashlib.md5(content).hexdigest() == "fd5120d3f770ad57ebe620eb61a0b633"
    (tmp_path / "cat.mat.gz").write_bytes(gzip.compress(content))
    found = smallnorb.read_matrix(tmp_path / "cat.mat.gz", "<i4", (24_300,))
    np.testing.assert_array_equal(found, labels)


def test_pairs_are_every_second_pixel_and_toys_come_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    md5 = norb.write_mirror(tmp_path / "mirror", FEW)
    found = prepare_from(
        tmp_path / "mirror", tmp_path / "data" / "smallnorb", md5, monkeypatch, COUNT
    )
    assert found.info.image == (2, 48, 48)
    assert found.info.class_names == ("animal", "human", "airplane", "truck", "car")
    assert found.train_groups is not None
    assert found.test_groups is not None
    assert found.train_groups.name == "toy"
    order = sorted(range(COUNT), key=lambda pair: FEW["train-info"][pair, 0])
    for split, images, labels, toys, pairs in (
        ("train", found.train_images, found.train_labels, found.train_groups.of, order),
        ("test", found.test_images, found.test_labels, found.test_groups.of, range(COUNT)),
    ):
        info = found.annotations[f"{split}_info"]
        for place, pair in enumerate(pairs):
            assert labels[place] == pair % 5
            assert info[place].tolist() == FEW[f"{split}-info"][pair].tolist()
            assert toys[place] == 10 * labels[place] + info[place, 0]
            for eye, row, column in ((0, 0, 0), (1, 0, 47), (0, 31, 6), (1, 47, 47)):
                expected = FEW[f"{split}-dat"][pair, eye, 2 * row, 2 * column]
                assert images[place, eye, row, column] == expected
    manifest = json.loads((tmp_path / "data" / "smallnorb" / "manifest.json").read_text())
    assert (manifest["source"], manifest["terms"]) == (
        "smallnorb",
        "for research purposes; cannot be sold",
    )
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["smallnorb"]
    assert not [one for one in (tmp_path / "data" / "smallnorb").iterdir() if one.is_dir()]


def test_viewpoints_are_given_in_degrees() -> None:
    info = np.array([[4, 0, 0, 3], [4, 2, 34, 3], [9, 8, 6, 0]])
    assert smallnorb.elevation(info).tolist() == [30, 40, 70]
    assert smallnorb.azimuth(info).tolist() == [0, 340, 60]


def changed(key: str, place: tuple[int, ...], value: int) -> bytes:
    values = FEW[key].copy()
    values[place] = value
    return gzip.compress(norb.matrix(values))


def with_header(key: str, place: int, value: int) -> bytes:
    content = bytearray(norb.matrix(FEW[key]))
    content[4 * place : 4 * place + 4] = value.to_bytes(4, "little")
    return gzip.compress(content)


def packed(key: str) -> bytes:
    return gzip.compress(norb.matrix(FEW[key]))


TRAIN, TEST = (smallnorb.STEMS[split].replace("-", r"\-") for split in ("train", "test"))
BAD = {
    "cut": ("train-dat", packed("train-dat")[:-100], "its gzip stream has no end"),
    "empty": ("train-cat", b"", "is truncated: it ends after 0 bytes"),
    "header alone": ("train-cat", gzip.compress(norb.matrix(FEW["train-cat"])[:12]), "after 12 b"),
    "HTML": ("test-info", b"<!DOCTYPE html><p>Moved", r"is no gzip file \(Not a gzipped file"),
    "not packed": ("test-cat", norb.matrix(FEW["test-cat"]), "is no gzip file"),
    "altered": ("test-dat", packed("test-dat")[:5000] + b"\0" * 99, "is no gzip file|no end"),
    "cut, then packed": (
        "train-info",
        gzip.compress(norb.matrix(FEW["train-info"])[:-4]),
        "is truncated: 816 bytes, not 820",
    ),
    "too long": (
        "train-info",
        gzip.compress(norb.matrix(FEW["train-info"]) + b"\0"),
        "is too long: 821 bytes, not 820",
    ),
    "magic": (
        "train-cat",
        with_header("train-cat", 0, 0x1E3D4C55),
        "has magic number 0x1e3d4c55, but must have 0x1e3d4c54",
    ),
    "dimensions": ("test-dat", with_header("test-dat", 1, 3), "has the sizes 50×2×96, but must"),
    "no dimensions": ("test-dat", with_header("test-dat", 1, 77), "has the sizes 77×…, but must"),
    "sizes": (
        "test-dat",
        with_header("test-dat", 4, 95),
        "has the sizes 50×2×95×96, but must have 50×2×96×96",
    ),
    "count": ("train-cat", with_header("train-cat", 2, 49), "has the sizes 49, but must have 50"),
    "label": ("test-cat", changed("test-cat", (7,), 5), "has label 5, but must have one of 0, 1,"),
    "negative": ("test-cat", changed("test-cat", (7,), -1), "has label -1, but must have one of 0"),
    "classes": (
        "train-cat",
        changed("train-cat", (0,), 1),
        r"has \[9, 11, 10, 10, 10\] pairs of the classes animal, .*, but must have 10 of each",
    ),
    "instance": (
        "test-info",
        changed("test-info", (0, 0), 4),
        "has instance 4, but must have one of 0, 1, 2, 3, 5",
    ),
    "azimuth": ("train-info", changed("train-info", (0, 2), 3), "has azimuth 3, but must have one"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_file_gets_one_sentence_and_leaves_nothing(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, content, sentence = BAD[bad]
    md5 = norb.write_mirror(tmp_path / "mirror", FEW)
    (tmp_path / "mirror" / norb.name(key)).write_bytes(content)
    md5[key] = hashlib.md5(content).hexdigest()  # as if the official one were like this
    with pytest.raises(UserError, match=sentence) as raised:
        prepare_from(tmp_path / "mirror", tmp_path / "data" / "smallnorb", md5, monkeypatch, COUNT)
    assert str(raised.value).startswith(norb.name(key))
    assert "\n" not in str(raised.value)
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("fault", ["another md5", "missing"])
def test_a_file_that_is_not_the_official_one_names_the_mirror(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    md5 = norb.write_mirror(tmp_path / "mirror", FEW)
    if fault == "missing":
        (tmp_path / "mirror" / norb.name("test-cat")).unlink()
    del md5["test-cat"]  # so that the official one is expected
    with pytest.raises(
        UserError, match=r"could not get .*testing-cat\.mat\.gz: .*Set CAPSNET_SMALLNORB_MIRROR to"
    ):
        prepare_from(tmp_path / "mirror", tmp_path / "data" / "smallnorb", md5, monkeypatch, COUNT)
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.slow
def test_its_help_needs_no_torch() -> None:
    script = """
import sys
from contextlib import suppress
from capsnet.prepare import main
sys.argv = ["prepare", "smallnorb", "--help"]
with suppress(SystemExit):
    main()
assert "torch" not in sys.modules
"""
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert printed.returncode == 0, printed.stderr
    assert "smallnorb" in printed.stdout
