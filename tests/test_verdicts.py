"""The rules for verdicts, tried where the truth is known."""

from pathlib import Path

import numpy as np
import pytest

from capsnet import paper
from capsnet.analysis import plan
from capsnet.analysis.verdicts import (
    ALPHA,
    FLOOR,
    MIN_CLAIM_SHARE,
    SEEDS,
    Difference,
    Noise,
    between,
    claim_verdicts,
    from_paper,
    holm,
    pooled,
    row_verdict,
)
from capsnet.report.tables import simulate
from helpers.running import output_here

DRAWS = 20_000
MNIST = paper.TABLES[0]


@pytest.mark.parametrize(
    ("offset", "n", "expected"),
    # An independent simulation of the same rules at 5 %, without whole counts: reproduced, open,
    # higher, lower.
    [
        (0.0, 3, (77, 20, 2, 2)),
        (0.0, 5, (90, 6, 2, 2)),
        (0.06, 3, (5, None, None, 0)),
        (0.06, 5, (5, None, None, 0)),
        (0.09, 3, (0, None, 98, 0)),
        (0.09, 5, (0, None, 100, 0)),
    ],
)
def test_rows_get_their_verdicts_as_often_as_an_independent_simulation_says(
    offset: float, n: int, expected: tuple[int | None, ...]
) -> None:
    words = simulate.row_words("MNIST", 0.024, offset, n, DRAWS, alpha=0.05)
    for share, word in zip(expected, simulate.ROWS, strict=True):
        if share is not None:
            assert 100 * (words == word).mean() == pytest.approx(share, abs=1.2), word


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([26, 26, 26], "reproduced"),
        ([24, 24, 24], "reproduced"),
        ([24, 25, 26], "reproduced"),
        ([26] * 5, "reproduced"),
        ([34, 35, 34, 35, 34], "higher"),
        ([10, 11, 10, 11, 10], "lower"),
        ([15, 31, 40], "open"),
    ],
)
def test_whole_counts(errors: list[int], expected: str) -> None:
    percents = [0.01 * count for count in errors]
    noise = pooled([percents])
    assert noise is not None
    assert noise.sd >= FLOOR
    assert row_verdict(from_paper(percents, 0.25, noise), MNIST.margin) == expected


@pytest.mark.parametrize("n", [3, 5, 10])
def test_more_seeds_refute_no_perfect_reproduction(n: int) -> None:
    random = np.random.default_rng(n)
    noise = Noise(0.024, 10**6)
    ours, theirs = (random.normal(0.25, 0.024, (DRAWS, trials)) for trials in (n, 3))
    words = row_verdict(from_paper(ours, theirs.mean(1), noise), 0.0, 0.05)
    assert np.isin(words, ("higher", "lower")).mean() == pytest.approx(0.05, abs=0.006)


def test_noise_is_pooled_over_rows_by_hand() -> None:
    # Squares about the means: 2, 0 and 18 on 1 + 2 + 1 degrees of freedom.
    noise = pooled([[1.0, 3.0], [5.0, 5.0, 5.0], [9.0], [0.0, 6.0]])
    assert noise == (pytest.approx((20 / 4) ** 0.5), 4)
    assert pooled([[1.0], [2.0]]) is None
    assert pooled([[0.26, 0.26, 0.26]]) == (FLOOR, 2)


def test_the_interval_of_a_difference_is_that_of_student() -> None:
    # t(0.975; 2) = 4.302653, as in a table.
    one = between([1.0, 1.0], [4.0, 4.0], Noise(2.0, 2))
    assert one.interval() == pytest.approx((3 - 2 * 4.302653, 3 + 2 * 4.302653), abs=1e-5)
    low, high = from_paper([1.0] * 3, 2.0, Noise(3.0, 2)).interval()
    assert (low, high) == pytest.approx((-1 - 6**0.5 * 4.302653, -1 + 6**0.5 * 4.302653), abs=1e-5)


def test_the_procedure_of_holm_stops_at_the_first_that_fails() -> None:
    # 0.05 / 4, / 3, / 2, / 1 = 0.0125, 0.0167, 0.025, 0.05: the third fails, so the fourth does.
    assert holm([0.01, 0.04, 0.03, 0.016], 0.05).tolist() == [True, False, False, True]
    both = holm([np.array([0.01, 0.03]), np.array([0.04, 0.04])], 0.05)
    assert both.tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.14], ["reproduced"]),
        ([0.03], ["not reproduced"]),  # ahead, but by less than half
        ([-0.14], ["not reproduced"]),
        ([0.09], ["direction only"]),
        ([None], ["open"]),
    ],
)
def test_claims_have_a_direction_and_a_size(
    differences: list[float | None], expected: list[str]
) -> None:
    found = [None if one is None else Difference(one, 0.01, 20) for one in differences]
    assert claim_verdicts(found, [0.14]).tolist() == expected


