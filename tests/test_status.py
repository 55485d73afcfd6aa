"""Check what the status table says is decided, is open, and would decide it."""

from typing import Any

import pytest

from capsnet import paper
from capsnet.analysis.remaining import remaining
from capsnet.records.record import Record
from capsnet.report.tables.status import status_table
from helpers.records import record, runs_of

R3, BASELINE = "mnist_capsnet_r3_recon", "mnist_baseline"
CNN = {"experiment": BASELINE, "model": {"name": "mnist_baseline", "width": 1.0}}


def seeds(*numbers: int, **changes: Any) -> list[Record]:
    return [record(seed=seed, **changes) for seed in numbers]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], [0, 1, 2]),
        (seeds(0), [1, 2]),
        (seeds(0, 1, 2), [3, 4]),
        (seeds(0, 1, 2, 4), [3]),
        (seeds(1, 2, 3, 4), [0]),
        (seeds(0, 1, 2, 3, 4), []),
        (seeds(0, 1, 2, 3, 4, 7), []),
        (seeds(0, 1, 2, recipe="text"), [0, 1, 2]),
        (seeds(0, 1, 2, schedule="short"), [0, 1, 2]),
        (seeds(0, 1, 2, overrides=("schedule.batch=64",)), [0, 1, 2]),
        (seeds(0, 1) + seeds(2, clean=False), [2]),
        (seeds(0, 1, 2) + seeds(3, stop_at=0.99), [4]),  # never reached, and not run again
        (seeds(0, 1) + seeds(2, identity={"data": "the same", "code": "other"}), [2]),
    ],
)
def test_a_row_lacks_the_seeds_of_its_next_look(runs: list[Record], expected: list[int]) -> None:
    assert remaining(runs_of(runs), R3) == expected


def test_a_baseline_counts_under_any_recipe_and_an_ensemble_needs_all_its_networks() -> None:
    assert remaining(runs_of(seeds(0, 2, **CNN, recipe="text")), BASELINE) == [1]
    assert remaining([], "cifar10_capsnet") == [0, 1, 2, 3, 4, 5, 6]


def status(runs: list[Record]) -> dict[str, list[str]]:
    return {words: rest for words, *rest in status_table(runs_of(runs)).cells}


def test_every_claim_and_every_number_has_one_line() -> None:
    said = [claim.words for claim in paper.CLAIMS]
    said += [row.name for table in paper.TABLES for row in table.rows if not row.condition]
    lines = list(status([*seeds(0, 1, 2), *seeds(0, 1, 2, recipe="text")]))
    assert len(lines) == len(said)
    assert all(words in line for words, line in zip(said, lines, strict=True))


def test_a_line_says_what_is_decided_and_which_runs_are_missing() -> None:
    found = status([*seeds(0, 1, 2), *seeds(0, 1, 2, schedule="short", recipe="text")])
    assert found["MNIST: CapsNet, 3 routing, decoder: 0.25 %"] == [
        "reproduced (interim)",
        f"{R3} 3, 4",
    ]
    assert found["CapsNet beats the baseline on MNIST: by 0.14 points"] == [
        "not enough runs",
        f"{R3} 3, 4; {BASELINE} 0, 1, 2",
    ]
    assert found["SVHN: smaller CapsNet: 4.3 %"] == ["not yet run", "svhn_capsnet 0, 1, 2"]


def test_a_line_has_the_verdict_of_the_runs_that_have_one() -> None:
    other = {"identity": {"data": "the same", "code": "f" * 16}}
    runs = [*seeds(0, 1, 2), *seeds(0, 1, 2, **CNN), *seeds(3, **other), *seeds(3, **CNN, **other)]
    found = status(runs)
    assert found["MNIST: CapsNet, 3 routing, decoder: 0.25 %"][0] == "reproduced (interim)"
    assert found["CapsNet beats the baseline on MNIST: by 0.14 points"][0].endswith("(interim)")


def test_after_the_last_look_nothing_is_missing() -> None:
    found = status([*seeds(0, 1, 2, 3, 4), *seeds(0, 1, 2, 3, 4, **CNN)])
    assert found["MNIST: CapsNet, 3 routing, decoder: 0.25 %"] == ["reproduced", "nothing"]
    words, needed = found["CapsNet beats the baseline on MNIST: by 0.14 points"]
    assert (words, needed) == ("not reproduced", "nothing")
