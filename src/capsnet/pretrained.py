"""Load the network of a finished run, as a library does."""

from pathlib import Path

import torch
from torch import Tensor, nn

from capsnet import config
from capsnet.errors import UserError
from capsnet.evaluate import anywhere
from capsnet.records.weights import load_weights, read_weights
from capsnet.training.factory import build_network

LARGEST = 128  # pixels on a side


def load(folder: str | Path) -> nn.Module:
    """Return the trained network of a finished run, on the CPU and in evaluation mode.

    `folder` holds weights.safetensors and config.yaml, which every run leaves; loading them
    executes no code and needs no data. A CapsNet takes images [batch, channels, height, width] in
    [0, 1] to class capsules [batch, classes, 16], a baseline to logits [batch, classes]. Raises
    UserError when the folder holds no finished run.
    """
    trained, weights = read_weights(Path(folder))
    run = anywhere(trained)
    with torch.random.fork_rng(devices=[]):  # building seeds the generator, which is the caller's
        image = image_shape(run, weights)
        network = build_network(run, image)
    load_weights(network, weights, image)
    return network.eval()


def image_shape(run: config.Run, weights: dict[str, Tensor]) -> tuple[int, int, int]:
    """Find (channels, height, width) of the square images that a run's network was built for.

    A run does not store it, but only one size makes layers of these shapes. Where several do, they
    make the same network, and the smallest is returned. Raises UserError when none does.
    """
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    for channels in (1, 3):
        for side in range(1, LARGEST + 1):
            if _shapes(run, (channels, side, side)) == shapes:
                return channels, side, side
    raise UserError(f"the weights are not those of a {run.model.name} as {run.name} describes it")


def _shapes(run: config.Run, image: tuple[int, int, int]) -> dict[str, torch.Size] | None:
    """The shapes of the weights for images of that shape; None where these are too small."""
    try:
        with torch.device("meta"):  # without memory or values
            return {name: one.shape for name, one in build_network(run, image).state_dict().items()}
    except UserError:
        return None
