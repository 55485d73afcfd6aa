"""Several models that answer together: sums of scores, refusals, the command and the table."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from capsnet import ensemble, paper
from capsnet.analysis.summed_scores import Scores, answer_together, wrong_answers
from capsnet.data.groups import Groups
from capsnet.data.storage import read_images
from capsnet.errors import UserError
from capsnet.records.ensembles import Ensemble, ensemble_of, read_ensemble, write_ensemble
from capsnet.records.record import (
    outcome,
    outcome_of,
    read_arrays,
    read_record,
    record_path,
    write_arrays,
    write_record,
)
from capsnet.records.runs import Run, read_runs
from capsnet.records.statistics import clustered
from capsnet.report.__main__ import readme, table
from capsnet.report.figures.comparison import comparison
from capsnet.report.tables.paper_tables import paper_table, state_table
from capsnet.train import train
from helpers.marked_pages import write_marked_pages
from helpers.records import by_path, record
from helpers.running import tiny
from helpers.tables import by_name

NAME, PLAIN = "mnist_capsnet_r3_recon", "mnist_capsnet_r1"
ROW = replace(paper.MNIST[-1], ensemble=3)
OTHERS = paper.MNIST[0], replace(paper.MNIST[1], ensemble=3), *paper.MNIST[2:4]
TABLE = replace(paper.TABLES[0], rows=(OTHERS[0], ROW, *OTHERS[1:]))
TESTED = 200
SCORES = {"scores.test", "labels.test"}
ADVICE = "train the seeds first"


@pytest.fixture
def of_three(monkeypatch: pytest.MonkeyPatch) -> paper.PaperTable:
    """Let the paper's numbers of NAME and PLAIN be those of three models."""
    monkeypatch.setattr(paper, "TABLES", (TABLE, *paper.TABLES[1:]))
    return TABLE


def loop_errors(models: Sequence[NDArray[Any]], labels: NDArray[Any]) -> int:
    """Count, one number at a time, the examples whose label has not the largest sum."""
    errors = 0
    for example, label in enumerate(labels):
        best, answer = -np.inf, -1
        for one in range(models[0].shape[1]):
            total = sum(float(scores[example, one]) for scores in models)
            if total > best:
                best, answer = total, one
        errors += answer != label
    return errors


