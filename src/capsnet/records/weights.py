"""The trained weights of a run: written, read and loaded."""

import re
from dataclasses import asdict
from pathlib import Path

import torch
from omegaconf import OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from capsnet.config import RunConfig
from capsnet.errors import UserError
from capsnet.records.files import write_atomically
from capsnet.records.run_folder import CONFIG, WEIGHTS, run_folder, trained_run


def save_weights(network: nn.Module, run: RunConfig, folder: Path) -> None:
    """Write the trained weights and, beside them, the run that they came from."""
    write_atomically(folder / CONFIG, OmegaConf.to_yaml(asdict(run)).encode())
    tensors = {name: part.cpu().contiguous() for name, part in network.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(tensors))


def read_weights(checkpoint: Path) -> tuple[RunConfig, dict[str, torch.Tensor]]:
    """Read the run and the weights in a run's folder, or of its weights file.

    No code is unpickled. Weights of earlier versions, whose class capsules had another name, are
    read as well. Raises UserError when either file is missing or not as `save_weights`
    writes it.
    """
    folder = run_folder(checkpoint)
    try:
        weights = load((folder / WEIGHTS).read_bytes())
    except SafetensorError as error:
        raise UserError(f"{folder} holds no weights of a run: {WEIGHTS}: {error}") from error
    named = {re.sub("^digits", "class_capsules", name): one for name, one in weights.items()}
    return trained_run(folder), named


def load_weights(
    network: nn.Module, weights: dict[str, torch.Tensor], image: tuple[int, int, int]
) -> None:
    """Put `weights` into a network built for images of that shape.

    Raises UserError when they are of another network, which is what another image size makes.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        shape = "×".join(str(side) for side in image)
        raise UserError(
            f"the weights are not those of this network for {shape} images: "
            "it was trained on images of another size, or is another network"
        ) from error
