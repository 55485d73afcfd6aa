"""Modules and data modules, built from a configuration."""

import torch

from capsnet import config, networks
from capsnet.data.datamodule import ImageDataModule
from capsnet.data.dataset import DataSet
from capsnet.data.info import DatasetInfo
from capsnet.errors import UserError
from capsnet.kernels.compiled import compiled
from capsnet.kernels.requirements import check_compiler
from capsnet.training.build_network import build_network, on_cuda
from capsnet.training.module import AnyModule, BaselineModule, CapsNetModule, Optimisation


def build_module(run: config.RunConfig, info: DatasetInfo) -> AnyModule:
    """Build the network together with its loss and optimiser.

    Raises UserError when kernels or compilation need what the machine lacks.
    """
    module = _build_module(run, build_network(run, info))
    if run.trainer.compile:
        if on_cuda(run.trainer):
            check_compiler()
        module.losses, module.scores = compiled(module.losses), compiled(module.scores)
    return module


def _build_module(
    run: config.RunConfig, network: networks.CapsNet | networks.Baseline
) -> AnyModule:
    optimisation = adam_settings(run.schedule)
    if isinstance(network, networks.CapsNet):
        return CapsNetModule(network, run.recipe.balance, optimisation, run.seed)
    loss = run.model.loss if isinstance(run.model, config.MnistBaseline) else "cross_entropy"
    return BaselineModule(network, optimisation, run.seed, loss, run.recipe.balance)


def adam_settings(schedule: config.Schedule) -> Optimisation:
    """Return Adam's settings: the learning rate falls by decay_rate, or to decay_to at the end."""
    rate, every = schedule.decay_rate, schedule.decay_steps * schedule.decay_stretch
    if schedule.decay_to is not None:
        rate, every = schedule.decay_to, schedule.steps
    return Optimisation(schedule.learning_rate, rate, every, schedule.floor)


def check_training(run: config.RunConfig, data: DataSet) -> None:
    """Raise UserError for what this machine or these data cannot do, before anything is touched."""
    if run.precision == "tf32" and not on_cuda(run.trainer):
        raise UserError("precision = tf32 needs a CUDA GPU, and this run is to train on none")
    batch, examples = run.schedule.batch, len(data.train)
    if batch > examples:
        raise UserError(
            f"schedule.batch = {batch} is not possible: it must be at most {examples:,}, which is "
            "how many training examples there are"
        )
    if run.data.holdout and not data.validation:
        raise UserError(
            f"data.holdout = {run.data.holdout} of {examples:,} training examples is none to "
            "validate on: make it larger, or 0"
        )


def build_datamodule(run: config.RunConfig, data: DataSet) -> ImageDataModule:
    """Build the data module of a run."""
    return ImageDataModule(
        data.train, data.validation, run.schedule.batch, run.schedule.steps, run.seed
    )


def autocast(run: config.RunConfig, device: torch.device) -> torch.autocast:
    """Return the arithmetic of evaluation: autocast to bf16 if it was trained so, else fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=run.precision == "bf16-mixed")
