"""Load the network of a finished run, as a library does."""

from pathlib import Path

import torch
from torch import Tensor

from capsnet import config
from capsnet.data.info import DatasetInfo
from capsnet.errors import UserError
from capsnet.networks import Baseline, CapsNet
from capsnet.records.weights import load_weights, read_info, read_weights
from capsnet.training.build_network import anywhere, build_network

MAX_SIDE = 128  # pixels on a side


def load(folder: str | Path) -> CapsNet | Baseline:
    """Return the trained network of a finished run, on the CPU and in evaluation mode.

    `folder` holds weights.safetensors and config.yaml, which every run leaves; loading them
    executes no code and needs no data. A CapsNet takes images [batch, channels, height, width] to
    class capsules [batch, classes, dim], a baseline to logits [batch, classes]. Images are in
    [0, 1], or standardised (`data.standardisation`) where the run's view standardises them. Raises
    UserError when the folder holds no finished run.
    """
    trained, weights = read_weights(Path(folder))
    run = anywhere(trained)
    with torch.random.fork_rng(devices=[]):  # building seeds the generator, which is the caller's
        info = read_info(Path(folder)) or images_of(run, weights)
        network = build_network(run, info)
    load_weights(network, weights, info.image)
    return network.eval()


def images_of(run: config.RunConfig, weights: dict[str, Tensor]) -> DatasetInfo:
    """Find for which square images and how many classes a run's network was built.

    Weights of earlier versions do not say it, but only one side makes layers of these shapes. Where
    several do, they make the same network, and the smallest is returned. Raises UserError when none
    does.
    """
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    wrong = f"the weights are not those of a {run.model.name} as {run.name} describes it"
    try:
        channels, classes = _ends(weights)
    except LookupError:
        raise UserError(wrong) from None
    for side in range(1, MAX_SIDE + 1):
        info = DatasetInfo("", channels, side, side, tuple(map(str, range(classes))))
        if _shapes(run, info) == shapes:
            return info
    raise UserError(wrong)


def _ends(weights: dict[str, Tensor]) -> tuple[int, int]:
    """Read the channels from the first layer, and the number of classes from the last."""
    if "class_capsules.weight" in weights:
        return weights["conv1.weight"].shape[1], weights["class_capsules.weight"].shape[1]
    layers = [name for name in weights if name.endswith("weight") and "decoder" not in name]
    first, *_, last = sorted(layers, key=_place)
    return weights[first].shape[1], weights[last].shape[0] // (16 if "body" in last else 1)


def _place(name: str) -> int:
    """Return the place of a baseline's layer, '12.weight' or 'body.12.weight'."""
    number = name.removeprefix("body.").split(".")[0]
    return int(number) if number.isdigit() else -1


def _shapes(run: config.RunConfig, info: DatasetInfo) -> dict[str, torch.Size] | None:
    """Return the shapes of the weights for such images; None where these are too small."""
    try:
        with torch.device("meta"):  # without memory or values
            return {name: one.shape for name, one in build_network(run, info).state_dict().items()}
    except UserError:
        return None
