"""Expanded MNIST: nothing is lost, training moves, evaluation stands."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capsnet.data import expanded, storage
from capsnet.data.expanded import ExpandedImages, fixed_shifts
from capsnet.data.storage import LabelledImages
from helpers.rendered import digest, evenly, grey

GOLDEN = {"digits": "9611d841f0911f91", "mnist": "27385bed8a2c4375"}


@pytest.fixture(scope="module")
def splits(
    digits: LabelledImages, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ExpandedImages]:
    folder = tmp_path_factory.mktemp("data") / "expanded-digits"
    expanded.prepare(folder, digits)
    return expanded.read(folder, digits, holdout=200)


def test_a_digit_stands_where_its_shift_says(digits: LabelledImages) -> None:
    shifts = torch.tensor([[-6, 6], [0, 0], [3, -1]], dtype=torch.int8)
    images = torch.from_numpy(digits.test_images[:3])
    split = ExpandedImages(images, torch.arange(3), shifts, seed=0)
    shown = grey(split, torch.arange(3))
    assert shown.shape == (3, 40, 40)
    np.testing.assert_array_equal(shown[0, 0:28, 12:40], digits.test_images[0, 0])
    np.testing.assert_array_equal(shown[1, 6:34, 6:34], digits.test_images[1, 0])
    np.testing.assert_array_equal(shown[2, 9:37, 5:33], digits.test_images[2, 0])


def test_no_ink_is_ever_lost(digits: LabelledImages, splits: dict[str, ExpandedImages]) -> None:
    indices = torch.arange(500)
    ink = digits.test_images.sum((1, 2, 3), dtype=int)
    for step in (None, 0, 1):
        shown = grey(splits["test"], indices, step)
        np.testing.assert_array_equal(shown.sum((1, 2), dtype=int), ink)


def test_all_169_places_are_equally_likely() -> None:
    for split in (expanded.TRAIN, expanded.TEST):
        assert evenly(fixed_shifts(60_000, split), -6, 7)


def test_a_place_depends_on_the_digit_not_on_how_many_there_are() -> None:
    np.testing.assert_array_equal(fixed_shifts(100, 1), fixed_shifts(10_000, 1)[:100])
    assert (fixed_shifts(100, 0) != fixed_shifts(100, 1)).any()


def test_training_moves_and_evaluation_stands(splits: dict[str, ExpandedImages]) -> None:
    train, indices = splits["train"], torch.arange(100)
    assert (grey(train, indices, 0) != grey(train, indices, 1)).any()
    np.testing.assert_array_equal(grey(train, indices), grey(train, indices))


def test_splits_are_parted_in_order(
    digits: LabelledImages, splits: dict[str, ExpandedImages]
) -> None:
    lengths = {name: len(split) for name, split in splits.items()}
    assert lengths == {"train": 1097, "validation": 200, "test": 500}
    np.testing.assert_array_equal(splits["validation"].images, digits.train_images[:200])
    both = torch.cat([splits["validation"].shifts, splits["train"].shifts])
    np.testing.assert_array_equal(both, fixed_shifts(1297, expanded.TRAIN))


def test_without_holdout_there_is_no_validation(digits: LabelledImages, tmp_path: Path) -> None:
    expanded.prepare(tmp_path / "e", digits)
    assert list(expanded.read(tmp_path / "e", digits)) == ["train", "test"]
    manifest, _ = storage.read(tmp_path / "e")
    assert (manifest["name"], manifest["source"]) == ("expanded", "uci-digits")


@pytest.mark.parametrize("source", GOLDEN)
def test_the_first_thousand_are_what_they_were(
    source: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    digits = request.getfixturevalue(source)
    expanded.prepare(tmp_path / "e", digits)
    assert digest(expanded.read(tmp_path / "e", digits)["train"]) == GOLDEN[source]
