"""Readers' questions as pairs of experiments, against differences done by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from capsnet import config, paper
from capsnet.paper import Comparison
from capsnet.questions import QUESTIONS
from capsnet.records.record import write_arrays, write_record
from capsnet.records.runs import Run
from capsnet.report.runs import exclude_mnist_ablations
from capsnet.report.tables.comparisons import comparisons_table
from helpers.records import record, runs_of

ROW, ABLATION = "mnist_capsnet_r3_recon", "mnist_capsnet_detached"
SHORT: dict[str, Any] = {"schedule": "short", "steps_planned": 4688, "steps_done": 4688}


def written(folder: Path, **errors: list[int]) -> list[Run]:
    """Write a record for each seed of each experiment; the first digits are those got wrong."""
    runs = []
    for name, counts in errors.items():
        for seed, count in enumerate(counts):
            path = folder / name / f"seed{seed}.json"
            code = {"data": "the same", "code": name[:3]}
            runs.append(
                Run(record(count, experiment=name, seed=seed, identity=code, **SHORT), path)
            )
            write_record(runs[-1].record, path)
            write_arrays(path, {"wrong.test": np.packbits(np.arange(10_000) < count)})
    return runs


def test_the_interval_has_the_noise_of_the_two_that_are_compared(tmp_path: Path) -> None:
    errors = {ROW: [58, 62], ABLATION: [70, 90]}  # the ablation's seeds are further apart
    question = Comparison("routing with gradient vs. without", ROW, ABLATION)
    [cells] = comparisons_table(written(tmp_path, **errors), [question]).cells
    variances = np.var([[0.58, 0.62], [0.7, 0.9]], axis=1, ddof=1)
    half = t.ppf(0.975, 2) * variances.mean() ** 0.5  # × √(2/2)
    assert cells[:4] == (
        "routing with gradient vs. without",
        "0.60",
        "0.80",
        f"+0.20 ({0.2 - half:+.2f} to {0.2 + half:+.2f})".replace("-", "−"),
    )
    assert cells[5].startswith("12 / 0, 28 / 0 (")  # digits that one of a seed's two got right
    assert cells[6:] == ("2", "released, short, 4,688 of 4,688")


def test_one_seed_of_two_ablations_has_a_difference_and_no_interval(tmp_path: Path) -> None:
    runs = written(tmp_path, mnist_capsnet_shared_all=[132], mnist_capsnet_detached=[67])
    question = Comparison("detached vs. shared", ABLATION, "mnist_capsnet_shared_all")
    [cells] = comparisons_table(runs, [question]).cells
    assert cells[1:4] == ("0.67", "1.32", "+0.65")


def test_a_question_without_runs_says_so(tmp_path: Path) -> None:
    runs = written(tmp_path, **{ROW: [58]})
    [cells] = comparisons_table(runs, [Comparison("x", ROW, ABLATION)]).cells
    assert cells == ("x", "–", "–", "–", "–", "–", "0", "not yet run")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.words)
def test_questions_are_about_experiments_on_the_same_test_set(question: Comparison) -> None:
    for name in (question.better, question.worse):
        assert (config.CONF / f"experiment/{name}.yaml").is_file()
    first, second = paper.table_of(question.better), paper.table_of(question.worse)
    assert first is second
    assert first is not None
    assert question.test in first.tested


def test_figures_leave_out_networks_that_the_paper_does_not_have() -> None:
    names = [ROW, ABLATION, "mnist_baseline_margin", "affnist_capsnet_r1"]
    runs = runs_of(record(experiment=name) for name in names)
    kept = [run.record.experiment for run in exclude_mnist_ablations(runs)]
    assert kept == [ROW, "affnist_capsnet_r1"]  # one more with an iteration: figure A.2
