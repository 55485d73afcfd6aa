"""The stand-ins of section 7: digits on photographs, in colour and in stereo.

JPEG decoders differ by a level or so, so pixels are tested by what they must be, not by digests.
"""

import json
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets
from numpy.typing import NDArray

from capsnet import prepare as entry
from capsnet.data import digits, photodigits, photographs, stereodigits
from capsnet.data.counter_rng import integers
from capsnet.data.storage import LabelledImages, read_images
from capsnet.prepare import prepare

NAMES = ("photodigits", "stereodigits")


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("no network is needed")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sets, as `python -m capsnet.prepare` makes them, without a network."""
    root = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        for name in NAMES:
            patch.setattr(sys, "argv", ["prepare", name, "--root", str(root)])
            entry.main()
    return root


@pytest.fixture(scope="module")
def photo(root: Path) -> LabelledImages:
    return read_images(root / "photodigits")


@pytest.fixture(scope="module")
def stereo(root: Path) -> LabelledImages:
    return read_images(root / "stereodigits")


def standardised(images: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Central crops of mean 0 and standard deviation 1, flat."""
    start = (images.shape[-1] - side) // 2
    crops = images[:, :, start : start + side, start : start + side].astype(np.float32)
    flat = crops.reshape(len(crops), -1)
    return (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)


def nearest_neighbour_error(images: LabelledImages, side: int) -> float:
    train, test = (standardised(x, side) for x in (images.train_images, images.test_images))
    nearest = (test @ train.T).argmax(1)  # of vectors of one length, the nearest
    return float((images.train_labels[nearest] != images.test_labels).mean())


def test_digits_on_photographs_are_legible(photo: LabelledImages) -> None:
    assert nearest_neighbour_error(photo, 24) < 0.1  # measured: 5.4 %; chance is 90 %


def test_digits_in_stereo_are_legible(stereo: LabelledImages) -> None:
    assert nearest_neighbour_error(stereo, 32) < 0.08  # measured: 3.6 %; chance is 80 %


def test_the_sets_are_what_they_are_specified_to_be(
    photo: LabelledImages, stereo: LabelledImages, digits: LabelledImages
) -> None:
    assert (photo.source, stereo.source) == ("uci-digits-on-photographs", "uci-digits-stereo")
    assert photo.info.stand_in
    assert stereo.info.stand_in
    assert photo.train_labels.tolist() == digits.train_labels.repeat(4).tolist()
    assert photo.test_labels.tolist() == digits.test_labels.tolist()
    few = [labels[labels < 5] for labels in (digits.train_labels, digits.test_labels)]
    assert stereo.train_labels.tolist() == few[0].repeat(4).tolist()
    assert stereo.test_labels.tolist() == few[1].tolist()
    assert max(photo.train_images.nbytes, stereo.train_images.nbytes) < 20e6


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_names_origin_and_licence(name: str, root: Path) -> None:
    about = json.loads((root / name / "manifest.json").read_text())["about"]
    for words in ("Alpaydin, Kaynak", "danielbuechele", "vultilion", "CC BY 2.0"):
        assert words in about
    assert ("real pixels, made disparity" in about) == (name == "stereodigits")


def black_and_white() -> SimpleNamespace:
    """Photographs whose left 448 of 640 columns, 70 %, are black and the rest white."""
    photograph = np.zeros((427, 640, 3), np.uint8)
    photograph[:, 448:] = 255
    return SimpleNamespace(images=[photograph, photograph])


