"""Shifted MNIST: where the digits go, how often, and that it is the same for ever."""

import numpy as np
import pytest
import torch

from capsnet.data.enumerated import EnumeratedShifts
from capsnet.data.shifted import ShiftedImages, random_offsets, shifted
from capsnet.data.storage import LabelledImages
from helpers.rendered import digest, evenly, grey

ENUMERATED = {"digits": "8429799dced87696", "mnist": "5fdc63ac50f30551"}
GOLDEN = {"digits": "dd22d0bd54e648d3", "mnist": "30c2387143888ac4"}


def training(digits: LabelledImages, seed: int = 0) -> ShiftedImages:
    images = torch.from_numpy(digits.train_images)
    return ShiftedImages(images, torch.from_numpy(digits.train_labels), 2, seed)


def test_a_pixel_moves_down_and_right() -> None:
    images = torch.zeros(2, 1, 5, 6, dtype=torch.uint8)
    images[:, 0, 2, 3] = 7
    moved = shifted(images, torch.tensor([[1, -2], [-2, 2]]), max_shift=2)
    assert moved[0, 0, 3, 1] == 7
    assert moved[1, 0, 0, 5] == 7
    assert moved.sum() == 14


def test_what_leaves_the_frame_is_gone_and_zeros_come_in() -> None:
    images = torch.full((1, 1, 4, 4), 9, dtype=torch.uint8)
    moved = shifted(images, torch.tensor([[2, -1]]), max_shift=2)[0, 0]
    expected = torch.zeros(4, 4, dtype=torch.uint8)
    expected[2:, :3] = 9
    assert moved.equal(expected)


@pytest.mark.slow
def test_all_25_shifts_are_equally_likely_over_images_and_over_steps() -> None:
    one_step = random_offsets(0, 17, torch.arange(20_000), 2)
    assert evenly(one_step.numpy(), -2, 3)
    one_image = [random_offsets(0, step, torch.tensor([5]), 2) for step in range(5000)]
    assert evenly(torch.cat(one_image).numpy(), -2, 3)


def test_an_image_moves_anew_at_each_step_and_the_same_in_each_run(digits: LabelledImages) -> None:
    split, indices = training(digits), torch.arange(100)
    assert (grey(split, indices, 3) == grey(split, indices, 3)).all()
    assert (grey(split, indices, 3) != grey(split, indices, 4)).any()
    assert (grey(split, indices, 3) != grey(training(digits, seed=1), indices, 3)).any()


def test_its_shift_does_not_depend_on_the_batch_it_is_in(digits: LabelledImages) -> None:
    split = training(digits)
    alone = grey(split, torch.tensor([41]), 3)
    np.testing.assert_array_equal(grey(split, torch.arange(128), 3)[41], alone[0])


def test_evaluation_shows_the_digits_as_they_are(digits: LabelledImages) -> None:
    shown = grey(training(digits), torch.arange(50))
    np.testing.assert_array_equal(shown, digits.train_images[:50, 0])


def test_the_enumerated_set_holds_every_shift_of_every_digit_once(digits: LabelledImages) -> None:
    labels = torch.from_numpy(digits.train_labels)
    split = EnumeratedShifts(torch.from_numpy(digits.train_images), labels, 2)
    assert len(split) == 25 * len(labels)
    examples = split.examples(torch.arange(50), 0)
    assert examples.labels[:, 0].tolist() == [labels[0]] * 25 + [labels[1]] * 25
    places = torch.cartesian_prod(torch.arange(-2, 3), torch.arange(-2, 3))
    expected = shifted(split.images[:1].expand(25, -1, -1, -1), places, 2)
    np.testing.assert_array_equal(grey(split, torch.arange(25)), expected[:, 0])
    np.testing.assert_array_equal(grey(split, torch.tensor([12]))[0], digits.train_images[0, 0])
    last = split.examples(torch.tensor([len(split) - 1]), None)
    assert last.labels.item() == labels[-1]


@pytest.mark.parametrize("source", ENUMERATED)
def test_the_first_thousand_of_all_shifts_are_what_they_were(
    source: str, request: pytest.FixtureRequest
) -> None:
    digits = request.getfixturevalue(source)
    images, labels = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels)
    assert digest(EnumeratedShifts(images, labels, 2)) == ENUMERATED[source]


@pytest.mark.parametrize("source", GOLDEN)
def test_the_first_thousand_are_what_they_were(source: str, request: pytest.FixtureRequest) -> None:
    assert digest(training(request.getfixturevalue(source)), step=0) == GOLDEN[source]
