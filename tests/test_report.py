"""Tables and claims: counts in, percentages, intervals, paired tests and verdicts out."""

import csv
import json
import math
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from polars.testing import assert_frame_equal
from scipy.stats import chi2
from scipy.stats import t as student

from capsnet import paper
from capsnet.analysis import plan
from capsnet.analysis.answers import Answers, in_general, mcnemar
from capsnet.analysis.selection import exclusion_reason, longest, noise
from capsnet.analysis.verdicts import Noise, pooled
from capsnet.data.info import DatasetInfo
from capsnet.errors import UserError
from capsnet.records.files import write_atomically
from capsnet.records.frame import frame
from capsnet.records.record import (
    OTHERS,
    Record,
    outcome,
    outcome_of,
    read_arrays,
    read_record,
    write_arrays,
    write_record,
)
from capsnet.records.routing_reports import read_reports
from capsnet.records.runs import Run, read_runs
from capsnet.records.statistics import clustered, wilson
from capsnet.report.__main__ import table
from capsnet.report.figures.style import BLUE, VERMILION
from capsnet.report.tables import terminal
from capsnet.report.tables.attacks import read_all_attacks
from capsnet.report.tables.claims import claims_table
from capsnet.report.tables.costs import costs_table, used_table
from capsnet.report.tables.document import document, extra_tables, generated, updated
from capsnet.report.tables.paper_tables import PaperRow, paper_table, verdict
from capsnet.report.tables.recipes import recipes_table
from capsnet.report.tables.speed import speed_tables
from capsnet.report.tables.table import markdown
from helpers.drawn import panels
from helpers.records import by_path, of_schema_1, record, runs_of
from helpers.running import output_here
from helpers.tables import by_name

MNIST, MULTIMNIST, AFFNIST, *_ = paper.TABLES
R3 = MNIST.rows[-1]
PROJECT = Path(__file__).parents[1]
ALONE = replace(MNIST, rows=(R3,))
GENERAL = "digits in general (seeds and digits)"


def verdict_of(records: Iterable[Record], row: paper.PaperResult = R3) -> str:
    """Without any recipe, schedule or code by itself."""
    runs = runs_of(records)
    return verdict(PaperRow(runs, runs, row.test, row, MNIST))


def demo(errors: int = 25) -> Record:
    return record(tests={"test": outcome("uci-digits", errors, 500)})


def test_the_wilson_interval_is_that_of_the_textbook() -> None:
    low, high = wilson(25, 10_000)
    # p = 25/10⁴, z = 1.959964: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), by hand.
    assert low == pytest.approx(0.16940, abs=1e-5)
    assert high == pytest.approx(0.36881, abs=1e-5)


@pytest.mark.parametrize(("distinct", "kind"), [(None, "wilson"), (100, "by digit")])
def test_an_old_record_says_what_its_interval_counts(
    distinct: int | None, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "seed0.json"
    one = replace(outcome("mnist", 3, 200), num_distinct=distinct)
    old = of_schema_1(record(tests={"test": one}), path)
    del old["tests"]["test"]["interval_kind"]
    path.write_text(json.dumps(old))
    assert read_record(path).tests["test"] == replace(one, interval_kind=kind)


def test_an_old_record_is_read_as_it_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "seed0.json"
    one = record(overrides=("schedule.batch=32",))
    old = of_schema_1(one, path)
    path.write_text(json.dumps(old | {"changed": ["schedule.batch=32"]}))
    assert read_record(path) == one
    path.write_text(json.dumps(old))
    unknown = read_record(path)
    assert (unknown.overrides, unknown.overrides_known) == ((), False)
    write_record(unknown, path)
    assert not read_record(path).overrides_known
    assert verdict_of([unknown]) == "none: values unknown"


def test_a_record_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "seed0.json"
    write_record(record(), path)
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 3'))
    with pytest.raises(UserError, match=r"written by another version.*schema 3 is newer than 2"):
        read_record(path)


def bits(n: int, *ones: range) -> np.ndarray:
    wrong = np.zeros(n, bool)
    for some in ones:
        wrong[some.start : some.stop] = True
    return np.packbits(wrong)


def wrong(n: int, *ones: range) -> Answers:
    return Answers(np.unpackbits(bits(n, *ones))[:n].astype(np.int8), n, None)


def test_mcnemar_counts_what_one_alone_gets_right() -> None:
    both, first, second = range(5), range(5, 15), range(20, 22)
    test = mcnemar(wrong(45, both, second) - wrong(45, both, first))
    assert (test.only_first, test.only_second) == (2, 10)
    # Exact, two-sided: 2 · Σ_{k ≤ 2} C(12, k) / 2¹² = 2 · 79 / 4096.
    assert test.p == pytest.approx(2 * 79 / 4096)
    assert mcnemar(wrong(45, both) - wrong(45, both)) == (0, 0, 1.0)
    with pytest.raises(ValueError, match="broadcast"):
        _ = wrong(45) - wrong(100)


# Ten digits, twice each; the first two are wrong both times, the next three the first time.
TWICE = np.array([1, 1, 1, 1, 1, *[0] * 5, 1, 1, *[0] * 8], bool)


def test_pictures_of_the_same_digit_are_not_independent() -> None:
    # Shares 100, 100, 50, 50, 50, 0, …: mean 35, sd √(15250 / 9), t(0.975; 9) = 2.262157.
    half = 2.262157 * math.sqrt(15250 / 9 / 10)
    one = outcome_of("mnist", TWICE, 10)
    assert (one.errors, one.total, one.num_distinct) == (7, 20, 10)
    assert one.interval_percent == pytest.approx((35 - half, 35 + half), abs=1e-5)
    assert outcome_of("mnist", TWICE, 20) == outcome("mnist", 7, 20)


def test_where_copies_differ_at_random_the_interval_is_that_of_wilson() -> None:
    wrong = np.random.default_rng(0).random(40_000) < 0.2
    one = outcome_of("mnist", wrong, 10_000)
    assert one.interval_percent == pytest.approx(wilson(one.errors, 40_000), abs=0.01)
    copied = np.tile(wrong[:10_000], 4)
    low, high = outcome_of("mnist", copied, 10_000).interval_percent
    once = wilson(int(wrong[:10_000].sum()), 10_000)
    assert (low, high) == pytest.approx(once, abs=0.02)


def test_no_interval_leaves_0_to_100() -> None:
    low, high = clustered(np.array([1, 0, 0, 0] * 2, bool), 4)
    assert (low, high < 100) == (0, False)


def test_the_test_of_mcnemar_knows_that_digits_come_again() -> None:
    other = np.zeros(20, bool)
    other[[5, 15, 6]] = True
    # Digit by digit d = 2, 2, 1, 1, 1, −2, −1, 0, 0, 0: χ² = 4² / 16 = 1.
    test = mcnemar(Answers(other * 1 - TWICE, 10, None))
    assert (test.only_first, test.only_second) == (3, 7)
    assert test.p == pytest.approx(0.317311, abs=1e-6)  # of a normal deviate beyond ±1
    assert mcnemar(Answers(other * 0, 10, None)).p == 1


def test_a_record_survives_writing_and_reading(tmp_path: Path) -> None:
    path = tmp_path / "exp" / "seed0.json"
    write_record(record(overrides=("schedule.batch=32",)), path)
    assert read_record(path) == record(overrides=("schedule.batch=32",))
    write_record(record(), path)
    write_arrays(path, {"wrong.test": bits(45, range(3))})
    assert by_path(read_runs(tmp_path)) == {path: record()}
    assert np.array_equal(read_arrays(path)["wrong.test"], bits(45, range(3)))
    assert read_arrays(tmp_path / "other.json") == {}


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (record(25), "not enough runs"),
        (record(steps_done=299_999), "none: short schedule"),
        (record(steps_done=4000, stop_at=0.99, stopped=4000), "not enough runs"),
        (record(steps_done=4000, stop_at=0.99, stopped=4000, schedule="s"), "none: short schedule"),
        (record(stop_at=0.99), "none: accuracy not reached"),
        (demo(), "none: demo"),
        (record(model={"name": "capsnet", "width": 0.25}), "none: demo"),
        (record(overrides=("schedule.batch=32",)), "none: values set by hand"),
        (record(training_examples=50_000), "none: fewer examples"),
        (record(total=9_999), "none: fewer examples"),
        (record(clean=False), "none: uncommitted code"),
        (record(clean=True), "not enough runs"),
        (record(precision="tf32"), "none: not fp32"),
        (record(precision="bf16-mixed"), "none: not fp32"),
    ],
)
def test_runs_that_cannot_speak_for_or_against_the_paper(run: Record, expected: str) -> None:
    assert verdict_of([run]) == expected


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([26, 26, 26], "reproduced (interim)"),  # one digit more is no refutation
        ([24, 25, 26], "reproduced (interim)"),
        ([24, 25, 26, 27, 23], "reproduced"),
        ([24, 25, 26, 90], "reproduced (interim)"),  # no look at four seeds
        ([24, 25, 26, 27, 23, 90], "reproduced"),  # nor at a sixth
        ([32, 40, 48], "open (interim)"),
        ([40, 41, 42], "higher (interim)"),
        ([5, 6, 7], "lower (interim)"),
        ([25, 25], "not enough runs"),
        ([34, 35, 34, 35, 34], "higher"),
    ],
)
def test_verdicts_of_several_seeds(errors: list[int], expected: str) -> None:
    assert verdict_of(record(count, seed=seed) for seed, count in enumerate(errors)) == expected


