"""A run's network, built from its configuration. Imports no Lightning, for `capsnet.load`."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from capsnet import config, networks, registry
from capsnet.data.info import DatasetInfo
from capsnet.errors import UserError
from capsnet.kernels.networks import (
    WITH_KERNELS,
    FastCapsNet,
    FastConv2d,
    FusedCapsNet,
    channels_last,
    choose_convolutions,
)
from capsnet.kernels.requirements import check_fused, check_sizes


def build_network(run: config.RunConfig, info: DatasetInfo) -> networks.CapsNet | networks.Baseline:
    """Build the run's network for the images of `info`, its weights drawn from the run's seed.

    Raises UserError when the images are too small for it, or when the run asks for kernels that
    need a GPU where there is none.
    """
    torch.manual_seed(run.seed)
    try:
        built = _build_network(run, info)
    except ValueError as error:
        raise UserError(f"model.name = {run.model.name} is not possible: {error}") from error
    choose_convolutions(built, _convolutions(run))
    if run.precision != "32-true":
        channels_last(built)
    return built


def _convolutions(run: config.RunConfig) -> str:
    """Return how to convolve: auto leaves TF32 to cuDNN, which alone has it."""
    auto = run.trainer.convolutions == "auto"
    return "direct" if auto and run.precision == "tf32" else run.trainer.convolutions


def _build_network(
    run: config.RunConfig, info: DatasetInfo
) -> networks.CapsNet | networks.Baseline:
    conv = nn.Conv2d if run.trainer.kernels == "reference" else FastConv2d
    match run.model:
        case config.CapsNet():
            kind = CAPSNETS[choose_kernels(run, info)]
            return build_capsnet(kind, run.model, run.recipe, info)
        case config.MnistBaseline(decoder=True):
            hidden = scaled(512, run.model.width), scaled(1024, run.model.width)
            kind = partial(networks.MnistBaselineWithDecoder, decoder_hidden=hidden)
            return build_dropout_baseline(kind, (328, 192), run.model, info, conv)
        case config.MnistBaseline():
            return build_dropout_baseline(networks.MnistBaseline, (328, 192), run.model, info, conv)
        case config.MultiMnistBaseline(width=width):
            channels = scaled(512, width), scaled(256, width)
            hidden, classes = scaled(1024, width), len(info.class_names)
            return networks.MultiMnistBaseline(info.image, channels, hidden, classes, conv)
        case config.AffnistBaseline():
            return build_dropout_baseline(
                networks.AffnistBaseline, (848, 192), run.model, info, conv
            )


CAPSNETS = {"fast": FastCapsNet, "fused": FusedCapsNet, "reference": networks.CapsNet}


def choose_kernels(run: config.RunConfig, info: DatasetInfo) -> str:
    """Choose the kernels of a run: fast, fused or reference.

    Fused kernels compute dynamic and leaky routing alone, to a few classes, so that auto takes the
    fast ones for others; a baseline has no routing, and no other. Raises UserError when fused is
    asked for and cannot run, and says why.
    """
    trainer = run.trainer
    if trainer.kernels not in ("auto", "fused"):
        return trainer.kernels
    if not isinstance(run.model, config.CapsNet):
        return "fast"
    try:
        if torch.cuda.is_available() and not on_cuda(trainer):
            raise UserError(
                f"trainer.kernels=fused needs a CUDA GPU and trainer.accelerator is "
                f"{trainer.accelerator}: use fast"
            )
        _check_routing(run.model, len(info.class_names))
        check_fused()
    except UserError:
        if trainer.kernels == "fused":
            raise
        return "fast"
    return "fused"


def _check_routing(model: config.CapsNet, classes: int) -> None:
    """Raise UserError where the fused kernels do not compute the routing of a CapsNet."""
    if registry.load("capsnet.routings", model.routing) not in WITH_KERNELS:
        raise UserError(
            "trainer.kernels=fused computes dynamic and leaky routing alone, not "
            f"{model.routing}: use fast"
        )
    check_sizes(classes, model.class_dim, model.primary_dim)


def on_cuda(trainer: config.Trainer) -> bool:
    """Tell whether the run trains on a CUDA GPU."""
    return trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def anywhere(run: config.RunConfig) -> config.RunConfig:
    """`run` as any device computes it, to rounding."""
    return replace(run, trainer=replace(run.trainer, kernels="fast", compile=False))


def build_capsnet(
    kind: type[networks.CapsNet],
    model: config.CapsNet,
    recipe: config.Recipe,
    info: DatasetInfo,
) -> networks.CapsNet:
    """Build a CapsNet under a recipe."""
    return kind(
        info.image,
        iterations=model.routing_iterations,
        decoder=model.decoder,
        routing=registry.load("capsnet.routings", model.routing),
        routing_bias=recipe.routing_bias,
        primary_coupling=recipe.primary_coupling,
        initialisation=recipe.initialisation,
        channels=scaled(model.channels, model.width),
        types=scaled(model.types, model.width),
        primary_dim=model.primary_dim,
        class_dim=model.class_dim,
        padding=model.padding,
        sharing=model.sharing,
        decoder_hidden=(scaled(512, model.width), scaled(1024, model.width)),
        classes=len(info.class_names),
    )


def build_dropout_baseline(
    kind: Callable[..., networks.Baseline],
    hidden: tuple[int, int],
    model: config.DropoutBaseline,
    info: DatasetInfo,
    conv: type[nn.Conv2d],
) -> networks.Baseline:
    """Build the MNIST or the affNIST baseline, which differ in `hidden` and in their pools."""
    return kind(
        info.image,
        channels=tuple(scaled(channels, model.width) for channels in (256, 256, 128)),
        hidden=tuple(scaled(units, model.width) for units in hidden),
        dropout=model.dropout,
        classes=len(info.class_names),
        conv=conv,
    )


def scaled(channels: int, width: float) -> int:
    """Multiply `channels` by `width`, to at least 1."""
    return max(1, round(channels * width))
