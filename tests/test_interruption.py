"""Signals end a training after its step: saved, said in a sentence, with the shell's exit code."""

import os
import pickle
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from capsnet.errors import UserError
from capsnet.records.record import read_record
from capsnet.train import train
from capsnet.training.callbacks import TimedCheckpoint
from capsnet.training.interruption import Interrupted, Interruption
from capsnet.training.module import CapsNetModule
from helpers.running import TINY, command, output, tiny, wait_for

pytestmark = pytest.mark.slow

SHORT = (
    "schedule.steps=60",
    "schedule.decay_steps=100",
    "schedule.batch=16",
    "trainer.log_every=10",
    "logger=csv",
)


def checkpoint(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def same_weights(one: Path, other: Path) -> bool:
    first, second = checkpoint(one)["state_dict"], checkpoint(other)["state_dict"]
    return all(torch.equal(first[name], second[name]) for name in first)


def first_rows_logged(folder: Path) -> bool:
    logs = list(folder.glob("logs/*/metrics.csv"))
    return any(len(log.read_text().splitlines()) > 1 for log in logs)


@pytest.mark.parametrize(
    ("number", "code", "devices"),
    [
        (signal.SIGTERM, 143, 1),
        (signal.SIGINT, 130, 1),
        (signal.SIGUSR1, 138, 1),
        (signal.SIGTERM, 143, 2),
    ],
)
def test_a_signal_saves_the_run_and_the_same_command_carries_on(
    number: signal.Signals, code: int, devices: int, data_root: Path, tmp_path: Path
) -> None:
    arguments = (
        *("experiment=mnist_capsnet_r3_recon", *TINY, *SHORT, "schedule.steps=100000"),
        *("trainer.log_every=5", f"trainer.devices={devices}", f"data.root={data_root}"),
        f"hydra.run.dir={tmp_path / 'run'}",
    )
    process = command("train", *arguments, cwd=tmp_path)
    wait_for(lambda: first_rows_logged(tmp_path / "run"), process)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == code, printed
    assert "Traceback" not in printed
    step = checkpoint(tmp_path / "run")["global_step"]
    assert f"{number.name}: stopped after step {step:,} of 100,000, saved in" in printed
    assert "the same command carries on" in printed
    assert not (tmp_path / "run" / "record.json").exists()


def test_an_interrupted_run_ends_in_the_weights_of_an_undisturbed_one(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny(data_root, *SHORT)
    train(run, tmp_path / "undisturbed")
    handler, losses = signal.getsignal(signal.SIGTERM), CapsNetModule.losses

    def interrupted(module: CapsNetModule, examples: Any) -> Any:
        if module.global_step == 33:
            os.kill(os.getpid(), signal.SIGTERM)
        return losses(module, examples)

    with monkeypatch.context() as patch:
        patch.setattr(CapsNetModule, "losses", interrupted)
        with pytest.raises(Interrupted):
            train(run, tmp_path / "interrupted")
    assert checkpoint(tmp_path / "interrupted")["global_step"] == 34
    assert signal.getsignal(signal.SIGTERM) == handler
    train(run, tmp_path / "interrupted")
    assert same_weights(tmp_path / "undisturbed", tmp_path / "interrupted")


def test_a_second_signal_ends_a_run_at_once() -> None:
    interruption = Interruption()
    with interruption.handled():
        with pytest.raises(Interrupted) as before_training:
            signal.raise_signal(signal.SIGINT)
        interruption.defer()
        signal.raise_signal(signal.SIGTERM)
        assert interruption.received == signal.SIGTERM
        with pytest.raises(Interrupted) as second:
            signal.raise_signal(signal.SIGINT)
    assert (before_training.value.code, second.value.code) == (130, 130)


def test_a_signal_in_the_last_checkpoint_ends_the_run_after_it() -> None:
    interruption = Interruption()
    with interruption.handled():
        interruption.defer()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted) as after:
            interruption.resume()
    assert after.value.code == 143


class Watched(SimpleNamespace):
    """A trainer of one process, as `TimedCheckpoint` uses it."""

    def save_checkpoint(self, path: Path) -> None:
        self.saved.append(self.global_step)


def test_checkpoints_are_as_far_apart_as_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes 1.7 ms: one checkpoint a minute, at a step that is logged, and the last one."""
    now = 0.0
    monkeypatch.setattr("capsnet.training.callbacks.monotonic", lambda: now)
    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision)
    trainer: Any = Watched(
        saved=[],
        strategy=strategy,
        world_size=1,
        max_steps=100_000,
        should_stop=False,
        enable_validation=False,
        val_check_batch=None,
        lightning_module=torch.nn.Linear(1, 1),
    )
    module: Any = None
    timed = TimedCheckpoint(tmp_path / "last.ckpt", 60, 50, Interruption())
    timed.on_train_start(trainer, module)
    for step in range(1, 100_001):
        now, trainer.global_step = step * 0.0017, step
        timed.on_train_batch_end(trainer, module, None, None, step)
    assert trainer.saved == [35_300, 70_600, 100_000]


def test_a_finished_run_can_be_prolonged(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = tiny(data_root, *SHORT)
    train(longer, tmp_path / "at once")
    train(tiny(data_root, *SHORT, "schedule.steps=33"), tmp_path / "prolonged")
    capsys.readouterr()
    train(longer, tmp_path / "prolonged")
    printed = capsys.readouterr().out
    assert f"{tmp_path / 'prolonged'}: prolonged from 33 to 60 steps" in printed
    assert "resuming from last.ckpt, of step 33" in printed
    assert same_weights(tmp_path / "at once", tmp_path / "prolonged")
    records = [read_record(tmp_path / name / "record.json") for name in ("at once", "prolonged")]
    assert records[0].tests == records[1].tests
    assert records[0].identity == records[1].identity
    assert records[1].steps_done == 60


def test_a_run_whose_decay_depends_on_its_steps_is_never_prolonged(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its first steps would have had other learning rates."""
    values = (*SHORT, "schedule.decay_to=0.05")
    train(tiny(data_root, *values, "schedule.steps=33"), tmp_path)
    capsys.readouterr()
    train(tiny(data_root, *values), tmp_path)
    assert "config changed since the last run, kept in" in capsys.readouterr().out
    assert (tmp_path / "superseded-1" / "record.json").is_file()


def test_a_shortened_run_starts_afresh(data_root: Path, tmp_path: Path) -> None:
    train(tiny(data_root, *SHORT), tmp_path)
    train(tiny(data_root, *SHORT, "schedule.steps=33"), tmp_path)
    assert checkpoint(tmp_path)["global_step"] == 33
    assert checkpoint(tmp_path / "superseded-1")["global_step"] == 60
    assert read_record(tmp_path / "superseded-1" / "record.json").steps_done == 60


class Malicious:
    def __reduce__(self) -> Any:
        return os.system, ("touch ran",)


@pytest.fixture(scope="module")
def begun(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun")
    train(tiny(data_root, *SHORT, "schedule.steps=10"), folder)
    return folder


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "pickle", "another network's"])
def test_a_damaged_or_foreign_checkpoint_gets_a_sentence_and_none_of_its_code_runs(
    damage: str, begun: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = begun / "checkpoints" / "last.ckpt"
    content = path.read_bytes()
    other = tmp_path / "other.ckpt"
    torch.save({"state_dict": {"network.x": torch.zeros(2)}, "global_step": 7}, other)
    damaged = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "text": b"<html>no checkpoint</html>",
        "pickle": pickle.dumps(Malicious(), protocol=2),
        "another network's": other.read_bytes(),
    }
    path.write_bytes(damaged[damage])
    monkeypatch.chdir(tmp_path)
    try:
        with pytest.raises(
            UserError, match=r"last\.ckpt is .*: move it away to start afresh"
        ) as said:
            train(tiny(data_root, *SHORT, "schedule.steps=10"), begun)
    finally:
        path.write_bytes(content)
    assert "\n" not in str(said.value)
    assert not (tmp_path / "ran").exists()
    assert (begun / "record.json").is_file()  # nothing else was touched


