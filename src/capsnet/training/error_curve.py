"""Test errors during training: counted and stored, never used by training."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback

from capsnet.data.datamodule import EvaluationBatches
from capsnet.data.examples import Split, evaluation_batch
from capsnet.metrics import correct
from capsnet.training.module import ClassifierModule

Point = tuple[int, int, int]  # step, errors, examples


class FirstExamples(NamedTuple):
    """The first `examples` examples of a test set."""

    split: Split
    examples: int


class ErrorCurve(Callback):
    """Counts test errors at every validation whose error is at most `below`, a share of 1.

    `points` has, for 'validation' and for each of `tests` by name, one Point a validation. It is
    kept in checkpoints and in the arrays beside the record. Nothing is logged, so that no test
    error can reach what decides: StopAt reads the validation error alone. Training stays
    bit-identical: no random number is drawn and no gradient made (`on_validation_start` has dropped
    those of the step before). Of several processes each counts its share of the examples, and every
    one has the sums.
    """

    def __init__(self, tests: Mapping[str, FirstExamples], below: float) -> None:
        self.tests, self.below = dict(tests), below
        self.points: dict[str, list[Point]] = {name: [] for name in ("validation", *tests)}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count, unless the validation error is still above `below`."""
        datamodule: Any = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue]
        step, total = trainer.global_step, len(datamodule.validation)
        held_out = round(trainer.callback_metrics["validation/error"].item() * total)
        if held_out > self.below * total:
            return
        self.points["validation"].append((step, held_out, total))
        for name, (split, examples) in self.tests.items():
            wrong = count_errors(trainer, pl_module, split, examples)
            self.points[name].append((step, wrong, examples))

    def state_dict(self) -> dict[str, Any]:
        """Return all points so far."""
        return {"points": {name: list(points) for name, points in self.points.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the points that `state_dict` gave."""
        self.points = {name: list(points) for name, points in state_dict["points"].items()}

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """Return `along.<name>` int64 [points, 3]: step, errors and examples."""
        return {
            f"along.{name}": np.array(points, np.int64).reshape(-1, 3)
            for name, points in self.points.items()
        }


@torch.inference_mode()
def count_errors(trainer: pl.Trainer, module: Any, split: Split, count: int) -> int:
    """Count the wrong answers to the first `count` examples, over all processes together.

    The module is left in the mode, training or evaluation, in which it was found.
    """
    found: ClassifierModule[Any] = module
    training, split = found.training, split.to(found.device)
    found.eval()
    wrong = torch.zeros((), dtype=torch.int64, device=found.device)
    share = trainer.global_rank, trainer.world_size
    with trainer.precision_plugin.forward_context():
        for _, indices in EvaluationBatches(count, evaluation_batch(found.device), *share):
            examples = split.examples(indices.to(found.device), step=None)
            scores = found.scores(examples.images).float()
            wrong += (~correct(scores, examples.labels)).sum()
    found.train(training)
    return int(trainer.strategy.reduce(wrong, reduce_op="sum"))
