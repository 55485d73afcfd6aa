"""Views of CIFAR-10 and smallNORB against loops over pixels in float64."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import kstest

from capsnet.data import cifar10_crops, smallnorb_crops
from capsnet.data.contrast import HIGH, LOW, contrasted, random_factors
from capsnet.data.crops import central, cropped, random_corners
from capsnet.data.flips import flipped, random_flips
from capsnet.data.standardisation import normalise, standardised
from capsnet.data.standardised_crops import StandardisedCrops
from helpers.rendered import DEVICES, evenly

Image = NDArray[np.float64]  # [channels, height, width] in 0 … 255
SEED, STEP = 5, 11


class Case(NamedTuple):
    split: type[StandardisedCrops]
    shape: tuple[int, int, int]
    side: int
    margin: int

    def images(self, count: int) -> NDArray[np.uint8]:
        """Noise, brighter downwards in one channel: the means of crops and channels differ."""
        random = np.random.default_rng(3)
        images = random.integers(0, 156, (count, *self.shape))
        images[:, 0] += np.linspace(0, 99, self.shape[1]).astype(int)[:, None]
        return images.astype(np.uint8)

    def made(self, count: int, seed: int = SEED) -> StandardisedCrops:
        images = torch.from_numpy(self.images(count))
        return self.split(images, torch.arange(count) % 5, seed)


CASES = {
    "cifar10": Case(cifar10_crops.Cifar10Crops, (3, 32, 32), 24, 4),
    "smallnorb": Case(smallnorb_crops.SmallNorbCrops, (2, 48, 48), 32, 8),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def crop(image: Image, top: int, left: int, side: int) -> Image:
    found = np.zeros((len(image), side, side))
    for channel, row, column in np.ndindex(found.shape):
        found[channel, row, column] = image[channel, top + row, left + column]
    return found


def flip(image: Image) -> Image:
    return np.stack([[row[::-1] for row in channel] for channel in image])


def contrast(image: Image, factor: float) -> Image:
    return np.stack([(one - one.mean()) * factor + one.mean() for one in image])


def standardise(image: Image) -> Image:
    return (image - image.mean()) / max(image.std(), 1 / np.sqrt(image.size))


class Drawn(NamedTuple):
    """The random numbers of one image."""

    top: int
    left: int
    mirrored: bool
    factor: float


def drawn(case: Case, index: int) -> Drawn:
    which, images = torch.tensor([index]), torch.from_numpy(case.images(1))
    [[top, left]] = random_corners(SEED, STEP, which, images, case.side).tolist()
    mirrored = case.shape[0] == 3 and bool(random_flips(SEED, STEP, which))
    return Drawn(top, left, mirrored, float(random_factors(SEED, STEP, which)))


def released(case: Case, image: Image, by: Drawn, brightness: float = 0) -> Image:
    """Follow the released code: cifar10_input.py, and norb_input_record.py for two channels."""
    if case.shape[0] == 3:
        image = crop(image, by.top, by.left, case.side)
        image = flip(image) if by.mirrored else image
        return standardise(contrast(image + brightness, by.factor))
    return standardise(crop(contrast(image + brightness, by.factor), by.top, by.left, case.side))


def other_order(case: Case, image: Image, by: Drawn) -> Image:
    """Change the contrast after the crop where the released code does it before, and vice versa."""
    if case.shape[0] == 3:
        shown = crop(contrast(image, by.factor), by.top, by.left, case.side)
        return standardise(flip(shown) if by.mirrored else shown)
    return standardise(contrast(crop(image, by.top, by.left, case.side), by.factor))


@pytest.mark.parametrize("device", DEVICES)
def test_training_sees_what_the_released_code_makes_in_its_order(case: Case, device: str) -> None:
    split, images = case.made(12).to(torch.device(device)), case.images(12)
    shown = split.examples(torch.arange(12, device=device), STEP)
    others = []
    for index, image in enumerate(images.astype(float)):
        by = drawn(case, index)
        expected = released(case, image, by)
        np.testing.assert_allclose(shown.images[index].cpu(), expected, atol=2e-5)
        others.append(np.abs(other_order(case, image, by) - expected).max())
    assert min(others) > 1e-3  # and so it is that order which was compared
    assert shown.labels[:, 0].tolist() == [index % 5 for index in range(12)]


def test_the_decoder_draws_the_crop_before_contrast_and_standardisation(case: Case) -> None:
    shown = case.made(12).examples(torch.arange(12), STEP)
    for index, image in enumerate(case.images(12).astype(float)):
        by = drawn(case, index)
        expected = crop(image, by.top, by.left, case.side) / 255
        expected = flip(expected) if by.mirrored else expected
        np.testing.assert_allclose(shown.parts[index, 0], expected, atol=1e-7)
        np.testing.assert_array_equal(shown.pictures[index], shown.parts[index, 0])


def test_evaluation_sees_the_standardised_middle(case: Case) -> None:
    shown = case.made(12).examples(torch.arange(12), None)
    for index, image in enumerate(case.images(12).astype(float)):
        middle = crop(image, case.margin, case.margin, case.side)
        np.testing.assert_allclose(shown.images[index], standardise(middle), atol=2e-5)
        np.testing.assert_allclose(shown.parts[index, 0], middle / 255, atol=1e-7)
    np.testing.assert_allclose(normalise(shown.pictures), shown.images, atol=1e-5)


def test_a_picture_depends_on_seed_step_and_index_alone(case: Case) -> None:
    split, some = case.made(40), torch.tensor([7, 31])
    alone = split.examples(some, STEP)
    batch = split.examples(torch.arange(40), STEP)
    assert torch.equal(alone.parts, batch.parts[some])
    assert torch.allclose(alone.images, batch.images[some], atol=1e-6)
    assert not torch.equal(alone.parts, split.examples(some, STEP + 1).parts)
    assert not torch.equal(alone.parts, case.made(40, seed=6).examples(some, STEP).parts)


def test_all_places_of_a_crop_are_equally_likely_over_images_and_over_steps(case: Case) -> None:
    images, places = torch.zeros(1, *case.shape), 2 * case.margin + 1
    one_step = random_corners(0, 17, torch.arange(60_000), images, case.side)
    assert evenly(one_step.numpy(), 0, places)
    of_steps = [random_corners(0, t, torch.tensor([5]), images, case.side) for t in range(3000)]
    assert evenly(torch.cat(of_steps).numpy(), 0, places)
    assert case.made(1).max_shift == case.margin


def test_contrast_factors_are_uniform_and_flips_even() -> None:
    factors = random_factors(0, 17, torch.arange(200_000)).double().numpy()
    assert LOW <= factors.min() < LOW + 1e-4
    assert HIGH - 1e-4 < factors.max() < HIGH
    assert kstest(factors, "uniform", (LOW, HIGH - LOW)).pvalue > 0.001
    assert evenly(random_flips(0, 17, torch.arange(20_000)).numpy(), 0, 2)
    assert evenly(
        torch.cat([random_flips(0, t, torch.tensor([5])) for t in range(5000)]).numpy(), 0, 2
    )


def test_place_flip_and_contrast_are_independent() -> None:
    indices = torch.arange(60_000)
    corners = random_corners(0, 17, indices, torch.zeros(1, 3, 31, 31), 24)  # 8 places: even halves
    flips, factors = random_flips(0, 17, indices).long(), random_factors(0, 17, indices)
    halves = torch.stack([*(corners % 2).unbind(1), flips, (factors > 1).long()], 1)
    assert evenly(halves.numpy(), 0, 2)


def test_crops_of_images_that_are_not_square_stay_inside() -> None:
    images = torch.arange(2 * 30 * 40).view(2, 1, 30, 40)
    corners = random_corners(0, 1, torch.arange(5000), images, 24)
    assert corners.amin(0).tolist() == [0, 0]
    assert corners.amax(0).tolist() == [6, 16]
    ends = cropped(images, torch.tensor([[0, 16], [6, 0]]), 24, 24)
    assert ends[0, 0, 0, 0] == 16
    assert ends[1, 0, 23, 23] == 30 * 40 + 29 * 40 + 23
    assert central(images, 25)[0, 0, 0, 0] == 2 * 40 + 7  # (30 − 25) // 2, (40 − 25) // 2


def test_only_the_marked_images_are_flipped() -> None:
    images = torch.arange(2 * 2 * 3 * 4).view(2, 2, 3, 4)
    found = flipped(images, torch.tensor([True, False]))
    assert torch.equal(found[1], images[1])
    np.testing.assert_array_equal(found[0], flip(images[0].numpy()))


def test_a_deviation_below_one_over_root_n_is_not_divided_by() -> None:
    even = torch.full((1, 3, 24, 24), 7.0)
    assert torch.equal(standardised(even), torch.zeros_like(even))
    even[0, 0, 0, 0] = 8  # sd = √(n − 1) / n, just below 1/√n
    n = even.numel()
    assert standardised(even)[0, 0, 0, 0] == pytest.approx((1 - 1 / n) * n**0.5, rel=1e-5)
    even[0, 0, 0, 0] = 9
    assert float(standardised(even).square().mean()) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("brightness", [-63.0, -5.5, 62.9])
def test_brightness_does_nothing_in_the_released_order(case: Case, brightness: float) -> None:
    for index, image in enumerate(case.images(6).astype(float)):
        by = drawn(case, index)
        without, with_it = (released(case, image, by, delta) for delta in (0, brightness))
        np.testing.assert_allclose(with_it, without, atol=1e-11)


def test_contrast_does_nothing_to_one_channel_and_something_to_three() -> None:
    factors = torch.tensor([0.2, 0.7, 1.8], dtype=torch.float64)
    images = torch.from_numpy(CASES["cifar10"].images(3)).double()
    grey = images[:, :1]
    assert torch.allclose(standardised(contrasted(grey, factors)), standardised(grey), atol=1e-12)
    changes = (standardised(contrasted(images, factors)) - standardised(images)).abs()
    assert changes.amax((1, 2, 3)).min() > 0.01
