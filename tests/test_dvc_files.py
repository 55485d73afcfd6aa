"""The metrics and curves that DVC shows of a run, against its record and Lightning's own logs."""

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from capsnet.records import dvc_files
from capsnet.records.record import Record
from capsnet.records.runs import read_runs
from capsnet.train import train
from helpers.running import tiny

PAPER = Path(__file__).parents[1] / "results/paper"
SHORT = (
    *("schedule.steps=12", "schedule.batch=16", "trainer.log_every=2", "logger=csv"),
    *("data.holdout=0.2", "schedule.validate_every=6"),
)


@pytest.fixture(scope="module")
def trained(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    """A run that validates twice, and its folder."""
    folder = tmp_path_factory.mktemp("trained")
    record = train(tiny(data_root, *SHORT, experiment="mnist_capsnet_r1"), folder)
    assert record is not None
    return record, folder


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))


@pytest.mark.slow
def test_the_metrics_are_the_record_s(trained: tuple[Record, Path]) -> None:
    record, folder = trained
    test = record.tests["test"]
    assert yaml.safe_load((folder / "record.metrics.yaml").read_text()) == {
        "steps": 12,
        "test": {
            "error_percent": pytest.approx(100 * test.errors / 500, abs=1e-4),
            "interval_low": pytest.approx(test.interval_percent[0], abs=1e-4),
            "interval_high": pytest.approx(test.interval_percent[1], abs=1e-4),
            "errors": test.errors,
            "total": 500,
        },
    }


@pytest.mark.slow
def test_the_curves_are_the_logged_ones(trained: tuple[Record, Path]) -> None:
    _, folder = trained
    logged = rows(folder / "logs/version_0/metrics.csv")
    losses = {float(row["images_seen"]): row["train/loss"] for row in logged if row["train/loss"]}
    errors = [row["validation/error"] for row in logged if row["validation/error"]]
    shown = rows(folder / "record.curves.csv")
    assert [int(row["images_seen"]) for row in shown] == [32, 64, 96, 128, 160, 192]
    for row in shown:
        loss = float(losses[float(row["images_seen"])])
        assert float(row["train_loss"]) == pytest.approx(loss, rel=1e-4)
    validated = {
        int(row["images_seen"]): float(row["validation_error_percent"])
        for row in shown
        if row["validation_error_percent"]
    }
    assert list(validated) == [96, 192]
    assert [*validated.values()] == pytest.approx([100 * float(e) for e in errors], rel=1e-4)


def test_long_curves_are_averaged_to_what_a_plot_can_show() -> None:
    steps = np.arange(49, 1000 * 50, 50)  # a logged point every 50 steps
    curve = np.stack([steps, steps**2], 1).astype(float)
    fives = curve[:, 1].reshape(200, 5)
    shown = dvc_files.thinned(curve)
    assert shown[:, 0].tolist() == steps[4::5].tolist()
    np.testing.assert_allclose(shown[:, 1], fives.sum(1) / 5)
    assert dvc_files.thinned(curve[:200]).tolist() == curve[:200].tolist()
    uneven = dvc_files.thinned(curve[:999])
    assert len(uneven) == 200
    assert uneven[-1, 0] == curve[998, 0]


def test_what_was_never_logged_leaves_empty_cells() -> None:
    assert dvc_files.table({}, 128) == "images_seen,train_loss,validation_error_percent\n"
    loss = {"curve.train/loss": np.array([[49, 0.123456], [99, 0.0999]])}
    assert dvc_files.table(loss, 128).splitlines()[1:] == ["6400,0.12346,", "12800,0.0999,"]


def test_runs_in_git_at_the_paper_s_schedule_have_both(tmp_path: Path) -> None:
    runs = read_runs(PAPER)
    assert runs
    for run in runs:
        path = run.path
        dvc_files.write(run.record, tmp_path / path.name, run.arrays)
        for kind in (dvc_files.METRICS, dvc_files.CURVES):
            kept = path.with_suffix(kind).read_text()
            assert kept == (tmp_path / path.name).with_suffix(kind).read_text()


@pytest.mark.slow
def test_the_record_comes_after_them(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(dvc_files, "write_atomically", full)
    record = f"record={tmp_path}/results/kept/one.json"
    with pytest.raises(OSError, match="no space left"):
        train(tiny(data_root, *SHORT, "schedule.steps=2", record), tmp_path / "run")
    assert not list(tmp_path.glob("results/kept/*.json"))
    monkeypatch.undo()
    train(tiny(data_root, *SHORT, "schedule.steps=2", record), tmp_path / "run")
    assert sorted(file.name for file in (tmp_path / "results/kept").iterdir()) == [
        *("one.curves.csv", "one.json", "one.metrics.yaml", "one.npz")
    ]
    [run] = read_runs(tmp_path / "results")
    assert run.path == tmp_path / "results/kept/one.json"
