"""The time that Lightning's loop, data and logging add to a training step."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.profilers import Profiler, SimpleProfiler

from capsnet.benchmark.experiments import Experiment
from capsnet.data.dataset import DataSet, TestSet
from capsnet.data.loading import dataset_info
from capsnet.kernels.precision import fp32_arithmetic
from capsnet.training.factory import build_datamodule
from capsnet.training.trainer import build_trainer

WARMUP = 10  # steps that are not counted
ACTIONS = {  # Lightning's names for what a loop does with a step
    "step": "run_training_batch",  # forward, backward and Adam
    "data": "[_TrainingEpochLoop].train_dataloader_next",
}


@dataclass(frozen=True)
class Shares:
    """Seconds of a run from its first counted step to its last, and seconds of parts."""

    steps: int
    seconds: float
    step: float
    data: float


class Clock(Callback):
    """Notes when every step ended; of the first that counts and of the last, also on a GPU.

    A checkpoint is written after that, and not counted.
    """

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Come after the other callbacks: what they do is counted to the step."""
        if torch.cuda.is_initialized() and trainer.global_step in (WARMUP, trainer.max_steps):
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def shares(experiment: Experiment, steps: int) -> Shares:
    """Train the experiment's network for `steps` steps and as many before as WARMUP says."""
    clock, profiler = Clock(), SimpleProfiler()
    fit(experiment, WARMUP + steps, clock, profiler)
    parts = {
        part: sum(profiler.recorded_durations[action][-steps:]) for part, action in ACTIONS.items()
    }
    return Shares(steps, clock.ends[-1] - clock.ends[-1 - steps], **parts)


def fit(
    experiment: Experiment, steps: int, watch: Callback, profiler: Profiler | None = None
) -> None:
    """Train the experiment's network on its noise, with CSV files and all callbacks.

    `watch` comes after the others, and before the checkpoint of the last step. Nothing is
    validated: the noise has no split for that.
    """
    run = replace(
        experiment.run,
        data=replace(experiment.run.data, holdout=0.0),
        schedule=replace(experiment.run.schedule, steps=steps, stop_at=None, evaluate_below=None),
    )
    tests = {"test": TestSet(experiment.data, "noise", len(experiment.data))}
    data = DataSet(experiment.data, None, tests, "", dataset_info(run.data))
    with fp32_arithmetic(run.precision), TemporaryDirectory() as folder:
        trainer: Any = build_trainer(run, Path(folder), [CSVLogger(folder)])
        trainer.profiler = profiler or trainer.profiler
        trainer.callbacks.insert(-1, watch)
        trainer.fit(experiment.module, build_datamodule(run, data))
    experiment.module.to(experiment.device)  # Lightning leaves it on the CPU
