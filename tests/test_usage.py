"""`python -m capsnet` and `--help`: what they list exists, and their hours are those measured."""

import json
import shlex
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from capsnet import paper, usage
from capsnet.compose import composed, names
from capsnet.training.fingerprint import PACKAGE
from helpers.running import output

PROJECT = Path(__file__).parents[1]
BENCHMARKS = [
    benchmark
    for path in sorted(PROJECT.glob("results/benchmark/*.json"))
    if (benchmark := json.loads(path.read_text()))["device"] == "cpu"
]


def measured_step(benchmark: Any, experiment: str) -> float:
    """Seconds: the median over rounds of a step's four parts together."""
    rounds = benchmark["rows"][experiment]["training"]["timings"]
    parts = ("data", "forward", "backward", "optimiser")
    return median(sum(one[part] for part in parts) for one in rounds)


def sgemm(benchmark: Any) -> float:
    """Median operations a second of matrix products, measured beside the steps."""
    return median(benchmark.get("paths", benchmark)["sgemm"])


def test_all_experiments_of_the_paper_were_measured() -> None:
    ablations = {one.experiment for one in paper.ABLATIONS}
    assert set(usage.STEP_SGEMM) == set(names("experiment")) - ablations
    assert usage.STEP_SGEMM.keys() == {name for one in BENCHMARKS for name in one["rows"]}


@pytest.mark.parametrize("experiment", usage.STEP_SGEMM)
def test_costs_are_those_in_the_committed_benchmarks(experiment: str) -> None:
    costs = [
        measured_step(benchmark, experiment) * sgemm(benchmark) / 1e9
        for benchmark in BENCHMARKS
        if experiment in benchmark["rows"]
    ]
    assert usage.STEP_SGEMM[experiment] == (round(min(costs)), round(max(costs)))


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda one: one["processor"])
def test_on_a_measured_machine_the_hours_hold_those_measured(benchmark: Any) -> None:
    rate = sgemm(benchmark)
    for experiment in benchmark["rows"]:
        low, high = usage.hours(experiment, "paper", rate)
        measured = paper.steps(experiment) * measured_step(benchmark, experiment) / 3600
        assert 0.98 * low <= measured <= 1.02 * high


def test_a_smaller_batch_takes_fewer_hours() -> None:
    low, _ = usage.hours("mnist_capsnet_r1", "demo", 47e9)  # a second for each 128 images
    assert low == pytest.approx(400 / 2 / 3600)


def entry_points() -> set[str]:
    modules = {path.stem for path in PACKAGE.glob("*.py") if "__main__" in path.read_text()}
    folders = (path.parent.relative_to(PACKAGE) for path in PACKAGE.glob("*/**/__main__.py"))
    return modules - {"__main__"} | {".".join(folder.parts) for folder in folders}


def test_all_commands_are_listed() -> None:
    assert set(usage.COMMANDS) == entry_points()


@pytest.mark.parametrize(
    "line", [line for line in usage.TEXT.splitlines() if "capsnet.train " in line and "-m " in line]
)
def test_every_example_composes(line: str) -> None:
    words = shlex.split(line)[3:]
    overrides = [word for word in words if "=" in word and not word.startswith("seed=0,")]
    assert composed(*overrides).name.startswith("mnist_capsnet")


def test_the_guide_names_experiments_schedules_and_whether_there_is_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usage, "sgemm_rate", lambda: 1e11)
    monkeypatch.setattr(usage, "gpu_present", lambda: True)
    printed = usage.text()
    for name in (*names("experiment"), *names("schedule"), *usage.COMMANDS):
        assert name in printed
    assert "There is a GPU here, but the hours are those of this CPU" in printed
    monkeypatch.setattr(usage, "gpu_present", lambda: False)
    assert "No GPU was found here." in usage.text()


def without_hours(printed: str) -> str:
    return printed.partition("Hours of training")[0]


@pytest.mark.parametrize(
    "arguments", [("--help",), ("-h",), ("experiment=mnist_capsnet_r1", "--help")]
)
def test_help_of_training_is_the_guide(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(usage, "sgemm_rate", lambda: 1e11)
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    with pytest.raises(SystemExit) as end:
        usage.answer_help()
    assert end.value.code is None
    assert capsys.readouterr().out == usage.text()


@pytest.mark.slow
def test_help_is_answered_by_the_commands_themselves(tmp_path: Path) -> None:
    expected = without_hours(usage.text())
    for module, arguments in (("train", ["--help"]), ("__main__", [])):
        code, printed = output(module, *arguments, cwd=tmp_path)
        assert (code, without_hours(printed)) == (0, expected)
    code, printed = output("train", "--hydra-help", cwd=tmp_path)
    assert code == 0
    assert printed.startswith("Hydra (")
    assert not list(tmp_path.iterdir())


def test_an_unknown_command_is_answered_in_a_sentence(tmp_path: Path) -> None:
    code, printed = output("__main__", "nonsense", cwd=tmp_path)
    assert code == 1
    assert printed.startswith("error: `python -m capsnet nonsense` does not exist: ")
    assert len(printed.splitlines()) == 1
