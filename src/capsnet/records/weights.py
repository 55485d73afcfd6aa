"""The trained weights of a run: written, read and loaded."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import torch
from omegaconf import OmegaConf
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import nn

from capsnet.config import RunConfig
from capsnet.data.info import DatasetInfo
from capsnet.errors import UserError
from capsnet.records.files import write_atomically
from capsnet.records.run_folder import CONFIG, WEIGHTS, run_folder, trained_run

DATASET = "dataset"  # the key of the metadata that describes the images of the training


def save_weights(network: nn.Module, run: RunConfig, info: DatasetInfo, folder: Path) -> None:
    """Write the trained weights, for images of `info`, and the run that they came from."""
    write_atomically(folder / CONFIG, OmegaConf.to_yaml(asdict(run)).encode())
    tensors = {name: part.cpu().contiguous() for name, part in network.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(tensors, {DATASET: json.dumps(asdict(info))}))


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


def read_info(checkpoint: Path) -> DatasetInfo | None:
    """Read what images the weights are for; None where an earlier version wrote them.

    Raises UserError when it is not as `save_weights` writes it.
    """
    folder = run_folder(checkpoint)
    with safe_open(folder / WEIGHTS, "pt") as file:
        text = (file.metadata() or {}).get(DATASET)
    try:
        return None if text is None else DatasetInfo.read(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        why = f"{WEIGHTS}: {DATASET}: {type(error).__name__}: {error}"
        raise UserError(f"{folder} holds no weights of a run: {why}") from error


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