def test_verdicts_quote_the_plan() -> None:
    runs = runs_of(record(25, seed=seed) for seed in range(5))
    digest = sha256((PROJECT / "docs/analysis-plan.md").read_bytes()).hexdigest()
    quoted = verdict(PaperRow(runs, runs, R3.test, R3, MNIST), plan.quoted())
    assert quoted == f"reproduced (plan {digest[:12]})"


def test_a_seed_that_is_not_there_is_shown_and_not_replaced() -> None:
    runs = runs_of(record(25, seed=seed) for seed in (0, 1, 2, 4, 5))
    row = by_name(paper_table(runs, ALONE))[0]
    assert row["ours %"] == "0.25 ± 0.000 (3), without seed 3"
    assert row["errors / tests"] == "25, 25, 25, 25, 25 / 10,000"
    assert row["verdict"].startswith("reproduced (interim, plan ")
    assert verdict_of(record(25, seed=seed) for seed in (0, 2, 3, 4, 5)) == "not enough runs"


def test_the_interval_is_for_more_of_what_a_data_set_shows() -> None:
    headings = {
        table.title: next(name for name in paper_table([], table).names if "in general" in name)
        for table in paper.TABLES
    }
    assert headings["MNIST"] == headings["SVHN"] == GENERAL
    assert headings["CIFAR-10"] == "images in general (seeds and images)"
    assert headings["smallNORB"] == "toys in general (seeds and toys)"


def test_seeds_of_other_rows_tell_how_noisy_seeds_are() -> None:
    ours = [record(25 + seed % 2, seed=seed) for seed in range(3)]
    others = [
        record(10 * seed, seed=seed, experiment=row.experiment)
        for row in MNIST.rows[1:-1]
        for seed in range(3)
    ]
    [row] = by_name(paper_table(runs_of([*ours, *others]), ALONE))
    # Squares: three rows of 0.02, ours of 0.0000667; 8 degrees of freedom; t(0.975; 8) = 2.306004.
    half = 2.306004 * math.sqrt((3 * 0.02 + 0.0002 / 3) / 8 * (1 / 3 + 1 / 3))
    mean = (25 + 26 + 25) / 300 - 0.25
    expected = f"{mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f})"
    assert row["against the paper (seeds)"] == expected.replace("-", "−")
    assert row["verdict"].startswith("open ")
    for other in ({"recipe": "text"}, {"identity": {"data": "the same", "code": "f" * 16}}):
        apart = [replace(one, **other) for one in others]
        [line] = by_name(paper_table(runs_of([*ours, *apart]), ALONE))
        assert line["verdict"].startswith("reproduced ")


def of_other_rows(**changes: Any) -> list[Record]:
    """Give three seeds of each of the other rows of MNIST, far apart."""
    return [
        record(10 * seed, seed=seed, experiment=row.experiment, **changes)
        for row in MNIST.rows[1:-1]
        for seed in range(3)
    ]


