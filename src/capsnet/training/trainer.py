"""The Lightning trainer of a run, and its callbacks."""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, Timer
from pytorch_lightning.loggers import Logger

from capsnet import config
from capsnet.data.dataset import TestSet
from capsnet.errors import UserError
from capsnet.training.callbacks import (
    FiniteLoss,
    ProgressBar,
    RoutingChange,
    StopAt,
    Throughput,
    TimedCheckpoint,
)
from capsnet.training.checkpoints import AtomicCheckpoints, last_checkpoint
from capsnet.training.error_curve import ErrorCurve, FirstExamples
from capsnet.training.interruption import Interruption

EXPECTED_WARNINGS = (  # Lightning's warnings that do not apply here
    "does not have many workers",  # the loader hands out indices, nothing worth a worker
    "Your `IterableDataset` has `__len__` defined",  # likewise
    "You're resuming from a checkpoint that ended before the epoch ended",  # data follow the step
    ".*LeafSpec",  # inside Lightning
)


def silence_lightning() -> None:
    """Leave out what Lightning says at every start."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", f".*{message}")


COPIES = 2  # of each test digit, at most, are classified during training


def _error_curve(run: config.RunConfig, tests: Mapping[str, TestSet]) -> list[Callback]:
    """Build the callback that counts test errors during training, if the run asks for it."""
    below = run.schedule.evaluate_below
    if below is None or not tests:
        return []
    asked = {
        name: FirstExamples(test.split, min(len(test.split), COPIES * test.num_distinct))
        for name, test in tests.items()
    }
    return [ErrorCurve(asked, below)]


def build_callbacks(
    run: config.RunConfig,
    folder: Path,
    log_every: int,
    interruption: Interruption,
    tests: Mapping[str, TestSet],
) -> list[Callback]:
    """Build what measures, checks and may stop the training; the progress bar comes last.

    Lightning calls the one that writes checkpoints after all others.
    """
    path, seconds = last_checkpoint(folder), run.trainer.checkpoint_every
    made: list[Callback] = [
        TimedCheckpoint(path, seconds, log_every, interruption),
        FiniteLoss(log_every, path),
        Timer(),
        *_error_curve(run, tests),  # before Throughput, whose clock it would stretch
        Throughput(log_every),
    ]
    if run.schedule.stop_at is not None:
        made.append(StopAt(run.schedule.stop_at))
    if isinstance(run.model, config.CapsNet):
        made.append(RoutingChange(log_every))
    if run.trainer.progress:
        made.append(ProgressBar(refresh_rate=log_every))
    return made


def check_devices(run: config.RunConfig) -> None:
    """Raise UserError when the machine has not the devices that the run asks for."""
    silence_lightning()
    try:
        pl.Trainer(**_devices(run), logger=False, enable_checkpointing=False)
    except (MisconfigurationException, ValueError) as error:
        asked = f"trainer.accelerator = {run.trainer.accelerator}, .devices = {run.trainer.devices}"
        raise UserError(f"{asked} is not possible here: {error}") from error


def _devices(run: config.RunConfig) -> dict[str, Any]:
    return {key: getattr(run.trainer, key) for key in ("accelerator", "devices", "num_nodes")}


def build_trainer(
    run: config.RunConfig,
    folder: Path,
    loggers: list[Logger],
    interruption: Interruption | None = None,
    tests: Mapping[str, TestSet] | None = None,
) -> pl.Trainer:
    """Make the trainer: one long epoch of `steps` steps, a checkpoint every now and then.

    With `tests`, their errors are counted along the training where the schedule says so.
    """
    silence_lightning()
    log_every = min(run.trainer.log_every, run.schedule.steps)
    return pl.Trainer(
        default_root_dir=folder,  # where Lightning looks for what SLURM interrupted
        **_devices(run),
        precision="bf16-mixed" if run.precision == "bf16-mixed" else "32-true",
        max_steps=run.schedule.steps,
        max_epochs=-1,
        val_check_interval=min(run.schedule.validate_every, run.schedule.steps),
        limit_val_batches=1.0 if run.data.holdout else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=log_every,
        logger=loggers,
        callbacks=build_callbacks(
            run, folder, log_every, interruption or Interruption(), tests or {}
        ),
        plugins=[AtomicCheckpoints()],
        enable_progress_bar=run.trainer.progress,
        enable_model_summary=False,
        enable_checkpointing=True,
        benchmark=run.trainer.benchmark,
        use_distributed_sampler=False,
    )
