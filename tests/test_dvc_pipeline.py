"""Real DVC on a copy of the project: an edit re-runs exactly what it changes."""

import csv
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from capsnet.analysis import plan
from helpers.copies import EXPERIMENTS, PROJECT, tiny_copy

pytestmark = pytest.mark.slow

DVC = Path(sys.executable).with_name("dvc")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with two experiments of three steps."""
    copy = tiny_copy(tmp_path_factory.mktemp("project"))
    repro(copy)
    return copy


def dvc(project: Path, *arguments: str) -> str:
    """`dvc ARGUMENTS` in the project: what it printed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(project / "src"),
        "PATH": f"{DVC.parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [DVC, *arguments], cwd=project, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def repro(project: Path, *arguments: str, stage: str = "") -> list[str]:
    """`dvc repro demo/dvc.yaml`, or of a stage with all before it: the stages that ran."""
    target = f"demo/dvc.yaml:{stage}" if stage else "demo/dvc.yaml"
    printed = dvc(project, "repro", target, *arguments)
    return re.findall(r"Running stage 'demo/dvc.yaml:(.*)':", printed)


def outdated(project: Path) -> list[str]:
    """Compose again, which an edit of the code calls for; then say what else would run."""
    assert repro(project, stage="compose") == ["compose"]
    return repro(project, "--dry")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    command = ("git", *who, *arguments)
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


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
    assert page.count("not yet run") == 10
    drawn = sorted(path.name for path in (project / "results/demo-figures").glob("*.png"))
    by_class = [f"class_errors{of}.png" for of in ("-MultiMNIST", "-affNIST", "")]
    assert drawn == [*by_class, "curves.png", "figure_3.png", "figure_a1.png"]  # affNIST's decoder
    sheets = sorted(sheet.stem for sheet in (project / "results/demo-data").glob("*.png"))
    assert sheets == ["affnist", "enumerated", "expanded", "multimnist", "shifted"]
    assert "demo: 4 of 4 runs" in (project / "results/demo.html").read_text()
    assert repro(project) == []


def test_metrics_show_the_errors_of_each_run(project: Path) -> None:
    files = sorted(project.glob("results/demo/*/*.metrics.yaml"))
    assert len(files) == len(EXPERIMENTS)
    asked = [str(file.relative_to(project)) for file in files]
    shown = json.loads(dvc(project, "metrics", "show", "--json", *asked))[""]["data"]
    for file, name in zip(files, asked, strict=True):
        record = json.loads(Path(f"{file}".replace(".metrics.yaml", ".json")).read_text())
        values = shown[name]["data"]
        assert values.keys() == {"steps", *record["tests"]}
        assert values["steps"] == record["steps_done"] == 3
        for test, counted in record["tests"].items():
            assert values[test]["errors"] == counted["errors"]
            share = counted["errors"] / counted["total"]
            assert values[test]["error_percent"] == pytest.approx(100 * share, abs=1e-4)


def test_plots_show_the_curve_of_each_run(project: Path) -> None:
    dvc(project, "plots", "show", ".*demo")
    page = (project / "dvc_plots/index.html").read_text()
    assert git(project, "status", "--porcelain", "dvc_plots") == ""
    specs = [json.loads(spec) for spec in re.findall(r"var spec = (\{.*\});\n", page)]
    assert [spec["title"] for spec in specs] == [
        *(f"demo, {name}: training loss" for name in ("MNIST", "MultiMNIST", "affNIST")),
        "demo, affNIST: validation error",
    ]
    drawn = {}
    for spec in specs[:3]:
        assert spec["encoding"]["y"]["field"] == "train_loss"
        for point in spec["data"]["values"]:
            experiment, _ = point["filename"].split("/")
            drawn[experiment] = (int(point["images_seen"]), float(point["train_loss"]))
    assert drawn == {name: pytest.approx(logged(project, name), rel=1e-4) for name in EXPERIMENTS}


def logged(project: Path, experiment: str) -> tuple[float, float]:
    """Images seen and training loss, as Lightning wrote them down at the only logged step."""
    path = project / "runs/demo" / experiment / "seed0/logs/version_0/metrics.csv"
    with path.open(newline="") as file:
        [row] = [row for row in csv.DictReader(file) if row["train/loss"]]
    return float(row["images_seen"]), float(row["train/loss"])


