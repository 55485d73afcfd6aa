"""Numbers that look random, are the same everywhere, and cost the same at every index."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from capsnet.data.counter_rng import hash32, integers, permuted, uniform
from helpers.rendered import evenly

KEYS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize(
    ("keys", "value"), [((0,), 0x01FCE552), ((1, 2, 3), 0xA6FDE042), ((2**32 - 1,), 0x35E1E3A1)]
)
def test_the_numbers_never_change(keys: tuple[int, ...], value: int) -> None:
    """Every data set and every golden digest rests on them."""
    assert hash32(*keys) == value


@given(KEYS, KEYS, KEYS)
def test_python_numpy_and_torch_give_the_same_numbers(seed: int, step: int, key: int) -> None:
    as_int = integers(-6, 7, seed, step, key)
    assert as_int == integers(-6, 7, seed, np.array([step]), key)[0]
    assert as_int == integers(-6, 7, seed, step, torch.tensor([key]))[0]
    assert as_int == integers(-6, 7, torch.tensor(seed), step, key)


def test_every_key_bit_moves_every_bit_half_of_the_time() -> None:
    keys = np.arange(20_000)
    for bit in range(32):
        changed = hash32(7, keys) ^ hash32(7, keys ^ (1 << bit))
        share = (changed[:, None] >> np.arange(32) & 1).mean(0)
        assert abs(share - 0.5).max() < 0.02  # 5.7 standard deviations


def test_integers_are_uniform_over_each_key_and_together() -> None:
    keys = np.arange(100_000)
    assert evenly(integers(-4, 5, 0, keys), -4, 5)
    assert evenly(integers(-4, 5, keys, 0), -4, 5)
    neighbours = np.stack([integers(0, 13, 3, keys), integers(0, 13, 3, keys + 1)], 1)
    assert evenly(neighbours, 0, 13)


def test_uniform_numbers_are_uniform() -> None:
    values = uniform(-20.0, 20.0, 5, np.arange(10_000))
    assert kstest(values, "uniform", (-20, 40)).pvalue > 0.001


@given(st.integers(1, 3000), KEYS, KEYS)
def test_permuted_is_a_bijection(size: int, seed: int, epoch: int) -> None:
    image = permuted(np.arange(size), size, seed, epoch)
    np.testing.assert_array_equal(np.sort(image), np.arange(size))


def test_permuted_sends_each_place_anywhere() -> None:
    keys = np.arange(50_000)
    for place in (0, 11):
        assert evenly(permuted(place, 12, 1, keys), 0, 12)


@given(st.lists(st.tuples(st.integers(1, 5000), KEYS), min_size=1, max_size=20), st.data())
def test_arrays_of_sizes_and_keys_give_what_each_gives_alone(
    cases: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Sizes on both sides of a power of four shuffle with different numbers of bits."""
    sizes, keys = np.array(cases).T
    places = np.array([data.draw(st.integers(0, size - 1)) for size, _ in cases])
    alone = [permuted(np.array([p]), s, 9, k)[0] for p, (s, k) in zip(places, cases, strict=True)]
    np.testing.assert_array_equal(permuted(places, sizes, 9, keys), alone)


def test_the_end_of_60_million_is_as_near_as_the_beginning() -> None:
    size = 60_000_000
    ends = np.concatenate([np.arange(1000), np.arange(size - 1000, size)])
    image = permuted(ends, size, 0, 0)
    assert len(np.unique(image)) == 2000
    assert image.min() >= 0
    assert image.max() < size
    np.testing.assert_array_equal(image[-1:], permuted(ends[-1:], size, 0, 0))