def random_scores(
    models: int, total: int = TESTED, signal: float = 0.6
) -> tuple[list[NDArray[np.float32]], NDArray[np.int64]]:
    """Make scores and labels: noise of each model's own, and `signal` more for the label."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 10, total)
    noise = [rng.uniform(0, 1, (total, 10)) for _ in range(models)]
    return [(np.eye(10)[labels] * signal + one).astype(np.float32) for one in noise], labels


def written(
    folder: Path, scores: Sequence[NDArray[Any]], labels: NDArray[Any], **changes: Any
) -> list[Run]:
    """Write a record and arrays for each model, as runs of the seeds 0, 1, … leave them."""
    runs = []
    for seed, one in enumerate(scores):
        path, wrong = folder / f"seed{seed}.json", one.argmax(1) != labels
        tests = {"test": outcome("mnist", int(wrong.sum()), len(labels))}
        runs.append(Run(record(seed=seed, tests=tests, **changes), path))
        write_record(runs[-1].record, path)
        arrays = {"scores.test": one, "labels.test": labels[:, None].astype(np.int16)}
        write_arrays(path, {"wrong.test": np.packbits(wrong), **arrays})
    return runs


def command(folder: Path, *words: str, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(folder)
    patch.setattr(sys, "argv", ["ensemble", *words])
    ensemble.main()


def test_the_sum_is_right_where_every_model_alone_is_wrong(of_three: object) -> None:
    first, second = np.array([[0.6, 0.5, 0.0]]), np.array([[0.0, 0.5, 0.6]])
    label = np.array([[1]], np.int16)
    assert [wrong_answers(Scores(one, label)).tolist() for one in (first, second)] == 2 * [[True]]
    assert wrong_answers(Scores(first + second, label)).tolist() == [False]


def test_of_two_objects_both_have_to_be_among_the_highest() -> None:
    scores = np.array([[0.1, 0.9, 0.8], [0.1, 0.9, 0.8]])
    labels = np.array([[2, 1], [0, 1]], np.int16)
    assert wrong_answers(Scores(scores, labels)).tolist() == [False, True]


@pytest.mark.parametrize("models", [2, 3, 7])
def test_the_errors_are_those_of_a_loop(models: int, of_three: object, tmp_path: Path) -> None:
    scores, labels = random_scores(models)
    found = answer_together(written(tmp_path, scores, labels), tmp_path)
    assert found.test.errors == loop_errors(scores, labels)
    assert (found.test.total, found.n, found.paper_n) == (TESTED, models, 3)
    alone = [loop_errors([one], labels) for one in scores]
    assert [one.errors for one in found.members] == alone
    assert found.test.errors < min(alone)


@pytest.mark.parametrize("models", [2, 5])
def test_copies_of_one_model_err_as_it_does(models: int, of_three: object, tmp_path: Path) -> None:
    [scores], labels = random_scores(1)
    found = answer_together(written(tmp_path, models * [scores], labels), tmp_path)
    assert found.test.errors == loop_errors([scores], labels) > 0
    assert found.sd_percent == 0
    assert found.mean_percent == pytest.approx(found.test.error_percent)


def test_an_ensembles_interval_knows_groups(of_three: object, tmp_path: Path) -> None:
    """Ten toys, of which the models know some and not others."""
    scores, labels = random_scores(3, signal=0.9)
    toys = np.arange(TESTED) // 20
    scores = [np.where((toys < 3)[:, None], one[:, ::-1], one) for one in scores]
    for run in written(tmp_path, scores, labels):
        wrong = np.unpackbits(run.arrays["wrong.test"])[:TESTED].astype(bool)
        test = outcome_of("mnist", wrong, 10, groups=Groups("toy", toys))
        write_record(replace(run.record, tests={"test": test}), run.path)
        write_arrays(run.path, run.arrays | {"group.test": toys})
    found = answer_together(read_runs(tmp_path, "*.json"), tmp_path).test
    total: NDArray[np.float64] = np.stack(scores).sum(0, dtype=np.float64)
    wrong = wrong_answers(Scores(total, labels[:, None].astype(np.int16)))
    assert (found.interval_kind, found.num_distinct) == ("by toy", 10)
    assert found.interval_percent == clustered(wrong, 10, groups=toys)
    low, high = found.interval_percent
    independent = outcome("mnist", found.errors, TESTED).interval_percent
    assert high - low > 2 * (independent[1] - independent[0])


def test_the_order_of_the_records_changes_nothing(of_three: object, tmp_path: Path) -> None:
    runs = written(tmp_path, *random_scores(3))
    assert answer_together(runs, tmp_path) == answer_together(runs[::-1], tmp_path)


def test_the_file_says_whose_it_is(
    of_three: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, labels = tmp_path / "results/paper" / NAME, np.zeros(100, int)
    right, wrong = np.eye(10)[labels], 2 * np.eye(10)[labels + 1]
    lasting, some = np.where(np.arange(100)[:, None] < 30, wrong, right), right.copy()
    some[:10] = wrong[:10]  # 2 against 1: ten of the thirty stay wrong, with both for the wrong one
    some[10:30] = 3 * right[10:30]
    written(folder, [lasting, some], labels, identity={"config": "c", "data": "d", "code": "e"})
    command(tmp_path, NAME, patch=monkeypatch)
    values = json.loads((folder / "ensemble.json").read_text())
    assert values["members"] == [
        {
            "path": f"seed{seed}.json",
            "seed": seed,
            "errors": errors,
            "identity": {"config": "c", "data": "d", "code": "e"},
        }
        for seed, errors in ((0, 30), (1, 10))
    ]
    assert (values["n"], values["paper_n"], values["experiment"]) == (2, 3, NAME)
    assert (values["test"]["errors"], values["test"]["total"]) == (10, 100)
    # p = 0.1, n = 100, z = 1.959964: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), by hand.
    assert values["test"]["interval_percent"] == pytest.approx([5.5229, 17.4366], abs=1e-3)
    assert values["mean_percent"] == pytest.approx(20)
    assert values["sd_percent"] == pytest.approx(200**0.5)
    assert read_ensemble(folder / "ensemble.json") == answer_together(
        read_runs(tmp_path / "results/paper"), folder
    )
    assert capsys.readouterr().out == (
        f"{NAME}: 10 errors in 100 mnist: 10.00 % (95 % interval 5.52–17.44), "
        "ensemble of 2, the paper's 3; alone 20.00 ± 14.14 %\n"
        f"Written to results/paper/{NAME}/ensemble.json\n"
    )


def test_records_by_name_go_where_they_are_or_where_asked(
    of_three: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "kept", *random_scores(3))
    for path in [*(tmp_path / "kept").iterdir()]:
        path.rename(path.with_name(f"text-{path.name}"))
    names = [f"kept/text-seed{seed}.json" for seed in (0, 2)]
    command(tmp_path, *names, "--members", "2", patch=monkeypatch)
    members = read_ensemble(tmp_path / "kept/text-ensemble.json").members
    assert [one.path for one in members] == ["text-seed0.json", "text-seed2.json"]
    command(tmp_path, *names, "--output", "made/my-ensemble.json", patch=monkeypatch)
    members = read_ensemble(tmp_path / "made/my-ensemble.json").members
    assert [one.path for one in members] == ["../kept/text-seed0.json", "../kept/text-seed2.json"]


Arrays = dict[str, NDArray[Any]]


def no_scores(arrays: Arrays) -> None:
    del arrays["scores.test"]


def another_class(arrays: Arrays) -> None:
    arrays["scores.test"] = np.pad(arrays["scores.test"], ((0, 0), (0, 1)))


def fewer_examples(arrays: Arrays) -> None:
    arrays["scores.test"] = arrays["scores.test"][1:]


def other_labels(arrays: Arrays) -> None:
    arrays["labels.test"] = arrays["labels.test"][::-1]


def other_errors(arrays: Arrays) -> None:
    arrays["wrong.test"] = ~arrays["wrong.test"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_scores, r"seed1\.npz holds no scores: the training's command again adds them"),
        (another_class, r"seed1\.json and .*seed0\.json are not of the same examples"),
        (fewer_examples, r"scores in .*seed1\.npz are not those of the record seed1\.json"),
        (other_labels, r"seed1\.json and .*seed0\.json are not of the same examples"),
        (other_errors, r"scores in .*seed1\.npz are not those of the record seed1\.json"),
    ],
)
def test_scores_of_something_else_are_refused(
    change: Any, message: str, of_three: object, tmp_path: Path
) -> None:
    runs = written(tmp_path, *random_scores(3))
    arrays = read_arrays(tmp_path / "seed1.json")
    change(arrays)
    write_arrays(tmp_path / "seed1.json", arrays)
    with pytest.raises(UserError, match=message):
        answer_together(runs, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 0}, r"seed0\.json and .*seed1\.json are both of seed 0"),
        (
            {"identity": {"config": "x", "data": "d"}},
            r"seed1\.json and .* differ in configuration:",
        ),
        ({"identity": {"config": "c", "data": "x"}}, r"seed1\.json and .* differ in data:"),
        ({"identity": {"config": "c", "data": "d", "code": "x"}}, "differ in code:"),
        ({"identity": {"config": "x", "data": "x"}}, "differ in configuration and data:"),
        ({"clean": False}, "differ in uncommitted code:"),
        ({"experiment": "mnist_baseline"}, "differ in experiment"),
    ],
)
def test_runs_that_differ_in_more_than_the_seed_are_refused(
    changes: dict[str, Any],
    message: str,
    of_three: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "results/paper" / NAME
    runs = written(folder, *random_scores(2), identity={"config": "c", "data": "d"})
    path = folder / "seed1.json"
    write_record(replace(runs[1].record, **changes), path)
    with pytest.raises(SystemExit):
        command(tmp_path, NAME, patch=monkeypatch)
    [line] = capsys.readouterr().err.splitlines()
    assert re.search(f"^error: .*{message}", line)
    assert not (folder / "ensemble.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{name}", "--members", "7"], "there are 3 runs, and --members asks for 7"),
        (["{name}", "--members", "2"], "there are 3 runs, and --members asks for 2"),
        (["{kept}/seed1.json"], "an ensemble needs 2 runs or more, and there is 1"),
        (["{kept}/seed1.json", "{kept}/seed1.json"], "are both of seed 1"),
        (["{kept}/seed1.json", "{kept}/seed7.json"], "seed7.json does not exist: it must be the"),
        (["{kept}/seed1.json", "{kept}/broken.json"], "broken.json was written by another version"),
        (["{kept}/seed1.json", "other/seed2.json"], "in several places: --output says where"),
        (["{name}", "--profile", "demo"], "results/demo/{name} holds no records seed*.json"),
        (["{name}", "mnist_baseline"], "mnist_baseline are not records: name one experiment"),
        (["{name}", "--output", "all.json"], "all.json must end in ensemble.json, or it is read"),
        (["{name}", "--output", "/proc/x/ensemble.json"], "--output: /proc/x/ensemble.json cannot"),
    ],
)
def test_a_command_that_cannot_be_done_writes_nothing(
    words: list[str],
    message: str,
    of_three: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path("results/paper") / NAME
    written(tmp_path / folder, *random_scores(3))
    (tmp_path / folder / "broken.json").write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        command(tmp_path, *(w.format(name=NAME, kept=folder) for w in words), patch=monkeypatch)
    assert ended.value.code == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message.format(name=NAME) in line
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_cannot_take_the_name_of_an_ensemble(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"record = x/ensemble\.json is not possible"):
        record_path(tmp_path, "x/ensemble.json")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "n": 3}'])
def test_a_broken_file_gets_a_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / "ensemble.json").write_text(content)
    with pytest.raises(
        UserError, match=r"ensemble\.json is not an ensemble file of this version; run `python"
    ):
        read_ensemble(tmp_path / "ensemble.json")


@pytest.mark.slow
def test_the_command_needs_no_torch(tmp_path: Path) -> None:
    script = (
        "import runpy, sys\n"
        "try: runpy.run_module('capsnet.ensemble', run_name='__main__')\n"
        "except SystemExit: print('torch' in sys.modules)\n"
    )
    words = [sys.executable, "-c", script, NAME]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert done.stderr == f"error: results/paper/{NAME} holds no records seed*.json: {ADVICE}\n"


def row_of(runs: list[Run]) -> dict[str, str]:
    """The cells of NAME's row in the paper's table, by column."""
    return by_name(paper_table(runs, TABLE))[1]


def ensemble_in(folder: Path, runs: list[Run], count: int) -> Ensemble:
    """Write the ensemble of the first `count` runs beside their records."""
    made = answer_together(runs[:count], folder)
    write_ensemble(made, folder / f"{count}-ensemble.json")
    return made


def test_the_table_shows_it_beside_the_single_models(of_three: object, tmp_path: Path) -> None:
    scores, labels = random_scores(3, 10_000)
    runs = written(tmp_path, scores, labels)
    row = row_of(runs)
    percents = [loop_errors([one], labels) / 100 for one in scores]
    alone = f"{np.mean(percents):.2f} ± {np.std(percents, ddof=1):.3f} (3)"
    assert (row["paper %"], row["ours %"]) == ("0.25 ± 0.005, ensemble of 3", alone)
    assert (row["ensemble %"], row["against the paper (seeds)"]) == ("–", "–")
    assert row["verdict"] == "none: no ensemble"

    two = ensemble_in(tmp_path, runs, 2)
    row = row_of(runs)
    low, high = two.test.interval_percent
    percent = loop_errors(scores[:2], labels) / 100
    assert row["ensemble %"] == f"{percent:.2f} ({low:.2f}–{high:.2f}), of 2, the paper's 3"
    assert (row["ours %"], row["against the paper (seeds)"]) == (alone, "–")
    assert row["verdict"] == "none: ensemble of 2, the paper's 3"
    state = next(cells for cells in state_table(runs).cells if cells[0].endswith(ROW.name))
    assert state[2] == f"{alone}; ensemble of 2, the paper's 3: {percent:.2f}"


def test_only_an_ensemble_like_the_paper_s_is_compared(of_three: object, tmp_path: Path) -> None:
    scores, labels = random_scores(3, 10_000, 0.4)
    runs = written(tmp_path, scores, labels)
    ensemble_in(tmp_path, runs, 2)
    ensemble_in(tmp_path, runs, 3)
    row, percent = row_of(runs), loop_errors(scores, labels) / 100
    assert row["ensemble %"].startswith(f"{percent:.2f} (")
    assert row["ensemble %"].endswith("), of 3")
    # One ensemble of ours and one of the paper's, each as noisy as a single model, two degrees.
    sd = np.std([loop_errors([one], labels) / 100 for one in scores], ddof=1)
    half = student.ppf(0.975, 2) * sd * 2**0.5
    difference = percent - 0.25
    low, high = difference - half, difference + half
    assert row["against the paper (seeds)"] == f"{difference:+.2f} ({low:+.2f} to {high:+.2f})"
    assert row["verdict"].startswith("higher (interim, plan ")
    chart = comparison(paper_table(runs, TABLE))
    assert chart is not None
    [drawn] = [one for one in chart.to_dict()["data"]["values"] if one["row"] == ROW.name]
    assert drawn["ours"] == pytest.approx(percent)
    assert drawn["low"] < percent < drawn["high"]


def test_tables_without_an_ensemble_have_no_column_for_one(of_three: object) -> None:
    assert "ensemble %" in paper_table([], TABLE).names
    assert "ensemble %" not in paper_table([], paper.TABLES[1]).names


def test_one_of_runs_that_were_tested_anew_is_not_shown(of_three: object, tmp_path: Path) -> None:
    runs = written(tmp_path, *random_scores(3))
    made = ensemble_in(tmp_path, runs, 3)
    assert ensemble_of(runs) == made
    first, *rest = runs
    retrained = replace(first.record, identity={"code": "another"})
    assert ensemble_of([Run(retrained, first.path), *rest]) is None
    tests = {"test": outcome("mnist", first.record.tests["test"].errors + 1, TESTED)}
    assert ensemble_of([Run(replace(first.record, tests=tests), first.path), *rest]) is None


def test_no_reader_of_records_takes_it_for_one(
    of_three: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "results/paper" / NAME
    runs = written(folder, *random_scores(3))
    ensemble_in(folder, runs, 3)
    ensemble_in(folder / "deeper/still", runs, 2)
    assert by_path(read_runs(tmp_path / "results/paper")) == by_path(runs)
    table(tmp_path / "results/paper")
    assert "of 3 |" in (tmp_path / "results/paper.md").read_text()
    write_marked_pages(tmp_path)
    readme(tmp_path, tmp_path / "results")
    assert len((tmp_path / "results/records.csv").read_text().splitlines()) == 1 + len(runs)
    assert "; ensemble of 3: " in (tmp_path / "README.md").read_text()


@pytest.mark.slow
def test_from_training_to_the_table(
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two trainings; evaluated again, with their scores; the command; the table."""
    folder = tmp_path / "results/mine" / PLAIN
    short = ("schedule.steps=5", "schedule.batch=32", "logger=csv")
    runs = [
        tiny(
            data_root, *short, f"seed={seed}", f"record={folder}/seed{seed}.json", experiment=PLAIN
        )
        for seed in (0, 1)
    ]
    train(runs[0], tmp_path / "run0")
    before = read_arrays(folder / "seed0.json")
    assert not before.keys() & SCORES

    monkeypatch.setattr(paper, "TABLES", (TABLE, *paper.TABLES[1:]))
    for seed, run in enumerate(runs):
        again = replace(run, trainer=replace(run.trainer, keep_scores=True))
        train(again, tmp_path / f"run{seed}")
    kept = [read_arrays(folder / f"seed{seed}.json") for seed in (0, 1)]
    assert all(one.keys() >= SCORES for one in kept)
    assert all(np.array_equal(before[name], kept[0][name]) for name in before)
    assert kept[0]["scores.test"].dtype == np.float32
    labels = read_images(data_root / "digits").test_labels
    assert all(np.array_equal(one["labels.test"][:, 0], labels) for one in kept)

    command(tmp_path, PLAIN, "--profile", "mine", "--members", "2", patch=monkeypatch)
    found = read_ensemble(folder / "ensemble.json")
    scores = [one["scores.test"] for one in kept]
    records = [read_record(folder / f"seed{seed}.json") for seed in (0, 1)]
    assert [loop_errors([one], labels) for one in scores] == [
        one.tests["test"].errors for one in records
    ]
    assert found.test.errors == loop_errors(scores, labels)
    capsys.readouterr()
    table(tmp_path / "results/mine")
    line = f"{found.test.error_percent:.2f} ("
    [row] = [one for one in (tmp_path / "results/mine.md").read_text().splitlines() if line in one]
    assert "of 2, the paper's 3 |" in row
    assert "| none: demo |" in row