def test_a_damaged_identity_is_named(begun: Path, data_root: Path) -> None:
    path = begun / "identity.json"
    content = path.read_text()
    path.write_text(content[:20])
    try:
        with pytest.raises(UserError, match=r"identity\.json is damaged"):
            train(tiny(data_root, *SHORT, "schedule.steps=10"), begun)
    finally:
        path.write_text(content)
    assert (begun / "checkpoints" / "last.ckpt").is_file()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = CapsNetModule.losses

    def broken(module: CapsNetModule, examples: Any) -> Any:
        found = losses(module, examples)
        return {name: part * float("nan") for name, part in found.items()} if bad(module) else found

    def bad(module: CapsNetModule) -> bool:
        return module.global_step >= 25

    monkeypatch.setattr(CapsNetModule, "losses", broken)
    told = r"loss is not finite at step 30; the last checkpoint, .*last\.ckpt, is of step 20"
    with pytest.raises(UserError, match=told):
        train(tiny(data_root, *SHORT, "trainer.checkpoint_every=0"), tmp_path)
    assert all(part.isfinite().all() for part in checkpoint(tmp_path)["state_dict"].values())


def test_weights_that_are_not_finite_are_never_saved(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(module: CapsNetModule) -> None:
        if module.global_step == 19:
            torch.nn.utils.clip_grad_value_(module.parameters(), float("nan"))

    monkeypatch.setattr(CapsNetModule, "on_after_backward", broken)
    told = r"weights are not finite at step 20; the last checkpoint, .* is of step 10"
    with pytest.raises(UserError, match=told):
        train(tiny(data_root, *SHORT, "trainer.checkpoint_every=0"), tmp_path)


def test_what_cannot_work_is_refused_before_training(data_root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.json").mkdir()
    for override, told in (
        (f"record={tmp_path}/file/seed0.json", "seed0.json cannot be written: "),
        (f"record={tmp_path}/folder.json", "cannot be written: Is a directory"),
        ("schedule.batch=1298", "schedule.batch = 1298 .* at most 1,297"),
    ):
        with pytest.raises(UserError, match=told):
            train(tiny(data_root, *SHORT, override), tmp_path / "run")
        assert not list(tmp_path.glob("run/logs"))
    with pytest.raises(UserError, match=r"file/record\.json cannot be written: "):
        train(tiny(data_root, *SHORT), tmp_path / "file")


def test_a_record_that_cannot_be_written_is_said_before_torch_is_imported(tmp_path: Path) -> None:
    experiment = "experiment=mnist_capsnet_r1"
    code, printed = output("train", experiment, "record=/proc/none/x.json", cwd=tmp_path)
    assert (code, "record: /proc/none/x.json cannot be written" in printed) == (1, True)
    assert "Traceback" not in printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_an_interruption_survives_the_way_from_one_process_to_another(number: int) -> None:
    handed_on = pickle.loads(pickle.dumps(Interrupted(number)))
    assert (handed_on.code, handed_on.signal) == (128 + number, number)
