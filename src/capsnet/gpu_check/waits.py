"""The number of waits for the GPU in a training step, counted in Lightning's loop.

Where a step waits, the GPU is idle until the next one is launched. PyTorch warns of every such
operation on request; at logged steps a few are needed, between them none.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from capsnet.benchmark.experiments import Experiment
from capsnet.benchmark.loop import fit

WARNING = "called a synchronizing CUDA operation"
EVERY = 10  # steps from one that is logged to the next


class Waits(NamedTuple):
    """The most in any step that is not logged, and in any that is; and where the former wait."""

    between: int
    logged: int
    places: list[str]


class Starts(Callback):
    """Notes how many of the warnings there were when each step began."""

    def __init__(self, seen: list[warnings.WarningMessage]) -> None:
        self.seen, self.counts = seen, list[int]()

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Count: what comes between two steps, such as logging, belongs to the first."""
        self.counts.append(len(of_waiting(self.seen)))


def waits(experiment: Experiment) -> Waits:
    """Train for three logged steps, and count from the first of them on.

    `experiment` logs every EVERY steps. The very last step is left out, as it writes a checkpoint.
    """
    with noticed(experiment.device.type) as seen:
        starts = Starts(seen)
        fit(experiment, 3 * EVERY + 1, starts)
    steps = dict(enumerate(pairwise(starts.counts), 1))
    logged = [steps[2 * EVERY], steps[3 * EVERY]]
    between = [steps[step] for step in steps if step > EVERY and step % EVERY]
    places = [place(one) for span in between for one in of_waiting(seen)[slice(*span)]]
    return Waits(most(between), most(logged), sorted(set(places)))


@contextmanager
def noticed(device: str) -> Iterator[list[warnings.WarningMessage]]:
    """Collect PyTorch's warnings of operations that wait for the GPU."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield seen
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")


def of_waiting(seen: list[warnings.WarningMessage]) -> list[warnings.WarningMessage]:
    """Return those of the warnings that are of waiting."""
    return [one for one in seen if WARNING in str(one.message)]


def most(spans: list[tuple[int, int]]) -> int:
    """Return the largest number of warnings in any step."""
    return max(after - before for before, after in spans)


def place(one: warnings.WarningMessage) -> str:
    """Name the line that waits."""
    return f"{one.filename}:{one.lineno}"
