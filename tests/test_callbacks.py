"""When training ends early, and what it says of its routing on the way."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from capsnet.networks import routing_changes
from capsnet.prepare import prepare
from capsnet.records.curves import curves
from capsnet.records.record import Record, read_arrays
from capsnet.train import train
from capsnet.training.callbacks import Throughput
from capsnet.training.module import CapsNetModule
from helpers.running import tiny

pytestmark = pytest.mark.slow

SHORT = (
    "schedule.steps=60",
    "schedule.decay_steps=100",
    "schedule.batch=32",
    "schedule.validate_every=20",
    "trainer.log_every=10",
    "logger=csv",
)


@pytest.fixture(scope="module")
def root(data_root: Path) -> Path:
    prepare("expanded-digits", data_root / "expanded-digits")
    prepare("affnist-digits", data_root / "affnist-digits", copies=1)
    return data_root


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_a_row_that_a_full_disk_has_cut_is_left_out(tmp_path: Path) -> None:
    for number, rows in enumerate(("0.9,50\r\n0.8,100\r\n0.", "0.7,100\r\n0.6,150\r\n")):
        path = tmp_path / f"logs/version_{number}/metrics.csv"
        path.parent.mkdir(parents=True)
        path.write_text("train/loss,step\r\n" + rows, newline="")
    assert curves(tmp_path)["train/loss"].tolist() == [[50, 0.9], [100, 0.7], [150, 0.6]]


def trained(root: Path, folder: Path, accuracy: float) -> Record:
    run = tiny(root, *SHORT, f"schedule.stop_at={accuracy}", experiment="affnist_capsnet")
    record = train(run, folder)
    assert record is not None
    return record


def test_training_ends_at_the_first_validation_that_is_good_enough(
    root: Path, tmp_path: Path
) -> None:
    free = trained(root, tmp_path / "free", accuracy=1.0)
    assert (free.steps_done, free.stopped, free.stop_at) == (60, None, 1.0)
    errors = curves(tmp_path / "free")["validation/error"][:, 1].tolist()
    assert len(errors) == 3
    best = min(errors)
    expected = 20 * (errors.index(best) + 1)
    reached = trained(root, tmp_path / "stops", accuracy=1 - best)
    assert (reached.steps_done, reached.stopped, reached.steps_planned) == (expected, expected, 60)


def test_a_run_killed_while_it_validates_stops_where_an_undisturbed_one_does(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny(
        root,
        *SHORT,
        *("trainer.checkpoint_every=0", "schedule.stop_at=0.01"),
        experiment="affnist_capsnet",
    )

    def killed(*_: object) -> None:
        raise SystemError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(CapsNetModule, "validation_step", killed)
        with pytest.raises(SystemError, match="killed"):
            train(run, tmp_path)
    record = train(run, tmp_path)
    assert record is not None
    assert (record.stopped, record.steps_done) == (20, 20)


def test_a_run_killed_after_a_validation_ends_in_the_weights_of_an_undisturbed_one(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny(
        root,
        *SHORT,
        *("trainer.checkpoint_every=0", "schedule.stop_at=1.0"),
        experiment="affnist_capsnet",
    )
    train(run, tmp_path / "undisturbed")

    def killed(module: CapsNetModule, *_: object) -> None:
        if module.global_step == 45:
            raise SystemError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(CapsNetModule, "on_train_batch_end", killed)
        with pytest.raises(SystemError, match="killed"):
            train(run, tmp_path / "killed")
    train(run, tmp_path / "killed")
    before, after = weights(tmp_path / "undisturbed"), weights(tmp_path / "killed")
    assert all(torch.equal(before[name], after[name]) for name in before)
    told = [curves(tmp_path / name)["validation/error"] for name in ("undisturbed", "killed")]
    assert told[0].tolist() == told[1].tolist()


def test_a_run_that_has_stopped_stays_stopped(root: Path, tmp_path: Path) -> None:
    first = trained(root, tmp_path, accuracy=0.01)
    assert (first.steps_done, first.stopped) == (20, 20)
    before = weights(tmp_path)
    again = trained(root, tmp_path, accuracy=0.01)
    assert (again.steps_done, again.stopped, again.tests) == (20, 20, first.tests)
    assert all(torch.equal(before[name], after) for name, after in weights(tmp_path).items())


def test_routing_changes_are_logged_with_the_loss(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []

    def watched(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
        assert len(images) == 32
        changes = routing_changes(network, images)  # pyright: ignore[reportArgumentType]
        seen.append(changes.tolist())
        return changes

    monkeypatch.setattr("capsnet.training.callbacks.routing_changes", watched)
    run = tiny(root, *SHORT)
    train(run, tmp_path)
    told = curves(tmp_path)
    steps = told["train/loss"][:, 0].tolist()
    assert steps == [9, 19, 29, 39, 49, 59]
    for iteration in (1, 2, 3):
        logged = told[f"routing/change_{iteration}"]
        assert logged[:, 0].tolist() == steps
        assert logged[:, 1].tolist() == pytest.approx([row[iteration - 1] for row in seen])
    kept = read_arrays(tmp_path / "record.json")
    assert kept["curve.train/loss"].tolist() == told["train/loss"].tolist()
    assert set(told) & {"epoch", "images_seen"} == set()


def test_curves_of_a_resumed_run_are_one_curve(tmp_path: Path) -> None:
    rows = {
        "version_0": "step,train/loss,validation/error\n9,4.0,\n19,3.0,\n19,,0.5\n29,9.0,\n",
        "version_1": "step,train/loss,validation/error\n29,2.0,\n39,1.0,\n",
        "version_10": "step,train/loss,validation/error\n49,0.5,\n",
        "version_2": "step,train/loss,validation/error\n49,0.7,\n",
    }
    for name, text in rows.items():
        (tmp_path / "logs" / name).mkdir(parents=True)
        (tmp_path / "logs" / name / "metrics.csv").write_text(text)
    (tmp_path / "logs" / "version_11").mkdir()  # killed before anything was logged
    told = curves(tmp_path)
    expected = [[9, 4.0], [19, 3.0], [29, 2.0], [39, 1.0], [49, 0.5]]
    assert told["train/loss"].tolist() == expected
    assert told["validation/error"].tolist() == [[19, 0.5]]


def test_throughput_is_of_training_alone_and_of_all_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter([100.0, 102.0, 110.0, 115.0, 117.0])  # start, 1st log, validation, 2nd log
    monkeypatch.setattr("capsnet.training.callbacks.monotonic", lambda: next(clock))
    told: list[tuple[str, float]] = []
    module = SimpleNamespace(log=lambda name, value: told.append((name, value)))
    batch, watch = SimpleNamespace(images=torch.zeros(32, 1)), Throughput(every=3)
    trainer = SimpleNamespace(world_size=2)

    def step(number: int) -> None:
        trainer.global_step = number
        watch.on_train_batch_end(trainer, module, None, batch, 0)  # pyright: ignore[reportArgumentType]

    watch.on_train_start(trainer, module)  # pyright: ignore[reportArgumentType]
    for number in (2, 3, 4):  # a run that was resumed at step 1
        step(number)
    watch.on_validation_start(trainer, module)  # pyright: ignore[reportArgumentType]
    watch.on_validation_end(trainer, module)  # pyright: ignore[reportArgumentType]
    for number in (5, 6):
        step(number)
    name = "train/images_per_second"
    assert told == [(name, 2 * 2 * 32 / 2), (name, 3 * 2 * 32 / (15 - 5))]
