"""Real DVC on a copy of the project: an edit re-runs exactly what it changes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from copies import EXPERIMENTS, tiny_copy

DVC = Path(sys.executable).with_name("dvc")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with two experiments of three steps."""
    copy = tiny_copy(tmp_path_factory.mktemp("project"))
    repro(copy)
    return copy


def repro(project: Path, *arguments: str) -> list[str]:
    """`dvc repro demo/dvc.yaml`: the stages that ran."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(project / "src"),
        "PATH": f"{DVC.parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [DVC, "repro", "demo/dvc.yaml", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"Running stage 'demo/dvc.yaml:(.*)':", done.stdout)


def trained(stages: list[str]) -> list[str]:
    return [stage for stage in stages if stage.startswith("train")]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_table_is_there_and_a_second_call_runs_nothing(project: Path) -> None:
    page, *_ = (project / "results/demo.md").read_text().partition("## Claims")
    assert page.count("| none: demo |") == 5  # affNIST's CapsNet has two test sets
    assert page.count("uci-digits") == 4
    assert page.count("affnist-generated") == 1
    assert page.count("not yet run") == 7
    drawn = sorted(path.name for path in (project / "results/demo-figures").glob("*.png"))
    assert drawn == ["curves.png", "figure_a1.png"]  # no decoder but affNIST's was trained
    sheets = sorted(sheet.stem for sheet in (project / "results/demo-data").glob("*.png"))
    assert sheets == ["affnist", "enumerated", "expanded", "multimnist", "shifted"]
    assert "demo: 4 of 4 runs" in (project / "results/demo.html").read_text()
    assert repro(project) == []


def test_words_re_run_no_training(project: Path) -> None:
    edit(project / "src/capsnet/functional.py", "The equations of the paper", "Equations")
    edit(project / "src/capsnet/functional.py", "# [P] section 4.1", "# [P]")
    edit(project / "src/capsnet/report/tables.py", "For a file.", "For a Markdown file.")
    edit(project / "conf/experiment/mnist_capsnet_r3.yaml", "[P].", "[P]!")
    (project / "README.md").write_text("Other words")
    assert trained(repro(project)) == []


def test_a_value_re_runs_its_own_experiment(project: Path) -> None:
    edit(project / "conf/experiment/mnist_capsnet_r3.yaml", "iterations: 3", "iterations: 4")
    assert trained(repro(project)) == []  # not one of the two
    edit(project / "conf/experiment/mnist_capsnet_r1.yaml", "iterations: 1", "iterations: 2")
    assert trained(repro(project)) == ["train@mnist_capsnet_r1-0"]


def test_an_equation_re_runs_all(project: Path) -> None:
    edit(project / "src/capsnet/functional.py", "0.9, 0.1, 0.5", "0.9, 0.1, 0.4")
    experiments = [stage.split("@")[1] for stage in trained(repro(project))]
    assert sorted(experiments) == [f"{experiment}-0" for experiment in EXPERIMENTS]


def test_code_that_changes_after_compose_is_refused(project: Path) -> None:
    edit(project / "src/capsnet/functional.py", "0.9, 0.1, 0.4", "0.9, 0.1, 0.3")
    environment = {**os.environ, "PYTHONPATH": str(project / "src")}
    command = "capsnet.train --config-dir configs/demo --config-name mnist_baseline seed=0"
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "are not those it was composed with" in done.stderr
