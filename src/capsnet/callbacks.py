"""What watches a training: when it may end early, how much routing moves, and how fast it is."""

from time import monotonic
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

from capsnet.illustrate import routing_changes
from capsnet.modules import CapsNetModule

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
        """A run that has stopped stays stopped."""
        trainer.should_stop = self.step is not None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The error is the one over all processes, so all of them stop together."""
        error = trainer.callback_metrics["validation/error"].item()
        if self.step is None and error <= 1 - self.accuracy + ROUNDING:
            self.step, trainer.should_stop = trainer.global_step, True

    def state_dict(self) -> dict[str, Any]:
        """When it stopped."""
        return {"step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `state_dict` left it."""
        self.step = state_dict["step"]


class CheckpointAfterValidation(ModelCheckpoint):
    """Lightning's, but where a step ends with a validation, written after that.

    Else a run that is killed while it validates resumes behind the validation, and misses what it
    would have decided.
    """

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save, unless a validation is about to begin."""
        every = int(trainer.val_check_batch or 1)
        if not trainer.enable_validation or trainer.global_step % every:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save, if it is time to: this comes after all other callbacks."""
        super().on_train_batch_end(trainer, pl_module, None, None, 0)


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
        """Only at steps that are logged."""
        if trainer.global_step % self.every or not isinstance(pl_module, CapsNetModule):
            return
        with torch.no_grad():
            changes = routing_changes(pl_module.network, batch.images[: self.IMAGES])
        names = (f"routing/change_{iteration}" for iteration in range(1, len(changes) + 1))
        pl_module.log_dict(dict(zip(names, changes.tolist(), strict=True)))


class Throughput(Callback):
    """Logs the images a second of the steps since it last did; what validating takes is left out.

    It makes nobody wait for the device; the loss, which is logged at the same steps, does.
    """

    def __init__(self, every: int) -> None:
        self.every = every  # steps

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The clock starts."""
        self.since, self.images = monotonic(), 0

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The clock stops."""
        self.paused = monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The clock goes on."""
        self.since += monotonic() - self.paused

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """All processes' images are counted."""
        self.images += len(batch.images) * trainer.world_size
        if trainer.global_step % self.every == 0:
            now = monotonic()
            pl_module.log("train/images_per_second", self.images / (now - self.since))
            self.since, self.images = now, 0
