"""The modules that Lightning trains and validates."""

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric

from capsnet.data.counter_rng import hash32
from capsnet.data.examples import Examples
from capsnet.functional import Balance, lengths, margin_loss, reconstruction_loss
from capsnet.metrics import correct
from capsnet.networks import Baseline, CapsNet, MnistBaselineWithDecoder, one_hot

BaselineLoss = Literal["cross_entropy", "margin"]


@dataclass(frozen=True)
class Optimisation:
    """Adam, its learning rate falling without jumps: lr · rate^(step / decay_steps) ≥ floor [C]."""

    learning_rate: float = 0.001
    decay_rate: float = 0.96
    decay_steps: float = 2000
    floor: float = 1e-6

    def factor(self, step: int) -> float:
        """Return the factor of `learning_rate` at `step`."""
        decayed = self.decay_rate ** (step / self.decay_steps)
        return max(decayed, self.floor / self.learning_rate)


Network = TypeVar("Network", bound=CapsNet | Baseline)


class ClassifierModule(pl.LightningModule, Generic[Network]):
    """Train and validate any network; subclasses define the loss."""

    def __init__(self, network: Network, optimisation: Optimisation, seed: int) -> None:
        super().__init__()
        self.network, self.optimisation, self.seed = network, optimisation, seed
        self.error = MeanMetric()
        self.draws = any(isinstance(layer, nn.Dropout) for layer in network.modules())

    def losses(self, examples: Examples) -> dict[str, Tensor]:
        """Compute the parts of the loss by name; their sum is minimised."""
        raise NotImplementedError

    def scores(self, images: Tensor) -> Tensor:
        """Return the network's class scores [batch, classes]; the highest are the prediction."""
        return self.network.class_scores(images)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Make dropout a function of (seed, step, process): a resumed run is the same run."""
        if not self.draws:
            return
        part = self.global_step * self.trainer.world_size + self.global_rank
        torch.manual_seed(hash32(self.seed, part))

    def training_step(self, examples: Examples, batch_idx: int) -> Tensor:
        """Compute the loss of this step's examples."""
        parts = self.losses(examples)
        loss = torch.stack(list(parts.values())).sum()
        if self._is_logged():
            self._log(parts, loss, examples)
        return loss

    def _is_logged(self) -> bool:
        """Tell whether this step is logged: reading its values makes a GPU wait."""
        trainer: Any = self.trainer  # Lightning's own types lack this attribute of its trainer
        return (self.global_step + 1) % trainer.log_every_n_steps == 0

    def _log(self, parts: dict[str, Tensor], loss: Tensor, examples: Examples) -> None:
        seen = (self.global_step + 1) * len(examples.images) * self.trainer.world_size
        scheduler = cast(LambdaLR, self.lr_schedulers())
        self.log("train/loss", loss)
        self.log_dict({f"train/{name}": part for name, part in parts.items()})
        self.log_dict({"images_seen": float(seen), "learning_rate": scheduler.get_last_lr()[0]})

    def on_validation_start(self) -> None:
        """Forget the gradients: replaying graphs would overwrite them (`trainer.compile`)."""
        self.zero_grad()

    def validation_step(self, examples: Examples, batch_idx: int) -> None:
        """Count errors on the validation split, which alone may choose anything."""
        self.error(~correct(self.scores(examples.images), examples.labels))
        self.log("validation/error", self.error)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam with TensorFlow's betas 0.9 and 0.999 and its eps, 1e-8 [C].

        TensorFlow adds eps before it corrects the second moment's bias, PyTorch after: at step t
        TensorFlow's eps corresponds to 1e-8 / √(1 − 0.999ᵗ) here, 3e-7 at first, 1e-8 after some
        thousand [D].
        """
        adam = torch.optim.Adam(
            self.network.parameters(), lr=self.optimisation.learning_rate, fused=True
        )
        decay = LambdaLR(adam, self.optimisation.factor)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": decay, "interval": "step"}}


class CapsNetModule(ClassifierModule[CapsNet]):
    """A CapsNet under margin loss, and reconstruction loss where it has a decoder [P]."""

    def __init__(
        self, network: CapsNet, balance: Balance, optimisation: Optimisation, seed: int
    ) -> None:
        super().__init__(network, optimisation, seed)
        self.balance: Balance = balance

    def losses(self, examples: Examples) -> dict[str, Tensor]:
        """Compute the margin loss and, with a decoder, the reconstruction loss of each object.

        Each object is drawn from its true capsule alone [P].
        """
        capsules = self.network(examples.images)
        targets = one_hot(examples.labels, capsules.shape[1])
        losses = {"margin": margin_loss(lengths(capsules), targets, self.balance)}
        if self.network.decoder is not None:
            losses["reconstruction"] = reconstruction_losses(self.network, capsules, examples)
        return losses


class BaselineModule(ClassifierModule[Baseline]):
    """A convolutional baseline under cross-entropy: softmax for one digit, sigmoids for two [P].

    In ablations it has the CapsNets' margin loss, of sigmoids of its logits, or their decoder.
    """

    def __init__(
        self,
        network: Baseline,
        optimisation: Optimisation,
        seed: int,
        loss: BaselineLoss = "cross_entropy",
        balance: Balance = "released",
    ) -> None:
        super().__init__(network, optimisation, seed)
        self.loss: BaselineLoss = loss
        self.balance: Balance = balance

    def losses(self, examples: Examples) -> dict[str, Tensor]:
        """Return the loss of the logits, and the reconstruction loss where there is a decoder."""
        if not isinstance(self.network, MnistBaselineWithDecoder):
            return self.classification(self.network(examples.images), examples.labels)
        features = self.network.features(examples.images)
        drawn = reconstruction_losses(self.network, features, examples)
        return self.classification(features.sum(-1), examples.labels) | {"reconstruction": drawn}

    def classification(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropy, for two labels the mean over classes; or the margin loss."""
        if self.loss == "cross_entropy" and labels.shape[1] == 1:
            return {"cross_entropy": cross_entropy(logits, labels[:, 0])}
        targets = one_hot(labels, logits.shape[1])
        if self.loss == "margin":
            return {"margin": margin_loss(logits.sigmoid(), targets, self.balance)}
        return {"cross_entropy": binary_cross_entropy_with_logits(logits, targets)}


def reconstruction_losses(
    network: CapsNet | MnistBaselineWithDecoder, capsules: Tensor, examples: Examples
) -> Tensor:
    """Sum the reconstruction losses of every object, each drawn from its true class alone [P]."""
    pairs = zip(examples.labels.unbind(1), examples.parts.unbind(1), strict=True)
    drawn = [
        reconstruction_loss(network.reconstruct(capsules, one_hot(label, capsules.shape[1])), part)
        for label, part in pairs
    ]
    return torch.stack(drawn).sum()


AnyModule = CapsNetModule | BaselineModule
