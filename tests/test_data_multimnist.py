"""MultiMNIST: who meets whom, where, and what is seen of it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from capsnet.data import multimnist, storage
from capsnet.data.multimnist import MultiMnist, pairs, render
from capsnet.data.storage import LabelledImages
from capsnet.errors import UserError
from helpers.rendered import DEVICES, digest, evenly, grey

GOLDEN = {"digits": "37d8a128e3931cbb", "mnist": "8d8e79806ea3395c"}


@pytest.fixture(scope="module")
def labels() -> NDArray[np.int64]:
    """Classes of unequal sizes, in no order, around a power of four (4096)."""
    odds = np.linspace(1, 2, 10)
    return np.random.default_rng(0).choice(10, 4700, p=odds / odds.sum())


@pytest.fixture(scope="module")
def test_split(digits: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> MultiMnist:
    folder = tmp_path_factory.mktemp("data") / "multimnist-digits"
    multimnist.prepare(folder, digits, count=20)
    return multimnist.read(folder, digits)["test"]


@pytest.mark.slow
def test_partners_are_of_another_class_and_none_comes_twice(labels: NDArray[np.int64]) -> None:
    table = pairs(labels, 300)
    assert (labels[table.partner] != labels).all()
    in_order = np.sort(table.partner.astype(int), 0)
    assert (np.diff(in_order, axis=0) > 0).all()


def test_with_all_partners_a_base_meets_every_digit_of_other_classes() -> None:
    labels = np.repeat(np.arange(10), 6)
    table = pairs(labels, 54)
    for base in (0, 31, 59):
        others = np.flatnonzero(labels != labels[base])
        np.testing.assert_array_equal(np.sort(table.partner[:, base]), others)


def test_partners_are_drawn_evenly(labels: NDArray[np.int64]) -> None:
    """All digits of class 0 are partners of the bases of other classes equally often."""
    chosen = pairs(labels, 50).partner
    of_class = np.flatnonzero(labels == 0)
    met = chosen[np.isin(chosen, of_class)]
    assert evenly(np.searchsorted(of_class, met), 0, len(of_class))


def test_a_longer_table_begins_with_the_shorter_one(labels: NDArray[np.int64]) -> None:
    short, long = pairs(labels, 3, seed=5), pairs(labels, 10, seed=5)
    np.testing.assert_array_equal(short.partner, long.partner[:3])
    np.testing.assert_array_equal(short.partner_shift, long.partner_shift[:3])
    np.testing.assert_array_equal(short.base_shift, long.base_shift)


def test_another_seed_gives_other_pairs(labels: NDArray[np.int64]) -> None:
    one, other = pairs(labels, 3, seed=0), pairs(labels, 3, seed=1)
    assert (one.partner == other.partner).mean() < 0.01
    assert (one.base_shift == other.base_shift).mean() < 0.2


@pytest.mark.parametrize("reach", [4, 6])
def test_shifts_are_uniform(labels: NDArray[np.int64], reach: int) -> None:
    table = pairs(labels, 20, reach)
    assert evenly(table.base_shift, -reach, reach + 1)
    assert evenly(table.partner_shift.reshape(-1, 2), -reach, reach + 1)
    assert evenly(table.partner_shift[:, 7:9, 0].reshape(-1), -reach, reach + 1)
    both = np.stack([table.base_shift[:, 0], table.partner_shift[0, :, 0]], 1)
    assert evenly(both, -reach, reach + 1)


@pytest.mark.parametrize(("side", "share"), [(28, 0.800), (20, 0.726)])
def test_the_frames_overlap_as_computed(side: int, share: float) -> None:
    """28×28 frames by 80.0 %, 20×20 boxes by 72.6 % on average [D]."""
    table = pairs(np.arange(30_000) % 10, 4)
    apart = np.abs(table.partner_shift.astype(int) - table.base_shift)
    assert np.prod(1 - apart / side, axis=2).mean() == pytest.approx(share, abs=0.001)


def test_too_many_pairs_are_refused() -> None:
    with pytest.raises(UserError, match=r"19 pairs .* 18 are of another class"):
        pairs(np.repeat(np.arange(10), 2), 19)


def test_two_pixels_land_where_they_should() -> None:
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 10, 5], images[1, 0, 27] = 100, 200
    shown = render(images, np.array([0]), np.array([[1, -4]]), np.array([1]), np.array([[-3, 2]]))[
        0
    ]
    assert shown.shape == (36, 36)
    assert shown[10 + 4 + 1, 5 + 4 - 4] == 100
    assert shown[0 + 4 - 3, 27 + 4 + 2] == 200
    assert shown.sum(dtype=int) == 300


def test_sums_are_clipped_and_do_not_wrap() -> None:
    images = np.full((2, 28, 28), 200, np.uint8)
    still = np.zeros((1, 2), int)
    shown = render(images, np.array([0]), still, np.array([1]), still)[0]
    assert (shown[4:-4, 4:-4] == 255).all()
    assert shown.sum(dtype=int) == 255 * 28**2


def test_ink_that_leaves_the_frame_is_cut_off() -> None:
    images = np.full((2, 28, 28), 1, np.uint8)
    shown = render(images, np.array([0]), np.array([[6, 0]]), np.array([1]), np.array([[0, -6]]))[0]
    assert shown.sum(dtype=int) == 26 * 28 + 28 * 26
    assert shown[-1, 20] == 1
    assert shown[10, 0] == 1


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("reach", [4, 6])
def test_the_device_shows_what_numpy_shows(digits: LabelledImages, reach: int, device: str) -> None:
    images, labels = digits.test_images[:, 0], digits.test_labels
    table = pairs(labels, 4, reach)
    split = MultiMnist(
        torch.from_numpy(images[:, None]),
        torch.from_numpy(labels),
        torch.from_numpy(table.base_shift),
        torch.from_numpy(table.partner),
        torch.from_numpy(table.partner_shift),
        reach,
    ).to(torch.device(device))
    k, base = np.divmod(np.arange(2000), len(labels))
    shifts = table.partner_shift[k, base]
    expected = render(images, base, table.base_shift[base], table.partner[k, base], shifts)
    np.testing.assert_array_equal(grey(split, torch.arange(2000, device=device)), expected)


def test_the_parts_are_the_single_digits_at_their_places(test_split: MultiMnist) -> None:
    examples = test_split.examples(torch.arange(300), step=9)
    assert examples.images.shape == (300, 1, 36, 36)
    assert examples.parts.shape == (300, 2, 1, 36, 36)
    torch.testing.assert_close(examples.parts.sum(1).clamp(max=1), examples.images)
    digits, _ = test_split.pair(torch.arange(300))
    ink = test_split.images.float().sum((1, 2, 3)) / 255
    torch.testing.assert_close(examples.parts.sum((2, 3, 4)), ink[digits])
    assert examples.labels.equal(test_split.labels[digits])


def test_a_base_stands_still_over_its_pairs(test_split: MultiMnist) -> None:
    n = len(test_split.labels)
    indices = 7 + n * torch.arange(20)
    digits, shifts = test_split.pair(indices)
    assert (digits[:, 0] == 7).all()
    assert (shifts[:, 0] == shifts[0, 0]).all()
    assert len(digits[:, 1].unique()) == 20
    assert len(shifts[:, 1].unique(dim=0)) > 10
    parts = test_split.examples(indices, None).parts[:, 0]
    assert (parts == parts[0]).all()


def test_the_last_example_is_one_look_up_away(test_split: MultiMnist) -> None:
    assert len(test_split) == 20 * 500
    digits, _ = test_split.pair(torch.tensor([len(test_split) - 1]))
    assert digits[0, 0] == 499
    with pytest.raises(IndexError):
        test_split.pair(torch.tensor([len(test_split)]))


def test_partners_beyond_the_sign_bit_are_found() -> None:
    """Tables hold 16 unsigned bits: MNIST has 60,000 digits."""
    labels = torch.arange(60_000) % 10
    still = torch.zeros(60_000, 2, dtype=torch.int8)
    partner = torch.full((1, 60_000), 54_321).to(torch.uint16)
    images = torch.zeros(60_000, 1, 1, 1, dtype=torch.uint8)
    split = MultiMnist(images, labels, still, partner, still[None], 4)
    assert split.pair(torch.tensor([5]))[0].tolist() == [[5, 54_321]]


def test_held_out_digits_meet_only_each_other(digits: LabelledImages, tmp_path: Path) -> None:
    folder = tmp_path / "multimnist-digits"
    multimnist.prepare(folder, digits, count=5, max_shift=3, holdout=200)
    command = f"run `python -m capsnet.prepare multimnist-digits --root {tmp_path} --holdout 0"
    with pytest.raises(UserError, match=f"not 0: {command} --pairs 5 --max-shift 3 --seed 0`"):
        multimnist.read(folder, digits)
    splits = multimnist.read(folder, digits, holdout=200)
    assert [len(split.labels) for split in splits.values()] == [1097, 200, 500]
    validation = splits["validation"]
    np.testing.assert_array_equal(validation.images, digits.train_images[:200])
    np.testing.assert_array_equal(splits["train"].images, digits.train_images[200:])
    assert validation.partner.int().max() < 200
    drawn = [split.base_shift[:200].tolist() for split in splits.values()]
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]


def test_nothing_is_left_to_train_on(digits: LabelledImages, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leaves none of uci-digits"):
        multimnist.prepare(tmp_path / "m", digits, count=5, holdout=1297)


def test_tables_of_other_digits_are_refused(digits: LabelledImages, tmp_path: Path) -> None:
    multimnist.prepare(tmp_path / "multimnist-digits", digits, count=2)
    others = dataclasses.replace(digits, digest="of others")
    with pytest.raises(UserError, match=r"not made from .* run `.* multimnist-digits --root"):
        multimnist.read(tmp_path / "multimnist-digits", others)


def test_the_manifest_says_how_it_was_made(digits: LabelledImages, tmp_path: Path) -> None:
    multimnist.prepare(tmp_path / "m", digits, count=2, max_shift=6, seed=3)
    manifest, arrays = storage.read(tmp_path / "m")
    told = {key: manifest[key] for key in ("name", "source", "pairs_per_digit", "reach", "seed")}
    assert list(told.values()) == ["multimnist", "uci-digits", 2, 6, 3]
    assert manifest["digits"] == digits.digest
    assert arrays["train_partner"].dtype == np.uint16


@pytest.mark.parametrize("source", GOLDEN)
def test_the_first_thousand_are_what_they_were(
    source: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    digits = request.getfixturevalue(source)
    multimnist.prepare(tmp_path / "m", digits, count=2)
    assert digest(multimnist.read(tmp_path / "m", digits)["test"]) == GOLDEN[source]