@pytest.mark.parametrize("n", [3, 5])
def test_what_is_not_true_is_seldom_said_of_claims(n: int) -> None:
    # All six together: at most alpha / 2 for each kind of word.
    none = simulate.claim_words("no difference", n, DRAWS)
    assert np.isin(none, ("reproduced", "direction only")).any(0).mean() <= ALPHA / 2
    true = simulate.claim_words("as the paper says", n, DRAWS)
    assert (true == "not reproduced").any(0).mean() <= ALPHA / 2


@pytest.mark.parametrize("n", [3, 5])
def test_at_half_of_the_papers_differences_either_word_comes_as_seldom_as_planned(n: int) -> None:
    random = np.random.default_rng(n)
    published = [claim.difference for claim in paper.CLAIMS]
    found = [
        between(
            random.normal(0, sd, (DRAWS, n)),
            random.normal(MIN_CLAIM_SHARE * difference, sd, (DRAWS, n)),
            Noise(sd, 10**6),
        )
        for difference in published
        for sd in [0.1 * difference]
    ]
    words = claim_verdicts(found, published)
    for word in ("reproduced", "not reproduced"):  # of all six together
        assert (words == word).any(0).mean() == pytest.approx(ALPHA / 2, abs=0.003)


def test_size_and_its_absence_are_found_as_often_as_an_independent_simulation_says() -> None:
    # Five seeds, one claim at a time at 0.05 / 6, the worst case of Holm's procedure; that of
    # 0.10: 65 %, of 0.14: 94 %, either way. All six together find it more often.
    for true, share in ((0.10, 0.65), (0.14, 0.94)):
        random = np.random.default_rng(0)
        rows = [random.normal(mean, 0.024, (DRAWS, 5)) for mean in (0.25, 0.25 + true, 0, 0, 0)]
        noise = pooled(rows)
        assert noise is not None
        size = between(rows[0], rows[1], noise).p_above(MIN_CLAIM_SHARE * true) <= 0.025 / 6
        assert size.mean() == pytest.approx(share, abs=0.03)


def test_every_code_of_the_plan_has_the_name_of_the_first_of_its_item() -> None:
    [item] = [
        one for one in (plan.text() or "").split("\n- ") if one.startswith("`b691b35d48332b4c`")
    ]
    digests = item.split("`")[1::2]
    assert len(digests) >= 6
    assert {plan.code(digest) for digest in digests} == {"b691b35d48332b4c"}
    assert plan.code("0" * 16) == "0" * 16


def test_the_plan_says_what_the_rules_do() -> None:
    text = plan.text()
    assert text is not None
    assert f"α = {ALPHA}" in text
    for table in paper.TABLES:
        assert f"| {table.margin:g} |" in next(
            line for line in text.splitlines() if line.startswith(f"| {table.title} | ")
        )
    assert "seeds " + ", ".join(map(str, SEEDS)) in text
    assert plan.code("42b404723ae647ea") == plan.code("397b4c69a325f12f") == "397b4c69a325f12f"
    assert plan.code("0" * 16) == "0" * 16


def test_shares_in_the_plan_are_those_of_the_simulation() -> None:
    text = plan.text() or ""
    for label, name, sd, offset in (
        ("MNIST, 0.024 | 0", "MNIST", 0.024, 0.0),
        ("MNIST, 0.024 | 0.06", "MNIST", 0.024, 0.06),
        ("MNIST, 0.024 | 0.09", "MNIST", 0.024, 0.09),
        ("MNIST, 0.036 | 0", "MNIST", 0.036, 0.0),
        ("MultiMNIST, 0.3 | 0", "MultiMNIST", 0.3, 0.0),
        ("affNIST, 2 | 0", "affNIST", 2.0, 0.0),
    ):
        cells = []
        for n in (3, 5):
            words = simulate.row_words(name, sd, offset, n)
            wrong = np.isin(words, ("higher", "lower"))
            each = words == "reproduced", words == "open", wrong
            cells.append(" / ".join(f"{100 * some.mean():.0f}" for some in each))
        assert f"| {label} | {cells[0]} | {cells[1]} |" in text


def test_a_plan_that_is_not_here_is_said_to_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PLACES", ())
    plan.text.cache_clear()
    assert plan.quoted() == "plan not here"
    assert plan.code("42b404723ae647ea") == "42b404723ae647ea"
    monkeypatch.undo()
    plan.text.cache_clear()
    assert plan.quoted().startswith("plan ")


@pytest.mark.slow
def test_anyone_can_run_the_simulation(tmp_path: Path) -> None:
    code, printed = output_here("report.__main__", "simulate", cwd=tmp_path)
    assert code == 0, printed
    words = simulate.row_words("MNIST", 0.024, 0.0, 5)
    shares = " | ".join(simulate.shares(words, simulate.ROWS).values())
    assert f"| MNIST, 0.024 | +0.00 | 5 | {shares} |" in printed
    assert all(claim.words in printed for claim in paper.CLAIMS)