def test_training_and_test_digits_are_on_their_own_part(
    digits: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On black, |patch − ink| is the ink; on white, 255 less it. No image has a pixel of both."""
    monkeypatch.setattr(sklearn.datasets, "load_sample_images", black_and_white)
    prepare("photodigits", tmp_path / "photodigits")
    made = read_images(tmp_path / "photodigits")
    frame = (0, 0), (0, 0), (2, 2), (2, 2)  # digits are 28×28
    train = np.pad(digits.train_images, frame).repeat(4, 0).repeat(3, 1)
    test = np.pad(digits.test_images, frame).repeat(3, 1)
    np.testing.assert_array_equal(made.train_images, train)
    np.testing.assert_array_equal(made.test_images, 255 - test)
    prepare("stereodigits", tmp_path / "stereodigits")
    pairs = read_images(tmp_path / "stereodigits")
    border = np.ones((48, 48), bool)
    border[13:35, 9:39] = False
    assert not pairs.train_images[..., border].any()
    assert (pairs.test_images[..., border] == 255).all()


def test_the_parts_of_the_photographs_share_no_column() -> None:
    whole = np.stack(sklearn.datasets.load_sample_images().images).transpose(0, 3, 1, 2)
    train, test = photographs.parts()
    np.testing.assert_array_equal(train, whole[..., :448])
    np.testing.assert_array_equal(test, whole[..., 448:])


def test_a_patch_is_a_piece_of_a_photograph_from_any_place() -> None:
    """Pixels say where they are: photograph, row and column are the channels."""
    places = np.indices((2, 12, 15), np.uint8).swapaxes(0, 1)
    patches = photographs.random_patches(places, 8, 5, np.arange(3000))
    drawn = {tuple(corner) for corner in patches[:, :, 0, 0].tolist()}
    assert drawn == {(p, r, c) for p in range(2) for r in range(5) for c in range(8)}
    for patch in patches:
        p, r, c = patch[:, 0, 0]
        np.testing.assert_array_equal(patch, places[p, :, r : r + 8, c : c + 8])


def weighted_mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return (values * weights).sum((-2, -1)) / weights.sum((-2, -1))


def first_with_contrast(
    images: list[NDArray[np.float64]], contrasts: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Take of each example the image of the first attempt whose contrast reaches 64."""
    enough = np.stack(contrasts) >= 64
    assert enough.any(0).all()
    return np.stack(images)[enough.argmax(0), np.arange(enough.shape[1])]


def test_faint_digits_are_drawn_again_on_photographs(photo: LabelledImages) -> None:
    _, (ink, _) = digits.splits(20)
    weights = np.pad(ink.astype(float), ((0, 0), (6, 6), (6, 6)))
    images, contrasts = [], []
    for attempt in range(3):
        key = 0, 1, np.arange(500), attempt
        patches = photographs.random_patches(photographs.parts()[1], 32, *key)
        images.append(np.abs(patches - weights[:, None]))
        contrasts.append(weighted_mean(np.abs(images[-1] - patches).mean(1), weights))
    assert (contrasts[0] < 64).any()
    np.testing.assert_array_equal(photo.test_images, first_with_contrast(images, contrasts))


def opacity(ink: NDArray[np.uint8], shift: int) -> NDArray[np.float64]:
    """Move a 44×44 digit right by `shift` pixels of 96, and give its opacity in 48×48, 0…1."""
    return np.roll(np.pad(ink, 26), shift, axis=1)[::2, ::2] / 255


def stereo_ink() -> NDArray[np.uint8]:
    _, (ink, labels) = digits.splits(44)
    return ink[labels < 5]


def test_faint_digits_are_drawn_again_in_stereo(stereo: LabelledImages) -> None:
    index, photos = np.arange(251), stereodigits.grey(photographs.parts()[1])
    drawn = zip(stereo_ink(), stereodigits.random_shifts(0, 1, index), strict=True)
    weights = np.stack([[opacity(ink, shift), opacity(ink, -shift)] for ink, shift in drawn])
    images, contrasts = [], []
    for attempt in range(20):
        key = 0, 1, index, attempt
        patches = photographs.random_patches(photos, 96, *key)[..., ::2, ::2].astype(float)
        level = integers(0, 256, *key, 3)[:, None, None, None]
        images.append(np.rint(patches + (level - patches) * weights))
        contrasts.append(weighted_mean(np.abs(images[-1] - patches), weights).min(1))
    assert (contrasts[0] < 5).any()  # digits that nobody sees
    np.testing.assert_array_equal(stereo.test_images, first_with_contrast(images, contrasts))


def test_the_disparity_can_be_measured_in_a_pair(stereo: LabelledImages) -> None:
    """Eliminate the common background: L (1 − b) − R (1 − a) = grey · (a − b) for opacities a, b.

    Only at the right shift does one grey fit all pixels.
    """
    shifts, found = [*range(-6, -1), *range(2, 7)], []
    for ink, (left, right) in zip(stereo_ink(), stereo.test_images.astype(float), strict=True):
        misfits = []
        for shift in shifts:
            a, b = opacity(ink, shift), opacity(ink, -shift)
            mixed = left * (1 - b) - right * (1 - a)
            grey = (mixed * (a - b)).sum() / ((a - b) ** 2).sum()
            misfits.append(np.abs(mixed - grey * (a - b)).max())
        found.append(shifts[int(np.argmin(misfits))])
        assert min(misfits) < 2  # twice half a level of rounding, and that of the grey
    assert found == stereodigits.random_shifts(0, 1, np.arange(251)).tolist()
    assert {*found} == {*shifts}


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_every_pixel(name: str, root: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        prepare(name, tmp_path / f"{seed}" / name, seed=seed)
    once, again, other = (read_images(at / name) for at in (root, tmp_path / "0", tmp_path / "1"))
    assert once.digest == again.digest
    same = (once.test_images == other.test_images).all((1, 2, 3))
    assert not same.any()


def test_an_image_does_not_depend_on_the_others(
    photo: LabelledImages, stereo: LabelledImages
) -> None:
    photos = photographs.parts()[1]
    alone = photodigits.on_photographs(digits.splits(20)[1][0][:9], photos, 0, 1)
    np.testing.assert_array_equal(alone, photo.test_images[:9])
    alone = stereodigits.pairs(stereo_ink()[:9], stereodigits.grey(photos), 0, 1)
    np.testing.assert_array_equal(alone, stereo.test_images[:9])
