"""A record names the code and the device that it came from."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from capsnet.analysis.answers import answers
from capsnet.records.files import write_atomically
from capsnet.records.provenance import device_name, git_commit, processor
from capsnet.records.record import keep_origin, read_record, write_record
from capsnet.records.runs import Run
from capsnet.records.statistics import clustered
from conftest import Shown
from helpers.records import of_schema_1, record


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    done = subprocess.run(
        ("git", *who, *arguments), cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def committed(folder: Path, *names: str) -> None:
    """Write files below `folder`, and make it a repository that holds them."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("as committed")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "All")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    committed(tmp_path, "src/capsnet/functional.py", "conf/value.yaml", "dvc.lock")
    return tmp_path


def test_what_is_replaced_is_never_written_into(tmp_path: Path) -> None:
    path, held = tmp_path / "file", tmp_path / "held"
    write_atomically(path, b"old")
    os.link(path, held)  # as a reader holds it
    write_atomically(path, b"new")
    assert (held.read_bytes(), path.read_bytes()) == (b"old", b"new")


@pytest.mark.slow
def test_a_record_of_pairs_keeps_what_its_interval_needs(shown: dict[str, Shown]) -> None:
    one = shown["multimnist_capsnet_r3_recon"]
    run = Run(one.record, one.folder / "record.json")
    outcome, kept = one.record.tests["test"], answers(run, "test")
    assert kept is not None
    assert kept.partners is not None
    partners = kept.partners.astype(np.uint32)
    interval = clustered(kept.x.astype(bool), kept.digits, partners)
    assert interval == pytest.approx(outcome.interval_percent)
    assert run.arrays["by_pair.test"].sum((1, 2)).tolist() == [outcome.errors, outcome.total]


def test_a_fresh_checkout_is_clean(repository: Path) -> None:
    assert git_commit(repository / "src/capsnet") == (git(repository, "rev-parse", "HEAD"), True)


@pytest.mark.parametrize("name", ["src/capsnet/functional.py", "src/new.py", "conf/value.yaml"])
def test_changed_code_or_configuration_is_not(repository: Path, name: str) -> None:
    (repository / name).write_text("changed")
    assert git_commit(repository / "src/capsnet")[1] is False


def test_what_a_pipeline_writes_as_it_runs_does_not_count(repository: Path) -> None:
    (repository / "dvc.lock").write_text("another stage is done")
    (repository / "results.json").write_text("new")
    assert git_commit(repository / "src/capsnet")[1] is True


def test_outside_of_a_repository_nothing_is_claimed(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == (None, None)


def test_a_package_installed_inside_another_repository_has_no_commit(tmp_path: Path) -> None:
    committed(tmp_path, "analysis.py")
    installed = tmp_path / ".venv/lib/site-packages/capsnet"
    installed.mkdir(parents=True)
    (installed / "results.py").touch()
    assert git_commit(installed) == (None, None)
    git(tmp_path, "add", "--force", ".")
    git(tmp_path, "commit", "--quiet", "--message", "With all packages")
    assert git_commit(installed) == (None, None)


@pytest.mark.parametrize(("kind", "name"), [("cpu", processor()), ("mps", "mps")])
def test_a_device_is_named_for_what_computes(kind: str, name: str) -> None:
    assert torch.get_num_threads() == 1
    assert device_name(torch.device(kind)) == f"{name}, 1 thread"


@pytest.mark.parametrize(
    ("written", "read"), [("cpu, 1 threads", "cpu, 1 thread"), ("cpu, 11 threads",) * 2]
)
def test_devices_of_older_records_are_named_alike(tmp_path: Path, written: str, read: str) -> None:
    old = of_schema_1(record(device=written), tmp_path / "seed0.json")
    (tmp_path / "seed0.json").write_text(json.dumps(old))
    assert read_record(tmp_path / "seed0.json").device == read


ORIGIN = {"device": "abacus", "commit": "c" * 40, "clean": True, "train_seconds": 1.0}


def test_evaluating_again_changes_nothing_that_a_record_says_of_the_training(
    tmp_path: Path,
) -> None:
    write_record(record(wandb_id="a", **ORIGIN), tmp_path / "seed0.json")
    again = keep_origin(record(30, wandb_id="a", clean=False), tmp_path / "seed0.json")
    assert again == record(30, wandb_id="a", **ORIGIN)


@pytest.mark.parametrize(
    "other", [{"wandb_id": "b"}, {"wandb_id": None}, {"steps_done": 5}, {"identity": {}}]
)
def test_another_training_states_its_own_origin(tmp_path: Path, other: dict[str, Any]) -> None:
    """Its folder is new in a fresh clone, where the record is in git and the run is not."""
    write_record(record(**{"wandb_id": "a"} | other, **ORIGIN), tmp_path / "seed0.json")
    trained = record(30, wandb_id="a", device="here", clean=False)
    assert keep_origin(trained, tmp_path / "seed0.json") == trained