@pytest.mark.parametrize("file", ["dvc.yaml", "demo/dvc.yaml"])
def test_plots_name_the_curves_of_all_runs(file: str) -> None:
    values: dict[str, Any] = yaml.safe_load((PROJECT / file).read_text())
    [lists] = values["vars"]
    curves = {
        f"{experiment}/seed{seed}.curves.csv"
        for name in lists
        if name.endswith("experiments")
        for experiment in lists[name]
        for seed in lists.get(name.replace("experiments", "seeds"), lists["seeds"])
    }
    drawn: dict[str, set[str]] = {}
    for [plot] in (one.items() for one in values["plots"]):
        for path, column in plot[1]["y"].items():
            assert (PROJECT / file).parent.joinpath(path).resolve().is_relative_to(PROJECT)
            drawn.setdefault(column, set()).add("/".join(Path(path).parts[-2:]))
    assert drawn["train_loss"] == curves
    assert drawn["validation_error_percent"] == {one for one in curves if "affnist" in one[:8]}


@pytest.mark.parametrize("file", ["dvc.yaml", "demo/dvc.yaml"])
@pytest.mark.parametrize("stage", ["ensemble", "report"])
def test_verdicts_are_out_of_date_after_an_edit_of_what_makes_them(file: str, stage: str) -> None:
    deps = yaml.safe_load((PROJECT / file).read_text())["stages"][stage]["deps"]
    known = [PROJECT / dep for dep in deps]
    read = [*loaded_by(stage), plan.PLACES[-1]]
    assert PROJECT / "src/capsnet/analysis/verdicts.py" in read
    assert [path for path in read if not any(path.is_relative_to(dep) for dep in known)] == []


@cache
def loaded_by(stage: str) -> list[Path]:
    """Find the files of the package that the commands of a stage import."""
    modules = {
        "ensemble": "ensemble",
        "report": "report.tables.document, capsnet.report.figures.draw, capsnet.report.web.page",
    }
    code = (
        f"import sys, capsnet.{modules[stage]}\n"
        "print(*(one.__file__ for name, one in sys.modules.items() if name[:8] == 'capsnet.'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [Path(path) for path in done.stdout.split()]


def test_words_re_run_no_training(project: Path) -> None:
    edit(project / "src/capsnet/functional.py", "The equations of the paper", "Equations")
    edit(project / "src/capsnet/functional.py", "# [P] section 4.1", "# [P]")
    edit(project / "src/capsnet/report/tables/table.py", "named columns", "columns")
    edit(project / "conf/experiment/mnist_capsnet_r1.yaml", "[P].", "[P]!")
    (project / "README.md").write_text("Other words")
    assert outdated(project) == ["report"]


def test_a_value_re_runs_its_own_experiment(project: Path) -> None:
    edit(project / "conf/experiment/mnist_capsnet_r3.yaml", "iterations: 3", "iterations: 4")
    edit(project / "conf/experiment/mnist_capsnet_r1.yaml", "iterations: 1", "iterations: 2")
    own = "train@mnist_capsnet_r1-0"
    assert trained(outdated(project)) == [own]  # and r3 is none of the four
    assert repro(project, stage=own) == [own]
    assert repro(project, "--dry") == ["report"]
    kept = project / "runs/demo/mnist_capsnet_r1/seed0/superseded-1"
    files = {"seed0.json", "seed0.npz", "seed0.metrics.yaml", "weights.safetensors", "checkpoints"}
    assert files <= {path.name for path in kept.iterdir()}  # of the training that was replaced
    records = kept / "seed0.json", project / "results/demo/mnist_capsnet_r1/seed0.json"
    models = [json.loads(path.read_text())["model"] for path in records]
    assert [model["routing_iterations"] for model in models] == [1, 2]


def test_an_equation_re_runs_all(project: Path) -> None:
    edit(project / "src/capsnet/functional.py", "0.9, 0.1, 0.5", "0.9, 0.1, 0.4")
    experiments = [stage.split("@")[1] for stage in trained(outdated(project))]
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


def test_a_dry_run_in_a_fresh_clone_names_every_stage(tmp_path: Path) -> None:
    """DVC fails where a stage depends on what is not there yet: nothing may depend on such."""
    copy = tiny_copy(tmp_path / "copy")
    git(copy, "add", "--all")
    git(copy, "commit", "--quiet", "--message", "All")
    git(tmp_path, "clone", "--quiet", "copy", "clone")
    for file, runs in (("dvc.yaml", 49), ("demo/dvc.yaml", len(EXPERIMENTS))):
        printed = dvc(tmp_path / "clone", "repro", "--dry", file)
        stages = re.findall(r"Running stage '(?:demo/dvc.yaml:)?(.*)':", printed)
        assert len(trained(stages)) == runs
        assert stages[-1] == "report"
        assert {"multimnist", "contact-sheets", "compose"} <= set(stages)
    assert git(tmp_path / "clone", "status", "--porcelain") == ""
    assert not any((tmp_path / "clone" / made).exists() for made in ("data", "configs", "runs"))
