"""Intervals where examples share digits hold the truth as often as they say."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from capsnet.analysis.paired_tests import mcnemar
from capsnet.data import dataset
from capsnet.data.multimnist import MultiMnist
from capsnet.data.multimnist import pairs as drawn_pairs
from capsnet.evaluation.outcomes import partners_of
from capsnet.records.clusters import partner_counts, sums
from capsnet.records.record import BY_PAIR, outcome_of
from capsnet.records.statistics import clustered, wilson

DIGITS, PARTNERS = 400, 100
HARD = 0.02  # of the variance of an example's score: the part of each of its digits
ERROR = 0.06


def pairs(random: np.random.Generator) -> NDArray[np.integer]:
    """Partners [K · digits]: each digit's are K different ones, none itself."""
    order = random.random((DIGITS, DIGITS - 1)).argsort(1)[:, :PARTNERS]
    others = (np.arange(DIGITS)[:, None] + 1 + order) % DIGITS
    return others.T.ravel()


def drawn(
    random: np.random.Generator, partner: NDArray[np.integer], hard: float = HARD
) -> NDArray[np.bool_]:
    """Wrong answers at the rate ERROR over all digits; a hard digit is hard in both roles."""
    base = np.tile(np.arange(DIGITS), PARTNERS)
    hardness = hard**0.5 * random.standard_normal(DIGITS)
    noise = (1 - 2 * hard) ** 0.5 * random.standard_normal(len(partner))
    return hardness[base] + hardness[partner] + noise > norm.ppf(1 - ERROR)


@pytest.mark.slow
def test_95_percent_of_the_intervals_of_pairs_hold_the_truth() -> None:
    random = np.random.default_rng(0)
    held = {"pairs": 0, "base": 0}
    draws = 400
    for _ in range(draws):
        partner = pairs(random)
        wrong = drawn(random, partner)
        by_partner = partner_counts(wrong, partner, DIGITS)
        for kind, counts in (("pairs", by_partner), ("base", None)):
            low, high = clustered(wrong, DIGITS, counts)
            held[kind] += low <= 100 * ERROR <= high
    # A share of 400 draws has a standard error of 1 % at 94 %, of 2 % at 80 %.
    assert 0.92 <= held["pairs"] / draws <= 0.97
    assert 0.70 <= held["base"] / draws <= 0.88


def test_pairs_that_have_nothing_in_common_get_wilsons_interval() -> None:
    random = np.random.default_rng(1)
    partner = pairs(random)
    wrong = drawn(random, partner, hard=0)
    one = outcome_of("mnist", wrong, DIGITS, partner_counts(wrong, partner, DIGITS))
    assert one.interval_kind == BY_PAIR
    assert one.interval_percent == pytest.approx(wilson(one.errors, one.total), abs=0.15 * 0.235)


def test_the_variance_of_pairs_is_the_sum_over_pairs_of_examples_that_share_a_digit() -> None:
    random = np.random.default_rng(2)
    base, partner = np.tile(np.arange(5), 2), np.array([1, 2, 3, 4, 0, 3, 4, 0, 1, 2])
    wrong = random.random(10) < 0.5
    x = wrong - wrong.mean()
    shown = [{*two} for two in zip(base, partner, strict=True)]
    share = [[len(one & other) for other in shown] for one in shown]
    np.fill_diagonal(together := np.array(share, float), 1)
    counts = partner_counts(wrong, partner, 5)
    assert sums(wrong, 5, counts).variance() == pytest.approx(x @ together @ x / 100)


@pytest.mark.slow
def test_mcnemars_test_of_pairs_rejects_5_percent_where_two_models_are_alike() -> None:
    random = np.random.default_rng(3)
    rejected = {"pairs": 0, "base": 0}
    draws = 300
    for _ in range(draws):
        partner = pairs(random)
        wrongs = [drawn(random, partner) for _ in range(2)]  # each finds other digits hard
        one, other = (np.packbits(wrong) for wrong in wrongs)
        first, second = (partner_counts(wrong, partner, DIGITS) for wrong in wrongs)
        rejected["pairs"] += mcnemar(one, other, DIGITS, (first, second)).p < 0.05
        rejected["base"] += mcnemar(one, other, DIGITS).p < 0.05
    assert rejected["pairs"] / draws <= 0.09
    assert rejected["base"] / draws >= 0.12


def test_a_run_on_pairs_keeps_the_errors_of_each_digit_as_partner() -> None:
    labels = np.arange(40) % 10
    tables = [torch.from_numpy(table) for table in drawn_pairs(labels, count=3)]
    images = torch.zeros(40, 1, 28, 28, dtype=torch.uint8)
    split = MultiMnist(images, torch.from_numpy(labels), *tables, max_shift=4)
    wrong = np.random.default_rng(4).random(120) < 0.3
    expected = np.zeros((2, 40), int)
    for i, (_, partner) in enumerate(split.pair(torch.arange(120))[0].tolist()):
        expected[:, partner] += wrong[i], 1
    counts = partners_of(dataset.TestSet(split, "mnist", 40), wrong)
    assert counts is not None
    assert counts.tolist() == expected.tolist()