def noise_beside(*others: Record) -> Noise | None:
    """Return the noise of a row of three seeds, beside other runs."""
    ours = [record(25 + seed % 2, seed=seed) for seed in range(3)]
    return noise(runs_of([*ours, *others]), ours[0], "test")


@pytest.mark.parametrize(
    "other",
    [
        {"precision": "tf32"},
        {"overrides": ("recipe.balance=text",)},
        {"clean": False},
        {"schedule": "short"},
        {"steps_planned": 7},
        {"batch": 64},
        {"training_examples": 59_999},
        {"model": {"name": "capsnet", "width": 0.5}},
    ],
)
def test_rows_that_differ_in_more_than_the_model_pool_no_noise(other: dict[str, Any]) -> None:
    assert noise_beside(*of_other_rows(**other)) == noise_beside()
    assert noise_beside(*of_other_rows()) != noise_beside()


def test_a_row_with_a_seed_twice_pools_no_noise() -> None:
    assert noise_beside(*of_other_rows(), *of_other_rows()) == noise_beside()


def test_a_part_of_affnist_is_fewer_examples() -> None:
    tests = {
        "test": outcome("mnist", 77, 10_000),
        "affnist": outcome("affnist-generated", 1, 20_000),
    }
    one = record(experiment="affnist_capsnet", tests=tests, stop_at=0.99, stopped=9000)
    assert exclusion_reason([one]) == "fewer examples"


def test_code_that_the_plan_does_not_hold_to_be_the_same_is_another_row() -> None:
    def coded(*codes: str) -> list[Record]:
        return [
            record(25, seed=seed, identity={"data": "the same", "code": one})
            for seed, one in enumerate(codes)
        ]

    apart = by_name(paper_table(runs_of(coded("a" * 16, "b" * 16, "c" * 16)), ALONE))
    assert [line["verdict"] for line in apart] == ["not enough runs"] * 3
    same = by_name(
        paper_table(runs_of(coded("397b4c69a325f12f", *["42b404723ae647ea"] * 2)), ALONE)
    )
    [line] = same
    assert (line["tested on, recipe"], line["verdict"][:11]) == (
        "mnist, released, 2 codes",
        "reproduced ",
    )


def test_uncommitted_code_gets_no_verdict_and_takes_none_from_others() -> None:
    clean = [record(25, seed=seed, clean=True) for seed in range(3)]
    unclean = [record(25, seed=seed, clean=False) for seed in range(3)]
    assert verdict_of(unclean) == "none: uncommitted code"
    lines = by_name(paper_table(runs_of([*clean, *unclean]), ALONE))
    assert [line["verdict"].partition(" (")[0] for line in lines] == [
        "reproduced",
        "none: uncommitted code",
    ]


def test_a_seed_that_was_recorded_twice_is_not_two() -> None:
    assert verdict_of([record(25), record(26), record(27, seed=1)]) == "none: a seed twice"


def test_the_accuracy_at_which_training_stops_is_no_result() -> None:
    sets = {
        "test": outcome("mnist", 77, 10_000),
        "affnist": outcome("affnist-generated", 67_200, 320_000),
    }
    ours = [
        record(seed=seed, experiment="affnist_capsnet", tests=sets, stop_at=0.99, stopped=9000)
        for seed in range(3)
    ]
    rows = by_name(paper_table(runs_of(ours), AFFNIST))
    assert [row["verdict"] for row in rows[1::2]] == [
        "none: stopped there",
        f"reproduced (interim, at the stop, {plan.quoted()})",
    ]


def test_rows_hold_mean_sd_seeds_counts_intervals_and_steps(tmp_path: Path) -> None:
    runs = recipe("released", 1, range(30), tmp_path) + recipe("released", 0, range(20), tmp_path)
    rows = by_name(paper_table(runs, MNIST))
    assert [row["verdict"] for row in rows[:-1]] == ["not yet run"] * 4
    # Variances in squares of one digit of 10,000. Seeds: sd 10 / √2, of a mean of two. Digits: 20
    # of a mean of 1 and 10 of 0.5, about the mean of all, 0.0025. Cells: 0.5² in 10 digits of both
    # seeds, less 0.0005² in all digits that their totals explain; halved, for a mean of two.
    seeds = 10**2 / 2 / 2
    digits = 20 * 1 + 10 * 0.5**2 - 1e4 * 0.0025**2 - (2 * 10 * 0.5**2 - 2e4 * 0.0005**2) / 2
    freedom = (seeds + digits) ** 2 / (seeds**2 / 1 + digits**2 / 9_999)
    half = student.ppf(0.975, freedom) * math.sqrt(seeds + digits) / 100
    assert rows[-1] == {
        "row": "CapsNet, 3 routing, decoder",
        "paper %": "0.25 ± 0.005",
        "ours %": "0.25 ± 0.071 (2)",
        "verdict": "not enough runs",
        "against the paper (seeds)": "–",
        "errors / tests": "20, 30 / 10,000",
        GENERAL: f"{0.25 - half:.2f}–{0.25 + half:.2f}",
        "public %": "0.27 ethanleet",
        "tested on, recipe": "mnist, released",
        "steps": "300,000 of 300,000",
    }
    alone = runs_of([record(25)])
    assert by_name(paper_table(alone, ALONE))[0][GENERAL] == "{:.2f}–{:.2f}".format(
        *wilson(25, 10_000)
    )


def test_recipes_and_schedules_are_never_pooled() -> None:
    records = [
        record(20),
        record(40, recipe="text"),
        record(22, seed=1),
        record(90, schedule="short", steps_planned=500, steps_done=500),
        record(91, schedule="short", steps_planned=500, steps_done=500, batch=32),
    ]
    rows = by_name(paper_table(runs_of(records), ALONE))
    counts = ["91 / 10,000", "90 / 10,000", "20, 22 / 10,000", "40 / 10,000"]
    assert [row["errors / tests"] for row in rows] == counts
    assert [row["steps"] for row in rows[:2]] == ["500 of 500, batch 32", "500 of 500"]
    verdicts = [row["verdict"] for row in rows]
    assert verdicts == [*["none: short schedule"] * 2, *["not enough runs"] * 2]


