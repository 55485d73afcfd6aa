"""Callbacks of a training: checkpoints, stopping, routing statistics, speed and progress."""

import signal
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, TQDMProgressBar

from capsnet.errors import UserError
from capsnet.networks import routing_changes
from capsnet.training.interruption import Interrupted, Interruption
from capsnet.training.module import CapsNetModule

ROUNDING = 1e-6  # of an error in float32; one digit of 60,000 is more


class StopAt(Callback):
    """Ends training at the first validation whose accuracy reaches `accuracy`.

    [P] section 5.2 stops an 'under-trained' network at a named accuracy of the expanded test set;
    here held-out training digits say when, so that test digits select nothing. `step` is when it
    was reached, None as long as it was not; it is kept in checkpoints.
    """

    def __init__(self, accuracy: float) -> None:
        self.accuracy, self.step = accuracy, None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep a run stopped that has stopped."""
        trainer.should_stop = self.step is not None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop all processes together: the error is the one over all of them."""
        error = trainer.callback_metrics["validation/error"].item()
        if self.step is None and error <= 1 - self.accuracy + ROUNDING:
            self.step, trainer.should_stop = trainer.global_step, True

    def state_dict(self) -> dict[str, Any]:
        """Return when it stopped."""
        return {"step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.step = state_dict["step"]


class TimedCheckpoint(Checkpoint):
    """Writes a checkpoint at the first logged step after every `seconds`, and at the last step.

    Where a step ends with a validation, it is written after that: else a run that is killed while
    it validates would resume behind the validation, and miss what it decides. After a signal it is
    written at the end of the step (of several processes: the next logged step, where they agree),
    and Interrupted is raised. Raises UserError instead of writing weights that are not finite.
    """

    def __init__(self, path: Path, seconds: float, every: int, interruption: Interruption) -> None:
        self.path, self.seconds, self.every = path, seconds, every
        self.interruption = interruption

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and keep signals for the ends of steps."""
        self.written = monotonic()
        self.interruption.defer()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let signals raise again."""
        self.interruption.resume()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Write what is due, unless a validation is about to begin."""
        every = int(trainer.val_check_batch or 1)
        if not trainer.enable_validation or trainer.global_step % every:
            self._after_step(trainer, trainer.global_step % self.every == 0)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write what is due: this comes after all other callbacks."""
        self._after_step(trainer, True)

    def _after_step(self, trainer: pl.Trainer, logged: bool) -> None:
        ends = trainer.should_stop or trainer.global_step >= trainer.max_steps
        if not (logged or ends) and trainer.world_size > 1:
            return
        interrupted = any_process(trainer, self.interruption.received is not None)
        due = logged and any_process(trainer, monotonic() - self.written >= self.seconds)
        if ends or interrupted or due:
            self._write(trainer)
        if interrupted:
            raise self._interrupted(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        parameters = trainer.lightning_module.parameters()
        if not torch.stack([part.isfinite().all() for part in parameters]).all():
            raise UserError(not_finite("the weights are", trainer, self.path))
        trainer.save_checkpoint(self.path)
        self.written = monotonic()

    def _interrupted(self, trainer: pl.Trainer) -> Interrupted:
        """Say what was saved, once. If another process ends with an error, Lightning kills all."""
        interrupted = Interrupted(self.interruption.received or signal.SIGTERM)
        if not trainer.is_global_zero:
            interrupted.code = 0
            return interrupted
        print(
            f"\n{interrupted.signal.name}: stopped after step {trainer.global_step:,} of "
            f"{trainer.max_steps:,}, saved in {self.path}; the same command carries on",
            flush=True,
        )
        return interrupted


class FiniteLoss(Callback):
    """Stops a run whose loss is not a finite number at a logged step, with a UserError."""

    def __init__(self, every: int, checkpoint: Path) -> None:
        self.every, self.checkpoint = every, checkpoint

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Read the loss at logged steps alone, where it is read anyway."""
        if trainer.global_step % self.every:
            return
        if any_process(trainer, not outputs["loss"].isfinite().item()):
            raise UserError(not_finite("the loss is", trainer, self.checkpoint))


def any_process(trainer: pl.Trainer, decision: bool) -> bool:
    """Tell whether the decision of any process is true; all of them have to ask."""
    return trainer.strategy.reduce_boolean_decision(decision, all=False)


def not_finite(what: str, trainer: pl.Trainer, checkpoint: Path) -> str:
    """Say that `what` is not finite, and which checkpoint is the last good one."""
    kept = "no checkpoint was written before that"
    if checkpoint.is_file():
        step = torch.load(checkpoint, weights_only=True, mmap=True)["global_step"]
        kept = f"the last checkpoint, {checkpoint}, is of step {step:,}"
    return (
        f"{what} not finite at step {trainer.global_step:,}; {kept}. The same command would come "
        "to the same: try a smaller schedule.learning_rate, or precision=32-true"
    )


class ProgressBar(TQDMProgressBar):
    """Shows the loss of the last logged step: reading any other would make a GPU wait for it."""

    SHOWN: ClassVar = {"train/loss": "loss", "validation/error": "validation error"}

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return the numbers beside the bar by name."""
        logged = trainer.logged_metrics
        return {name: float(logged[key]) for key, name in self.SHOWN.items() if key in logged}


class RoutingChange(Callback):
    """Logs how much each routing iteration changes the logits: [P] figure A.1, left."""

    IMAGES = 32  # of each batch that is looked at

    def __init__(self, every: int) -> None:
        self.every = every  # steps

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Log the changes, only at steps that are logged."""
        if trainer.global_step % self.every or not isinstance(pl_module, CapsNetModule):
            return
        with trainer.precision_plugin.forward_context():
            changes = routing_changes(pl_module.network, batch.images[: self.IMAGES])
        names = (f"routing/change_{iteration}" for iteration in range(1, len(changes) + 1))
        pl_module.log_dict(dict(zip(names, changes.tolist(), strict=True)))


class Throughput(Callback):
    """Logs the images per second since the last logged step, without the time of validation.

    It does not wait for the device; at the same steps the loss is read, which does.
    """

    def __init__(self, every: int) -> None:
        self.every = every  # steps

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self.since, self.images = monotonic(), 0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self.paused = monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let the clock go on."""
        self.since += monotonic() - self.paused

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count the images of all processes."""
        self.images += len(batch.images) * trainer.world_size
        if trainer.global_step % self.every == 0:
            now = monotonic()
            pl_module.log("train/images_per_second", self.images / (now - self.since))
            self.since, self.images = now, 0
