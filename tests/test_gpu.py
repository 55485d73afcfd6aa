"""Tests for a CUDA GPU: compiled kernels, TF32, bf16, CUDA graphs, waits, a whole run.

Everything is computed in processes of its own, where Triton compiles: in this one it interprets.
Without a GPU the helpers of these tests are tried on a CPU, and the rest is skipped.
"""

from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from capsnet.benchmark.experiments import Experiment
from capsnet.benchmark.loop import fit
from capsnet.benchmark.runner import Candidate, Worker
from capsnet.benchmark.settings import Setting, settings
from capsnet.gpu_check import advice, exactness, tables
from capsnet.kernels.precision import fp32_arithmetic
from capsnet.records.record import read_record
from capsnet.training.factory import autocast
from helpers.running import TINY, output
from test_resume import kill_after_progress

EXPERIMENT, BASELINE = "mnist_capsnet_r3_recon", "mnist_baseline"
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")


@pytest.fixture(autouse=True)
def _compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Triton compile in the processes that a test starts."""
    monkeypatch.setenv("TRITON_INTERPRET", "0")


def elsewhere(row: Callable[[], Experiment], work: Callable[[Experiment], Any]) -> Any:
    """Return the result of `work` in a process of its own; None and a traceback where it failed."""
    worker = Worker(Candidate(row))
    worker.answer()
    try:
        return worker.does(work)
    finally:
        worker.end()


@gpu
def test_compiled_kernels_are_exact() -> None:
    """Against float64, values and gradients: TF32 would be off by 3e-4. cuDNN may round more."""
    found = exactness.errors(exactness.Sizes(), ["fast", "fused"], "cuda", lambda: 600.0)
    assert len(found) == 10
    assert all(tables.only_rounds(name, found[name]) for name in advice.wrong(found)), found


def losses(row: Experiment, steps: int = 20) -> list[float]:
    """The losses of the first steps of a training."""
    found: list[torch.Tensor] = []
    with fp32_arithmetic(row.run.precision):
        for step, indices in islice(row.batches, steps):
            examples = row.data.examples(indices.to(row.device), step)
            row.adam.zero_grad()
            with autocast(row.run, row.device):
                loss = torch.stack(list(row.module.losses(examples).values())).sum()
            loss.backward()
            row.adam.step()
            found.append(loss.detach().clone())  # the next replay of a graph overwrites the loss
    return torch.stack(found).tolist()


def made(
    device: str, setting: Setting, *overrides: str, experiment: str = EXPERIMENT
) -> Experiment:
    return Experiment(
        experiment, device, (*setting.overrides, "trainer.progress=false", *overrides)
    )


@pytest.mark.slow
def test_losses_are_those_of_a_training() -> None:
    small = "model.width=0.1", "schedule.batch=16"
    fast, reference = (losses(made("cpu", Setting(k), *small)) for k in ("fast", "reference"))
    assert fast == pytest.approx(reference, rel=1e-3)
    assert len(fast) == 20
    assert fast[-1] < fast[0]


@pytest.fixture(scope="module")
def truth() -> list[float]:
    found = elsewhere(partial(made, "cuda", Setting("reference")), losses)
    assert found is not None
    return found


APART = {"32-true": 1e-3, "tf32": 1e-2, "bf16-mixed": 2e-2}  # of losses, after 20 steps of Adam


@gpu
@pytest.mark.parametrize("setting", settings("fast", "fused"), ids=lambda one: one.name)
def test_every_setting_learns_the_same(setting: Setting, truth: list[float]) -> None:
    found = elsewhere(partial(made, "cuda", setting), losses)
    assert found == pytest.approx(truth, rel=APART[setting.precision])


EVERY, FIRST = 20, 10  # steps from a logged one to the next; graphs are made in those before FIRST


class Strict(Callback):
    """Makes every wait for the GPU an error, from step FIRST to the last that is not logged."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx in (FIRST, EVERY - 1):
            torch.cuda.set_sync_debug_mode("error" if batch_idx == FIRST else "default")


def strictly(row: Experiment) -> bool:
    """Train; whether no step that is not logged has waited."""
    fit(row, EVERY + 1, Strict())
    return True


def test_waiting_is_an_error_between_logged_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[tuple[int, str]] = []
    row = made("cpu", Setting(), f"trainer.log_every={EVERY}", "model.width=0.03")
    monkeypatch.setattr(
        torch.cuda,
        "set_sync_debug_mode",
        lambda mode: modes.append((row.module.global_step, mode)),
    )
    assert strictly(row)
    assert modes == [(FIRST, "error"), (EVERY - 1, "default")]


@gpu
@pytest.mark.parametrize("experiment", [EXPERIMENT, BASELINE])
@pytest.mark.parametrize(
    "setting",
    [Setting(), Setting("fused", "tf32"), Setting("fused", "bf16-mixed", compile=True)],
    ids=lambda one: one.name,
)
def test_no_step_between_logged_ones_waits(setting: Setting, experiment: str) -> None:
    logged = f"trainer.log_every={EVERY}"
    assert elsewhere(partial(made, "cuda", setting, logged, experiment=experiment), strictly)


@gpu
def test_a_killed_run_goes_on_and_is_judged(data_root: Path, tmp_path: Path) -> None:
    """By fused kernels in bf16 and CUDA graphs; evaluating again, by other kernels, agrees."""
    run = tmp_path / "run"
    arguments = (
        *(f"experiment={EXPERIMENT}", *TINY, f"data.root={data_root}", "logger=csv"),
        *("trainer.accelerator=gpu", "precision=bf16-mixed", "trainer.kernels=fused"),
        *("trainer.compile=true", "trainer.log_every=10", "trainer.checkpoint_every=0"),
        *("schedule.steps=2000", "schedule.batch=16"),
    )
    kill_after_progress(run, arguments, 0.1)
    code, printed = output("train", *arguments, f"hydra.run.dir={run}", cwd=tmp_path)
    assert code == 0, printed
    assert "resuming from last.ckpt" in printed
    record = read_record(run / "record.json")
    assert (record.steps_done, record.device) == (2000, torch.cuda.get_device_name())
    code, printed = output("evaluate", str(run), cwd=tmp_path)
    assert code == 0, printed
    again = int(printed.split("test: ")[1].split()[0].replace(",", ""))
    assert abs(again - record.tests["test"].errors) <= 2