def test_one_run_speaks_for_several_test_sets() -> None:
    sets = {
        "test": outcome("mnist", 77, 10_000),
        "affnist": outcome("affnist-generated", 67_200, 320_000),
    }
    ours = record(experiment="affnist_capsnet", tests=sets, stop_at=0.9923, stopped=9000)
    rows = by_name(paper_table(runs_of([ours]), AFFNIST))
    assert [row["ours %"] for row in rows] == ["–", "0.77", "–", "21.00"]
    assert rows[3]["tested on, recipe"] == "affnist-generated, released"
    assert rows[3]["steps"] == "300,000 of 300,000, stopped"
    assert rows[3]["verdict"] == "not enough runs"


def test_an_ablation_has_a_table_of_its_own_without_a_verdict() -> None:
    sets = {
        "test": outcome("mnist", 77, 10_000),
        "affnist": outcome("affnist-generated", 67_200, 320_000),
    }
    ours = record(experiment="affnist_capsnet_r1", tests=sets, stop_at=0.9923, stopped=9000)
    assert {row["ours %"] for row in by_name(paper_table(runs_of([ours]), AFFNIST))} == {"–"}
    [table] = extra_tables(runs_of([ours]))
    assert table.title == "Ablations, not in the paper"
    assert "verdict" not in table.names
    assert [row[:3] for row in table.cells] == [
        ("CapsNet, 1 routing, on expanded MNIST", "0.77", "77 / 10,000"),
        ("CapsNet, 1 routing, on affNIST", "21.00", "67,200 / 320,000"),
    ]
    assert extra_tables(runs_of([record()])) == []


def three(better: list[int], worse: list[int], folder: Path, **changes: Any) -> list[Run]:
    """Three seeds of both models of the last claim, their errors kept example by example."""
    claim, runs = paper.CLAIMS[-1], list[Run]()
    for name, counts in ((claim.better, better), (claim.worse, worse)):
        for seed, errors in enumerate(counts):
            path = folder / name / f"seed{seed}.json"
            runs.append(Run(record(errors, experiment=name, seed=seed, **changes), path))
            write_record(runs[-1].record, path)
            write_arrays(path, {"wrong.test": bits(10_000, range(errors))})
    return runs


@pytest.mark.parametrize(
    ("better", "worse", "expected"),
    [
        ([25, 26, 24], [35, 36, 37], "reproduced (interim)"),  # by 0.11; the paper's is 0.10
        ([25, 26, 24, 25, 25], [35, 36, 37, 36, 35], "reproduced (plan)"),
        ([35, 36, 37], [25, 26, 24], "not reproduced (interim)"),
        # Ahead, by a tenth of the paper's difference.
        ([25, 26, 24, 25, 25], [26, 27, 25, 26, 26], "not reproduced (plan)"),
        ([25, 26, 24], [30, 31, 29], "direction only (interim)"),
        ([25, 35, 45], [35, 25, 46], "open (interim)"),
        ([25, 26], [35, 36], "not enough runs"),
    ],
)
def test_claims(better: list[int], worse: list[int], expected: str, tmp_path: Path) -> None:
    line = claims_table(three(better, worse, tmp_path), paper.CLAIMS[-1:]).cells[0]
    word = line[1].replace(f", {plan.quoted()}", "").replace(plan.quoted(), "plan")
    assert (line[0], word) == ("reconstruction helps, 3 iterations", expected)
    gains = [(w - b) / 100 for b, w in zip(better, worse, strict=True)]
    assert line[2].startswith(f"{sum(gains) / len(gains):+.2f} (".replace("-", "−"))
    alone = [(max(w - b, 0), max(b - w, 0)) for b, w in zip(better, worse, strict=True)]
    each = ", ".join(f"{one} / {other}" for one, other in alone)
    # Digit by digit: seed s tells the models apart on the digits between its two counts.
    d = np.zeros(10_000)
    for b, w in zip(better, worse, strict=True):
        d[min(b, w) : max(b, w)] += 1 if w > b else -1
    p = chi2.sf(d.sum() ** 2 / (d**2).sum(), 1)
    assert line[4:6] == (f"{each} ({p:.2g})", str(len(better)))
    assert line[8] == "data, seed, schedule, code"


def test_no_p_is_told_as_0(tmp_path: Path) -> None:
    line = claims_table(three([0], [5000], tmp_path), paper.CLAIMS[-1:]).cells[0]
    assert line[4] == "5,000 / 0 (< 1e-300)"


def test_a_claim_is_judged_on_runs_that_differ_in_the_model_alone(tmp_path: Path) -> None:
    runs = three([25, 26, 24], [35, 36, 37], tmp_path)
    short = {"schedule": "short", "steps_planned": 500, "steps_done": 500}
    shorter = three([9, 9, 9], [1, 1, 1], tmp_path / "short", **short)
    [line] = claims_table(runs + shorter, paper.CLAIMS[-1:]).cells
    assert line[1].startswith("reproduced ")  # the longest schedule counts
    [line] = claims_table(shorter, paper.CLAIMS[-1:]).cells
    assert (line[1], line[7]) == ("none: short schedule", "500 of 500")
    first, *rest = runs
    others = replace(first.record, identity={"data": "other digits"})
    [line] = claims_table([Run(others, first.path), *rest], paper.CLAIMS[-1:]).cells
    assert (line[1], line[5]) == ("not enough runs", "2")
    coded = {"data": "the same", "code": "f" * 16}
    committed = replace(first.record, identity=coded, commit="0123456" + "0" * 33)
    two, one = claims_table([Run(committed, first.path), *rest], paper.CLAIMS[-1:]).cells
    assert (two[1], two[5]) == ("not enough runs", "2")
    assert one[1] == "none: different code"
    assert one[8] == "data, seed, schedule; commits 0123456, unknown"


CAPSNET_BEATS_CNN = paper.CLAIMS[:1]
CNN: dict[str, Any] = {"experiment": "mnist_baseline", "model": {"name": "mnist_baseline"}}


