"""Checkpoints that are whole whenever the process dies, and whose run is the one asked for."""

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.plugins.io import TorchCheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn
from yaml import YAMLError

from capsnet.config import Run, validated
from capsnet.errors import Mistake
from capsnet.results import write_atomically, write_json


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, each replacing the last in one move."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path`: after a kill -9 it is there whole, or the one before is."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getvalue())


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Raises Mistake when another process trains in `folder`; a dead one's lock does not count."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise Mistake(f"another process is training in {folder}: wait for it or stop it") from None


def last_checkpoint(folder: Path) -> Path:
    """Where a run's one checkpoint lies."""
    return folder / "checkpoints" / "last.ckpt"


WEIGHTS, CONFIG = "weights.safetensors", "config.yaml"
FOLDERS = ("checkpoints", "logs", "wandb")  # that a run makes in its own, and the files
FILES = (WEIGHTS, CONFIG, "record.json", "record.npz", "wandb_id")


def clear_unless_same(folder: Path, identity: dict[str, str]) -> None:
    """Keep what lies in `folder` only if it belongs to this very run, so that resuming is safe.

    A run is the same when configuration, data and code are: see `identity`. Raises Mistake when
    what lies there is no run's.
    """
    about = folder / "identity.json"
    known = json.loads(about.read_text()) if about.is_file() else {}
    if known == identity:
        return
    if known:
        changed = " and ".join(key for key in identity if known.get(key) != identity[key])
        print(f"{folder}: {changed} changed since the last run, so training starts afresh")
        _clear(folder)
    others = [name for name in (*FOLDERS, *FILES) if (folder / name).exists()]
    if others:
        raise Mistake(
            f"{folder} holds {', '.join(others)} of something that is no run of capsnet.train: "
            "name another folder (hydra.run.dir=…), or empty it"
        )
    write_json(identity, about)


def _clear(folder: Path) -> None:
    """Of all that a run has made in its folder; the identity goes last, as a kill may come."""
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in (*(folder / name for name in FILES), *folder.glob("hpc_ckpt_*.ckpt")):
        file.unlink(missing_ok=True)


def save_weights(network: nn.Module, run: Run, folder: Path) -> None:
    """The trained weights and, beside them, the run that they came from."""
    write_atomically(folder / CONFIG, OmegaConf.to_yaml(asdict(run)).encode())
    tensors = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(tensors))


def run_folder(checkpoint: Path) -> Path:
    """The folder of a run, named by itself or by its weights file."""
    return checkpoint if checkpoint.is_dir() else checkpoint.parent


def read_weights(checkpoint: Path) -> tuple[Run, dict[str, torch.Tensor]]:
    """The run and the weights in a run's folder, or of its weights file; no code is unpickled.

    Raises Mistake when either is not there or not what `save_weights` writes.
    """
    folder = run_folder(checkpoint)
    for file in (folder / WEIGHTS, folder / CONFIG) if checkpoint.exists() else (checkpoint,):
        if not file.is_file():
            raise Mistake(f"{file} does not exist: CHECKPOINT is the folder of a finished run")
    try:
        run = cast(DictConfig, OmegaConf.load(folder / CONFIG))
        return validated(run), load((folder / WEIGHTS).read_bytes())
    except (SafetensorError, YAMLError, KeyError, TypeError) as error:
        raise Mistake(f"{folder} holds no weights of a run: {error}") from error


def load_weights(
    network: nn.Module, weights: dict[str, torch.Tensor], image: tuple[int, int, int]
) -> None:
    """Put `weights` into a network built for images of that shape.

    Raises Mistake when they are of another network, which is what another image size makes.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        shape = "×".join(str(side) for side in image)
        raise Mistake(f"the weights are not those of this network for {shape} images") from error
