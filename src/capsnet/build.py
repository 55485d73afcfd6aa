"""Configuration in, objects out: the one place where the rooms meet."""

import logging
import warnings
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    Callback,
    ModelCheckpoint,
    RichModelSummary,
    Timer,
    TQDMProgressBar,
)
from pytorch_lightning.loggers import Logger
from torch import nn

from capsnet import config, networks
from capsnet.data.datamodule import DigitsDataModule
from capsnet.data.examples import Split
from capsnet.data.prepared import Digits
from capsnet.data.shifted import ShiftedDigits
from capsnet.errors import Mistake
from capsnet.functional import Balance
from capsnet.modules import BaselineModule, CapsNetModule, DigitsModule, Optimisation
from capsnet.saving import WholeCheckpoints, last_checkpoint


class Splits(NamedTuple):
    """Validation is None for the reported runs, which train on every training image."""

    train: Split
    validation: Split | None
    test: Split


def splits(run: config.Run, digits: Digits) -> Splits:
    """Named splits; the first `holdout` training images validate, as in the released code [C]."""
    if run.data.holdout >= len(digits.train_labels):
        raise Mistake(
            f"data.holdout = {run.data.holdout} leaves nothing of the {len(digits.train_labels)} "
            f"training images of {digits.source}"
        )

    def split(images: Any, labels: Any) -> ShiftedDigits:
        return ShiftedDigits(
            torch.from_numpy(images), torch.from_numpy(labels), run.data.shift, run.seed
        )

    held = run.data.holdout
    train = split(digits.train_images[held:], digits.train_labels[held:])
    validation = split(digits.train_images[:held], digits.train_labels[:held]) if held else None
    return Splits(train, validation, split(digits.test_images, digits.test_labels))


def network(run: config.Run) -> nn.Module:
    """The network of the run, its weights drawn from the run's seed."""
    torch.manual_seed(run.seed)
    match run.model:
        case config.CapsNet():
            return capsnet(run.model, run.recipe)
        case config.MnistBaseline():
            return mnist_baseline(run.model)
        case _:
            raise AssertionError(run.model)


def capsnet(model: config.CapsNet, recipe: config.Recipe) -> networks.CapsNet:
    """A CapsNet under a recipe."""
    return networks.CapsNet(
        iterations=model.routing_iterations,
        decoder=model.decoder,
        routing_bias=recipe.routing_bias,
        primary_coupling=recipe.primary_coupling,
        initialisation=cast(networks.Initialisation, recipe.initialisation),
        channels=scaled(256, model.width),
        types=scaled(32, model.width),
        decoder_hidden=(scaled(512, model.width), scaled(1024, model.width)),
    )


def mnist_baseline(model: config.MnistBaseline) -> networks.MnistBaseline:
    """The MNIST baseline."""
    first, second, third = (scaled(channels, model.width) for channels in (256, 256, 128))
    return networks.MnistBaseline(
        channels=(first, second, third),
        hidden=(scaled(328, model.width), scaled(192, model.width)),
        dropout=model.dropout,
    )


def scaled(channels: int, width: float) -> int:
    """`channels` × `width`, at least 1."""
    return max(1, round(channels * width))


def module(run: config.Run) -> DigitsModule[Any]:
    """The network together with its loss and optimiser."""
    schedule = run.schedule
    optimisation = Optimisation(
        schedule.learning_rate, schedule.decay_rate, schedule.decay_steps, schedule.floor
    )
    match network(run):
        case networks.CapsNet() as built:
            balance = cast(Balance, run.recipe.balance)
            return CapsNetModule(built, balance, optimisation, run.seed)
        case built:
            return BaselineModule(built, optimisation, run.seed)


def datamodule(run: config.Run, parts: Splits) -> DigitsDataModule:
    """What the trainer trains and validates on."""
    return DigitsDataModule(
        parts.train, parts.validation, run.schedule.batch, run.schedule.steps, run.seed
    )


NOT_NEWS = (  # what Lightning warns of and this project has seen to
    "does not have many workers",  # the loader hands out indices, nothing worth a worker
    "Your `IterableDataset` has `__len__` defined",  # likewise
    "Checkpoint directory .* exists and is not empty",  # it is this very run's
    "You're resuming from a checkpoint that ended before the epoch ended",  # data follow the step
    ".*LeafSpec",  # inside Lightning
)


def trainer(run: config.Run, folder: Path, loggers: list[Logger]) -> pl.Trainer:
    """One long epoch of `steps` steps, a checkpoint every now and then."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in NOT_NEWS:
        warnings.filterwarnings("ignore", f".*{message}")
    callbacks: list[Callback] = [
        ModelCheckpoint(
            last_checkpoint(folder).parent,
            filename=last_checkpoint(folder).stem,
            every_n_train_steps=run.trainer.checkpoint_every,
            enable_version_counter=False,
        ),
        Timer(),
    ]
    if run.trainer.progress:
        callbacks += [RichModelSummary(max_depth=1), TQDMProgressBar(refresh_rate=10)]
    return pl.Trainer(
        accelerator=run.trainer.accelerator,
        devices=run.trainer.devices,
        max_steps=run.schedule.steps,
        max_epochs=-1,
        val_check_interval=min(run.trainer.validate_every, run.schedule.steps),
        limit_val_batches=1.0 if run.data.holdout else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=run.trainer.log_every,
        logger=loggers,
        callbacks=callbacks,
        plugins=[WholeCheckpoints()],
        enable_progress_bar=run.trainer.progress,
        enable_model_summary=run.trainer.progress,
        use_distributed_sampler=False,
    )