def both(*seeds: int, **changes: Any) -> list[Record]:
    """Give pairs of the first claim: 0.25 against 0.39 %."""
    return [
        one
        for seed in seeds
        for one in (record(25, seed=seed, **changes), record(39, seed=seed, **CNN, **changes))
    ]


@pytest.mark.parametrize(
    "later",
    [
        both(5, clean=False),
        both(3, identity={"data": "the same", "code": "f" * 16}),
        both(3, 4, stop_at=0.99),  # which they never reached
        [record(90, seed=7)],
    ],
)
def test_no_later_run_takes_a_verdict_away(later: list[Record]) -> None:
    runs = runs_of([*both(0, 1, 2), *later])
    [line, *others] = claims_table(runs, CAPSNET_BEATS_CNN).cells
    assert line[1:3] == (f"reproduced (interim, {plan.quoted()})", "+0.14 (+0.13 to +0.15)")
    assert all(other[1].startswith(("none: ", "not enough")) for other in others)
    row, *_ = by_name(paper_table(runs, ALONE))
    assert row["verdict"] == f"reproduced (interim, {plan.quoted()})"
    assert row["ours %"].startswith("0.25 ± 0.000 (3)")


def test_a_seed_that_never_reached_its_accuracy_is_shown_as_such() -> None:
    never = record(60, seed=1, stop_at=0.99)
    [row] = by_name(paper_table(runs_of([*both(0, 2, 3)[::2], never]), ALONE))
    assert row["verdict"] == "none: accuracy not reached"
    assert row["ours %"].endswith(" (4), seed 1 did not reach its accuracy")


def test_a_recipe_hides_no_shorter_runs_of_the_other() -> None:
    short = both(0, 1, schedule="short", steps_planned=4688, steps_done=4688)
    released = [one for one in short if one.recipe == "released"]
    text = [record(24, seed=seed, recipe="text") for seed in range(3)]
    runs = runs_of([*released, *text, *both(0, 1, 2)[1::2]])
    lines = claims_table(runs, CAPSNET_BEATS_CNN).cells
    assert [(line[6], line[7]) for line in lines] == [
        ("released", "4,688 of 4,688"),
        ("text", "300,000 of 300,000"),
    ]


def test_a_baseline_is_compared_with_either_recipe() -> None:
    baseline = {"experiment": "mnist_baseline", "model": {"name": "mnist_baseline", "width": 1.0}}
    kinds = [record(25), record(24, recipe="text"), record(40, **baseline)]
    runs = runs_of(kinds)
    lines = claims_table(runs, paper.CLAIMS[:1]).cells
    assert [(line[2], line[6]) for line in lines] == [("+0.15", "released"), ("+0.16", "text")]
    assert by_name(paper_table(runs, MNIST))[0]["tested on, recipe"] == "mnist, any recipe"
    changed = record(40, overrides=("schedule.batch=32",), **baseline)
    alone = claims_table(runs_of([kinds[0], changed]), paper.CLAIMS[:1]).cells[0]
    assert alone[1:3] == ("not enough runs", "–")


def test_95_percent_of_the_intervals_for_digits_in_general_hold_the_truth() -> None:
    random = np.random.default_rng(0)
    n, digits, sds, true, held, draws = 3, 2_000, (0.3, 1.0), 0.0, {"both": 0, "seeds": 0}, 400
    for _ in range(draws):
        # Errors in percent of a seed: noise of 0.3 of its own; of a digit 100 · 1.0 / √2000 = 2.2.
        hard, own = random.normal(0, sds[1], digits), random.normal(0, 1, (n, digits))
        x = 0.01 * random.normal(0, sds[0], (n, 1)) + hard + own
        noise = pooled([100 * x.mean(1)])
        seeds = [Answers(one, digits, None) for one in x]
        low, high = in_general(seeds, noise)
        held["both"] += low <= true <= high
        seed_means = 100 * x.mean(1)
        half = student.ppf(0.975, n - 1) * seed_means.std(ddof=1) / n**0.5
        held["seeds"] += abs(seed_means.mean() - true) <= half
    assert 0.92 <= held["both"] / draws <= 0.98
    assert held["seeds"] / draws < 0.9


def recipe(name: str, seed: int, wrong: range, folder: Path, **changes: Any) -> list[Run]:
    path = folder / f"{name}-{seed}.json"
    one = record(len(wrong), recipe=name, seed=seed, **changes)
    write_arrays(path, {"wrong.test": bits(10_000, wrong)})
    return [Run(one, path)]


def test_recipes_are_compared_seed_by_seed_at_equal_steps(tmp_path: Path) -> None:
    runs = recipe("released", 0, range(50), tmp_path) + recipe("text", 0, range(40, 60), tmp_path)
    runs += recipe("text", 1, range(10), tmp_path) + recipe("released", 1, range(30), tmp_path)
    runs += recipe("text", 2, range(1), tmp_path)  # alone
    [line] = recipes_table(runs).cells
    assert line[:3] == ("mnist_capsnet_r3_recon", "60,000 mnist", "300,000 of 300,000")
    assert line[3:5] == ("50, 30 / 10,000", "20, 10 / 10,000")
    # Both sds over two seeds: 0.1 and 0.2 / √2; two degrees of freedom, t(0.975) = 4.302653.
    half = 4.302653 * math.sqrt((0.1**2 / 2 + 0.2**2 / 2) / 2)
    assert line[5] == f"+0.25 ({0.25 - half:+.2f} to {0.25 + half:+.2f})".replace("-", "−")
    # Seed 0: text alone gets 0..39 right, released alone 50..59. Seed 1: text alone 10..29. So
    # Σ d = 50, Σ d² = 20 · 1 + 20 · 2² + 10 · 1.
    assert line[7:] == (f"40 / 10, 20 / 0 ({chi2.sf(50**2 / 110, 1):.2g})", "2")


@pytest.mark.parametrize(
    "other",
    [
        {"steps_planned": 500},
        {"schedule": "short"},
        {"training_examples": 50_000},
        {"precision": "bf16-mixed"},
        {"identity": {"data": "other"}},
        {"experiment": "mnist_capsnet_r3"},
        {"batch": 64},
    ],
)
def test_recipes_are_compared_only_where_all_else_is_equal(
    other: dict[str, Any], tmp_path: Path
) -> None:
    runs = recipe("released", 0, range(50), tmp_path) + recipe("text", 0, range(9), tmp_path)
    assert len(recipes_table(runs).rows) == 1
    changed = recipe("text", 0, range(9), tmp_path, **other)
    assert recipes_table(runs[:1] + changed).rows == []


