"""What Lightning's loop, data and logging add to a training step, in a run as users start it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.profilers import SimpleProfiler

from capsnet import build
from capsnet.benchmark.rows import noise, paper_run
from capsnet.build import DataSet, TestSet
from capsnet.kernels.allocator import keep_memory

EXPERIMENT = "mnist_capsnet_r3_recon"
WARMUP = 10  # steps that are not counted
ACTIONS = {  # Lightning's names for what a loop does with a step
    "step": "run_training_batch",  # forward, backward and Adam
    "data": "[_TrainingEpochLoop].train_dataloader_next",
}


@dataclass(frozen=True)
class Shares:
    """Of a run's time from its first counted step to its last: seconds, and seconds of parts."""

    steps: int
    seconds: float
    step: float
    data: float


class Clock(Callback):
    """Notes when every step ended; of the first that counts and of the last, also on a GPU."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """The last callback: what the others do is counted to the step."""
        if torch.cuda.is_initialized() and trainer.global_step in (WARMUP, trainer.max_steps):
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def shares(steps: int, device: str = "cpu", overrides: Sequence[str] = ()) -> Shares:
    """Train for `steps` steps on noise, with CSV files, a progress bar and all callbacks."""
    keep_memory()
    length = f"schedule.steps={WARMUP + steps}"
    run = paper_run(EXPERIMENT, length, f"trainer.accelerator={device}", *overrides)
    split, clock, profiler = noise(run), Clock(), SimpleProfiler()
    data = DataSet(split, None, {"test": TestSet(split, "noise", len(split))}, "")
    with TemporaryDirectory() as folder:
        trainer: Any = build.trainer(run, Path(folder), [CSVLogger(folder)])
        trainer.profiler = profiler
        trainer.callbacks.append(clock)
        trainer.fit(build.module(run, data.image), build.datamodule(run, data))
    parts = {
        part: sum(profiler.recorded_durations[action][-steps:]) for part, action in ACTIONS.items()
    }
    return Shares(steps, clock.ends[-1] - clock.ends[-1 - steps], **parts)
