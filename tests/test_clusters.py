"""Intervals where examples share digits hold the truth as often as they say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from capsnet.analysis.answers import Answers, answers, contrast, in_general, mcnemar
from capsnet.data import dataset
from capsnet.data.groups import Groups
from capsnet.data.multimnist import MultiMnist
from capsnet.data.multimnist import pairs as drawn_pairs
from capsnet.data.shifted import ShiftedImages
from capsnet.evaluation.outcomes import errors_by_pair, partners_of
from capsnet.records.clusters import partner_counts, sums
from capsnet.records.record import BY_PAIR, outcome_of, read_record, write_arrays, write_record
from capsnet.records.runs import Run
from capsnet.records.statistics import clustered, wilson
from helpers.records import record

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
        one, other = (
            Answers(wrong * 1, DIGITS, partner_counts(wrong, partner, DIGITS).astype(int))
            for wrong in wrongs
        )
        rejected["pairs"] += mcnemar(one - other).p < 0.05
        rejected["base"] += mcnemar((one - other)._replace(partners=None)).p < 0.05
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


def test_a_run_on_pairs_keeps_the_errors_of_each_pair_of_classes() -> None:
    labels = np.array([0, 1, 2, 3] * 5)
    tables = [torch.from_numpy(table) for table in drawn_pairs(labels, count=4)]
    images = torch.zeros(20, 1, 28, 28, dtype=torch.uint8)
    split = MultiMnist(images, torch.from_numpy(labels), *tables, max_shift=4)
    wrong = np.random.default_rng(4).random(80) < 0.3
    expected = np.zeros((2, 4, 4), int)
    shown = split.examples(torch.arange(80), None).labels.sort(dim=1).values.tolist()
    for i, (low, high) in enumerate(shown):
        expected[:, low, high] += wrong[i], 1
    counts = errors_by_pair(dataset.TestSet(split, "mnist", 20), wrong, 4)
    assert counts is not None
    assert counts.tolist() == expected.tolist()
    single = ShiftedImages(images, torch.from_numpy(labels), max_shift=2, seed=0)
    assert errors_by_pair(dataset.TestSet(single, "mnist", 20), wrong[:20], 4) is None


TOYS = 25


def of_toys(
    random: np.random.Generator, toys: NDArray[np.integer], error: float = ERROR
) -> NDArray[np.bool_]:
    """Wrong answers at the rate `error` over all toys, some of which are hard."""
    hardness = 0.3**0.5 * random.standard_normal(TOYS)
    return hardness[toys] + 0.7**0.5 * random.standard_normal(len(toys)) > norm.ppf(1 - error)


def test_the_variance_by_group_is_the_sum_over_pairs_of_examples_of_one_group() -> None:
    random = np.random.default_rng(5)
    toys = random.permutation(np.repeat(np.arange(4), (1, 5, 8, 6)))
    wrong = random.random(20) < 0.4
    x = wrong - wrong.mean()
    total = sum(x[i] * x[j] for i in range(20) for j in range(20) if toys[i] == toys[j])
    assert sums(wrong, 4, groups=toys).variance() == pytest.approx(4 / 3 * total / 20**2)


# Where few hard toys make most of the errors the toys' shares are skewed, so that fewer hold it.
@pytest.mark.parametrize(("error", "least", "most"), [(0.5, 0.92, 0.98), (ERROR, 0.87, 0.95)])
def test_95_percent_of_the_intervals_by_toy_hold_the_truth(
    error: float, least: float, most: float
) -> None:
    random = np.random.default_rng(6)
    toys = random.permutation(np.repeat(np.arange(TOYS), 40))
    held = {"by toy": 0, "wilson": 0}
    draws = 600
    for _ in range(draws):
        wrong = of_toys(random, toys, error)
        for kind, groups in (("by toy", Groups("toy", toys)), ("wilson", None)):
            one = outcome_of("smallnorb", wrong, len(wrong), groups=groups)
            assert one.interval_kind == kind
            held[kind] += one.interval_percent[0] <= 100 * error <= one.interval_percent[1]
    # A share of 600 draws has a standard error of 1 %.
    assert least <= held["by toy"] / draws <= most
    assert held["wilson"] / draws <= 0.65


@pytest.mark.parametrize(("wrong", "interval"), [(False, (0, 13.319)), (True, (86.681, 100))])
def test_answers_that_are_all_alike_are_worth_one_for_each_toy(
    wrong: bool, interval: tuple[float, float]
) -> None:
    toys = Groups("toy", np.arange(1000) % TOYS)
    one = outcome_of("smallnorb", np.full(1000, wrong), 1000, groups=toys)
    # Wilson's of 0 of 25: 1.96² / (25 + 1.96²).
    assert one.interval_percent == pytest.approx(interval, abs=2e-3)


def test_mcnemars_test_of_toys_rejects_5_percent_where_two_models_are_alike() -> None:
    random = np.random.default_rng(7)
    toys = random.permutation(np.repeat(np.arange(TOYS), 41))
    rejected = {"by toy": 0, "exact": 0}
    draws = 500
    for _ in range(draws):
        apart = of_toys(random, toys) * 1 - of_toys(random, toys)
        rejected["by toy"] += mcnemar(Answers(apart, TOYS, None, toys)).p < 0.05
        rejected["exact"] += mcnemar(Answers(apart, len(apart), None)).p < 0.05
    assert rejected["by toy"] / draws <= 0.08
    assert rejected["exact"] / draws >= 0.3


def test_records_of_toys_are_compared_by_toy_and_not_at_all_without_them(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    toys = random.permutation(np.repeat(np.arange(TOYS), 41))
    paths = [tmp_path / f"seed{k}.json" for k in range(2)]
    both = [of_toys(random, toys) for _ in paths]
    for path, wrong in zip(paths, both, strict=True):
        one = outcome_of("smallnorb", wrong, len(wrong), groups=Groups("toy", toys))
        write_record(record(tests={"test": one}, dataset=record().dataset), path)
        write_arrays(path, {"wrong.test": np.packbits(wrong), "group.test": toys.astype(np.uint8)})
    runs = [Run(read_record(path), path) for path in paths]
    assert runs[0].record.tests["test"].interval_kind == "by toy"
    found = contrast([(runs[0], runs[1])], "test")
    assert found is not None
    by_toy = [int(both[1][toys == k].sum()) - int(both[0][toys == k].sum()) for k in range(TOYS)]
    deviate = sum(by_toy) / sum(d**2 for d in by_toy) ** 0.5
    assert found.p == pytest.approx(2 * norm.sf(abs(deviate)))
    assert found.differences[0].sums().by_base.tolist() == by_toy
    kept = answers(runs[0], "test")
    assert kept is not None
    expected = runs[0].record.tests["test"].interval_percent
    assert in_general([kept], None) == pytest.approx(expected)
    write_arrays(paths[0], {"wrong.test": np.packbits(both[0])})
    ungrouped = Run(runs[0].record, paths[0])
    assert answers(ungrouped, "test") is None
    assert contrast([(ungrouped, runs[1])], "test") is None