@pytest.mark.parametrize(
    "other",
    [
        {"training_examples": 50_000},
        {"identity": {"config": "a"}},
        {"identity": {"data": "other copies"}},
    ],
)
def test_runs_that_differ_in_more_than_the_seed_are_another_row(other: dict[str, Any]) -> None:
    kinds = [record(25), record(26, seed=1), record(90, seed=2, **other)]
    rows = by_name(paper_table(runs_of(kinds), ALONE))
    assert sorted((line["ours %"].partition(",")[0], line["errors / tests"]) for line in rows) == [
        ("0.26 ± 0.007 (2)", "25, 26 / 10,000"),
        ("0.90", "90 / 10,000"),
    ]


def known(runs: list[Run], others: Sequence[Run] = ()) -> str:
    """Return the tables of docs/results.md."""
    return generated(runs, others, [])["docs/results.md"]["tables"]


def test_the_results_page_shows_the_longest_runs_and_no_demo() -> None:
    short = record(90, schedule="short", steps_planned=500, steps_done=500)
    text = record(91, recipe="text", schedule="short", steps_planned=500, steps_done=500)
    kinds = [short, record(25), demo(), record(seed=1), text]
    runs = runs_of(kinds)
    assert longest(runs) == [runs[1], runs[3], runs[4]]
    rows, compared = known(runs).split("### Recipes at equal steps")
    assert "25, 25 / 10,000" in rows
    assert "90 / 10,000" not in rows
    assert "| 90 / 10,000 | 91 / 10,000 | −0.01 |" in compared


def test_the_table_in_the_readme_has_the_state_of_every_row_and_no_demo() -> None:
    short = {"schedule": "short", "steps_planned": 500, "steps_done": 500}
    kinds = [record(24), record(26, seed=1), record(90, **short), demo()]
    kinds.append(record(91, recipe="text", **short))
    table = generated(runs_of(kinds), [], [])["README.md"]["state"]
    _, _, *rows = table.splitlines()
    assert "| MNIST: Baseline CNN | 0.39 | – | – | not yet run |" in rows
    paper_s = "MNIST: CapsNet, 3 routing, decoder | 0.25 ± 0.005"
    assert [row for row in rows if paper_s in row] == [
        f"| {paper_s} | 0.91 | 500, short, text | none: short schedule |",
        f"| {paper_s} | 0.25 ± 0.014 (2) | 300,000, paper, released | not enough runs |",
    ]
    assert len(rows) == 1 + sum(not row.condition for table in paper.TABLES for row in table.rows)
    assert "uci" not in table


def test_generated_text_replaces_what_is_between_its_marks() -> None:
    begin, end = "<!-- one: `python -m capsnet.report readme` -->", "<!-- end of one -->"
    text = updated("PAGE.md", f"before\n{begin}\nold\n{end}\nafter\n", {"one": "| a |"})
    assert text == f"before\n{begin}\n\n| a |\n{end}\nafter\n"
    assert updated("PAGE.md", text, {"one": "| a |"}) == text
    with pytest.raises(UserError, match="lacks its marks"):
        updated("PAGE.md", text, {"two": "| b |"})


def test_the_claims_compare_the_longest_runs_that_both_models_have() -> None:
    short = {"schedule": "short", "steps_planned": 500, "steps_done": 500}
    baseline = {"experiment": "mnist_baseline", "model": {"name": "mnist_baseline", "width": 1.0}}
    kinds = [record(25), record(90, **short), record(95, **baseline, **short)]
    text = known(runs_of(kinds))
    claim = "CapsNet beats the baseline on MNIST | none: short schedule | +0.05 | – | – | 1"
    assert f"| {claim} | released | 500 of 500 |" in text


def test_an_experiment_that_is_not_in_the_paper_gets_no_verdict_and_breaks_no_table(
    tmp_path: Path,
) -> None:
    signs = DatasetInfo("GTSRB", channels=3, height=32, width=32)
    source = {"test": outcome("gtsrb", 40, 12_630)}
    # Even one whose name begins as the paper's do.
    runs = runs_of(
        record(experiment=name, tests=source, dataset=signs, seed=seed, overrides_known=True)
        for name in ("gtsrb_capsnet", "mnist_capsnet_r9", "mnist")
        for seed in range(5)
    )
    for one in (run.record for run in runs):
        assert paper.table_of(one.experiment) is None
        assert exclusion_reason([one]) == "not in the paper"
        assert noise(runs, one, "test") is None
    foreign = paper.PaperResult("gtsrb_capsnet", "signs", 0.4)
    row = PaperRow(runs, runs[:5], foreign.test, foreign, MNIST)
    assert verdict(row) == "none: not in the paper"
    assert {row["verdict"] for row in by_name(paper_table(runs, MNIST))} == {"not yet run"}
    text = document(runs, "ours") + known(runs) + known([], runs)
    assert "| gtsrb_capsnet, seed 4 | released | 40 / 12,630 | 0.32 |" in text
    timings = {"training": {"timings": [timing(0.5, 0.064)]}}
    benchmark = {"processor": "Abacus", "threads": 2, "rows": {"gtsrb_capsnet": timings}}
    (tmp_path / "abacus.json").write_text(json.dumps(benchmark))
    assert costs_table([tmp_path / "abacus.json"]).cells[0][3:] == ("42", "–")


@pytest.mark.slow
def test_a_table_in_a_terminal_shows_what_was_set_by_hand(tmp_path: Path) -> None:
    by_hand = ("model.width=0.25", "schedule.learning_rate=0.0001", "schedule.steps=2000")
    write_record(record(overrides=by_hand), tmp_path / "results/mine/some/seed0.json")
    code, printed = output_here("report.__main__", "table", "--profile", "mine", cwd=tmp_path)
    assert code == 0, printed
    assert all(value in printed for value in by_hand)
    assert "mnist_capsnet_r3_recon, seed 0" in printed  # in the table of all runs
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= terminal.WIDTH


