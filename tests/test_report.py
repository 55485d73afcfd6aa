"""Tables: counts in, percentages, intervals and verdicts out."""

from pathlib import Path

import pytest

from capsnet import paper, results
from capsnet.report.tables import markdown, table_1, verdict
from capsnet.results import Record
from running import output

R3 = paper.TABLE_1_MNIST[-1]


def record(**changes: object) -> Record:
    values: dict[str, object] = {
        "experiment": R3.experiment,
        "seed": 0,
        "recipe": "released",
        "schedule": "paper",
        "steps_done": paper.STEPS,
        "steps_planned": paper.STEPS,
        "batch": 128,
        "source": "mnist",
        "errors": 25,
        "total": 10_000,
        "interval_percent": results.wilson(25, 10_000),
        "parameters": 8_215_728,
        "width": 1.0,
        "train_seconds": 300.0,
        "images_per_second": 128_000.0,
        "device": "none: made up by a test",
        "identity": {},
        "commit": None,
        "clean": None,
        "versions": {},
        "wandb_id": None,
    }
    return Record(**(values | changes))  # pyright: ignore[reportArgumentType]


def test_wilson_s_interval_is_the_textbook_s() -> None:
    low, high = results.wilson(25, 10_000)
    # p = 25/10⁴, z = 1.959964: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), by hand.
    assert low == pytest.approx(0.16940, abs=1e-5)
    assert high == pytest.approx(0.36881, abs=1e-5)


def test_a_record_survives_writing_and_reading(tmp_path: Path) -> None:
    results.write(record(), tmp_path / "exp" / "seed0.json")
    assert results.read(tmp_path / "exp" / "seed0.json") == record()
    assert results.read_all(tmp_path) == [record()]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"errors": 25}, "reproduced"),
        ({"errors": 10}, "reproduced"),  # better than the paper
        ({"errors": 34}, "reproduced"),  # 0.34 % of 10,000 cannot be told from 0.25
        ({"errors": 45}, "not reproduced"),
        ({"steps_done": 299_999}, "none: paper has 300000 steps"),
        ({"source": "uci-digits"}, "demo: none"),
        ({"width": 0.25}, "demo: none"),
    ],
)
def test_verdicts(changes: dict[str, object], expected: str) -> None:
    assert verdict(R3, [record(**changes)]) == expected


def test_more_seeds_sharpen_the_verdict() -> None:
    seeds = [record(seed=seed, errors=34) for seed in range(10)]
    assert verdict(R3, seeds[:1]) == "reproduced"
    assert verdict(R3, seeds) == "not reproduced"


def test_rows_hold_mean_sd_seeds_counts_interval_and_steps() -> None:
    records = [record(seed=0, errors=20), record(seed=1, errors=30)]
    rows = table_1(records, paper.TABLE_1_MNIST)
    assert [row[-1] for row in rows[:-1]] == ["not yet run"] * 4
    low, high = results.wilson(50, 20_000)
    assert rows[-1] == (
        "CapsNet, 3 routing, decoder",
        "0.25 ± 0.005",
        "0.25 ± 0.071 (2)",
        "50 / 20000",
        f"{low:.2f}–{high:.2f}",
        "mnist, released",
        "300000 of 300000",
        "reproduced",
    )


def test_recipes_are_never_pooled() -> None:
    records = [record(errors=20), record(errors=40, recipe="text"), record(errors=22, seed=1)]
    released, text = table_1(records, [R3])
    assert released[3:6:2] == ("42 / 20000", "mnist, released")
    assert text[3:6:2] == ("40 / 10000", "mnist, text")


def test_markdown_is_a_table() -> None:
    lines = markdown(table_1([], paper.TABLE_1_MNIST), "Table 1").splitlines()
    assert lines[0] == "# Table 1"
    assert len({line.count("|") for line in lines[2:]}) == 1
    assert len(lines[2:]) == 2 + len(paper.TABLE_1_MNIST)


def test_no_results_get_a_sentence(tmp_path: Path) -> None:
    code, printed = output("report", "table", "--profile", "nothing", cwd=tmp_path)
    assert code == 1
    assert printed == "error: there are no results in results/nothing: run `dvc repro` first\n"


def test_atomic_writing_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    results.write_atomically(path, b"old")
    with pytest.raises(TypeError):
        results.write_atomically(path, "not bytes")  # pyright: ignore[reportArgumentType]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