def test_the_results_page_shows_sweeps_and_counts_their_hours(tmp_path: Path) -> None:
    hour = {"device": "abacus", "train_seconds": 3600.0, "steps_done": 1000}
    others = []
    for iterations, errors in ((3, 30), (1, 40)):
        routed = {
            "name": "capsnet",
            "width": 1.0,
            "routing_iterations": iterations,
            "decoder": False,
        }
        path = tmp_path / "sweeps" / "routing" / f"r{iterations}" / "record.json"
        others.append(Run(record(errors, model=routed, **hour), path))
        path.parent.mkdir(parents=True)
        write_arrays(path, {"curve.train/loss": np.array([(1, 0.5 * iterations)])})
    others.append(Run(record(90, seed=9, **hour), tmp_path / "trials/a/b/seed0.json"))
    text = known(runs_of([record(25, **hour)]), others)
    title = "### Routing iterations: mnist_capsnet_r3_recon, released, 60,000 mnist, width 1, no"
    table = text[text.index(title) :].split("###")[1].splitlines()
    assert table[4:6] == [
        "| 1 | 0 | 40 / 10,000 | 0.400 | 0.294–0.544 | 0.5 | 1,000 of 300,000 |",
        "| 3 | 0 | 30 / 10,000 | 0.300 | 0.210–0.428 | 1.5 | 1,000 of 300,000 |",
    ]
    assert "| abacus | 4 | 4,000 | 4.0 |" in text
    assert "90 / 10" not in text


def committed() -> list[Path]:
    """Every record and benchmark of results/ that is in git."""
    listed = subprocess.run(["git", "ls-files", "results"], cwd=PROJECT, capture_output=True)
    if listed.returncode:
        pytest.skip("not a git checkout: what is committed is not known")
    paths = [PROJECT / name for name in listed.stdout.decode().split()]
    paths = [path for path in paths if path.suffix == ".json"]
    return [path for path in paths if not path.name.endswith(tuple(OTHERS))]


def depth(path: Path) -> int:
    return len(path.relative_to(PROJECT / "results").parts)


def test_a_profile_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    write_record(record(), tmp_path / "width0.125" / "one" / "seed0.json")
    table(tmp_path / "width0.125")
    assert (tmp_path / "width0.125.md").read_text().startswith("# width0.125\n")


def test_readme_and_docs_are_in_step_with_the_records() -> None:
    paths = committed()
    runs = [Run(read_record(path), path) for path in paths if depth(path) == 3]
    others = [Run(read_record(path), path) for path in paths if depth(path) > 3]
    benchmarks = [path for path in paths if path.match("results/benchmark/*.json")]
    routed = read_reports(PROJECT / "results").values()
    attacks = read_all_attacks(PROJECT / "results")
    for name, contents in generated(runs, others, benchmarks, routed, attacks).items():
        text = (PROJECT / name).read_text()
        assert updated(name, text, contents) == text, "run `python -m capsnet.report readme`"


def test_the_committed_table_of_records_is_what_their_files_say() -> None:
    paths = [path for path in committed() if depth(path) > 2]
    file = PROJECT / "results/records.csv"
    lines = list(csv.DictReader(file.read_text().splitlines()))
    said = [(path, json.loads(path.read_text())) for path in paths]
    tests = [(path, one, name) for path, one in said for name in one["tests"]]
    found = {(line["path"], line["test"]): line for line in lines}
    assert len(found) == len(lines) == len(tests) > len(paths)
    for path, one, name in tests:
        line, test = found[path.relative_to(PROJECT).as_posix(), name], one["tests"][name]
        for field in ("experiment", "seed", "steps_done", "batch", "parameters", "commit"):
            assert line[field] == str(one[field])
        assert (line["errors"], line["total"]) == (str(test["errors"]), str(test["total"]))
        assert float(line["error_percent"]) == 100 * test["errors"] / test["total"]
        assert [float(line[f"interval_{end}"]) for end in ("low", "high")] == test[
            "interval_percent"
        ]
        assert line["model_routing_iterations"] == str(one["model"].get("routing_iterations", ""))
        assert line["identity_code"] == one["identity"]["code"]
        assert line["versions_torch"] == one["versions"]["torch"]
        assert float(line["train_seconds"]) == one["train_seconds"]
        assert line["overrides"] == " ".join(one.get("changed", one.get("overrides", ())))
    made = frame([Run(read_record(path), path) for path in paths], PROJECT).sort("path", "test")
    read = polars.read_csv(file, infer_schema_length=None).sort("path", "test")
    assert read.columns == made.columns, "run `python -m capsnet.report readme`"
    known = [name for name, kind in made.schema.items() if kind != polars.Null]
    assert_frame_equal(read.select(known).cast(made.select(known).schema), made.select(known))


def test_a_frame_keeps_whole_numbers_lists_and_what_is_not_known() -> None:
    overrides = ("schedule.batch=32", "model.width=0.5")
    kinds = [record(stopped=9000, overrides=overrides, trainer={"devices": 2})]
    kinds.append(record(30, experiment="mnist_baseline", model={"name": "mnist_baseline"}))
    table = frame(runs_of(kinds))
    assert_frame_equal(frame(runs_of(kinds)[::-1]), table)
    assert table["stopped"].to_list() == [9000, None]
    assert table["model_routing_iterations"].to_list() == [3, None]
    assert table["trainer_devices"].to_list() == [2, None]
    assert table["overrides"].to_list() == [" ".join(overrides), ""]
    by_experiment = table.group_by("experiment", maintain_order=True).agg(polars.sum("errors"))
    assert by_experiment.rows() == [("mnist_capsnet_r3_recon", 25), ("mnist_baseline", 30)]


def timing(step: float, evaluation: float = 1.0) -> dict[str, float]:
    parts = {"data": 0.1 * step, "forward": 0.2 * step, "backward": 0.6 * step}
    return parts | {"optimiser": 0.1 * step, "evaluation": evaluation}


def test_speed_is_told_with_ratios_within_rounds() -> None:
    def rounds(*steps: float) -> dict[str, object]:
        return {"timings": [timing(step) for step in steps], "peak_mib": 100.4}

    measured = {
        "textbook": rounds(2, 30, 4),
        "textbook + keep": rounds(2, 20, 4),
        "fast": rounds(1, 10, 1),
    }
    dead = {"timings": [], "peak_mib": None}
    paths = measured | {"fused": dead}
    told = {
        "processor": "Abacus",
        "threads": 2,
        "paths": {"batch": 64, "flops": 8e9, "sgemm": [1e9, 2e9, 3e9], "measured": paths},
        "rows": {
            "mnist_baseline": {"training": rounds(0.0125, 0.0125)},
            "mnist_capsnet_r1": {"training": rounds(0.5, 0.5), "textbook": rounds(2, 1)},
            "mnist_capsnet_r3": {"training": dead, "textbook": rounds(2, 1)},
        },
        "loop": {"steps": 100, "seconds": 40.0, "step": 38.0, "data": 0.1},
        "growth": [
            {"varied": "batch", "value": 32, "measured": measured},
            {"varied": "batch", "value": 64, "measured": measured | {"textbook": dead}},
        ],
    }
    path, rows, within, growth = (table.cells for table in speed_tables(told))
    assert path[2] == (
        *("fast", "1000", "64"),
        *("3.0 (2.0–4.0)", "2.0 (2.0–4.0)"),
        "4.0",  # 8·10⁹ operations in 1 s, sgemm's median 2·10⁹
        "20.0 / 60.0 / 10.0",
        *("64", "100"),
    )
    assert path[3] == ("fused", "died", *("–",) * 7)
    last = "10.0 / 20.0 / 60.0 / 10.0", "128", "100"
    assert rows == [
        ("mnist_baseline", "12.5", "10240", "–", *last),
        ("mnist_capsnet_r1", "500", "256", "3.0 (1.5–4.5)", *last),
        ("mnist_capsnet_r3", "died", *("–",) * 5),
    ]
    assert within == [("100", "320", "95.0", "0.25")]
    assert growth == [
        ("batch 32", "4000", "1000", "4.0", "100", "100"),
        ("batch 64", "out of memory", "1000", "–", "out of memory", "100"),
    ]


@pytest.mark.slow
def test_growth_is_drawn_from_the_file_of_a_benchmark(tmp_path: Path) -> None:
    one = {path: {"timings": [timing(2.0)], "peak_mib": 2048} for path in ("textbook", "fast")}
    values = {"batch": (32, 1024), "side": (28, 64), "iterations": (1, 10)}
    points = [
        {"varied": varied, "value": value, "measured": one}
        for varied, some in values.items()
        for value in some
    ]
    told = {"processor": "Abacus", "threads": 2, "growth": points}
    (tmp_path / "abacus.json").write_text(json.dumps(told))
    (tmp_path / "other.json").write_text("{}")
    code, printed = output_here("report.__main__", "growth", "abacus.json", cwd=tmp_path)
    assert code == 0, printed
    drawn = (tmp_path / "abacus-growth.svg").read_text()
    *seconds, memory, _, _ = panels(tmp_path / "abacus-growth.svg")
    for colour in (BLUE, VERMILION):  # the same made-up timings
        assert seconds[0].points(colour) == pytest.approx(np.array([(32, 2), (1024, 2)]), rel=1e-3)
        assert memory.points(colour) == pytest.approx(np.array([(32, 2), (1024, 2)]), rel=1e-3)
    words = ("Abacus, 2 threads", "batch", "image side", "routing iterations", "textbook", "1024")
    assert all(word in drawn for word in words)
    code, printed = output_here("report.__main__", "growth", "other.json", cwd=tmp_path)
    assert (code, printed.split(":")[:2]) == (1, ["error", " other.json holds no growth"])
    (tmp_path / "other.json").write_text("# Not JSON")
    code, printed = output_here("report.__main__", "growth", "other.json", cwd=tmp_path)
    told = "error: other.json is not a benchmark's JSON file: "
    assert (code, printed[: len(told)]) == (1, told)


def test_hours_are_added_up_by_device() -> None:
    gpu = {"device": "NVIDIA H200", "train_seconds": 5400.0, "steps_done": 1000}
    runs = [record(**gpu), record(**gpu, seed=1), record(device="cpu, 2 threads")]
    assert used_table(runs).cells == [
        ("NVIDIA H200", "2", "2,000", "3.0"),
        ("cpu, 2 threads", "1", "300,000", "0.1"),
    ]


def test_costs_are_hours_at_the_measured_speed(tmp_path: Path) -> None:
    timings = [timing(0.5, 0.064), timing(9.0, 0.01), timing(0.25, 9.0)]
    told = {
        "processor": "Abacus",
        "threads": 2,
        "rows": {"multimnist_baseline": {"training": {"timings": timings}}},
    }
    (tmp_path / "abacus.json").write_text(json.dumps(told))
    (tmp_path / "older.json").write_text(json.dumps({"processor": "Slide rule", "threads": 1}))
    [line] = costs_table(tmp_path.glob("*.json")).cells
    # 128 images in 0.5 s; 300,000 · 0.5 s; 10 million tests at 128 in 0.064 s.
    assert line == ("multimnist_baseline", "Abacus, 2 threads, fp32", "256", "42", "1.4")


def test_costs_say_that_training_on_affnist_ends_early(tmp_path: Path) -> None:
    rows = {"affnist_capsnet": {"training": {"timings": [timing(0.5, 0.064)]}}}
    told = {"processor": "Abacus", "threads": 2, "rows": rows}
    (tmp_path / "abacus.json").write_text(json.dumps(told))
    assert costs_table(tmp_path.glob("*.json")).cells[0][3] == "at most 42 (ends early)"


def test_markdown_is_a_table() -> None:
    lines = markdown(paper_table([], MNIST)).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 2 + len(MNIST.rows)


@pytest.mark.slow
def test_no_results_get_a_sentence(tmp_path: Path) -> None:
    code, printed = output_here("report.__main__", "table", "--profile", "nothing", cwd=tmp_path)
    assert code == 1
    assert printed == (
        "error: there are no results in results/nothing: run `dvc repro`, or train with "
        "record=results/nothing/EXPERIMENT/seed0.json\n"
    )


def test_atomic_writing_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")  # pyright: ignore[reportArgumentType]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
