"""The files of trained weights: where they are, and whose they are. Never imports torch."""

from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from capsnet import config
from capsnet.errors import UserError

WEIGHTS, CONFIG = "weights.safetensors", "config.yaml"
KEPT = Path("results/weights")  # the weights that this repository has, by their names


def run_folder(checkpoint: Path) -> Path:
    """Return the folder of a run: named by itself, by its weights file or by a name in KEPT.

    Raises UserError when there is no such folder, or weights or configuration are missing from it.
    """
    expected = f"CHECKPOINT is the folder of a finished run, its {WEIGHTS}, or a name in {KEPT}/"
    if not checkpoint.exists() and str(checkpoint) in kept_names():
        return KEPT / checkpoint
    if not checkpoint.exists():
        here = "".join(f", as {name}" for name in kept_names())
        raise UserError(f"{checkpoint} does not exist: {expected}{here}")
    if not checkpoint.is_dir() and checkpoint.name != WEIGHTS:
        raise UserError(f"{checkpoint} is not the weights of a run: {expected}")
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    for file in (folder / WEIGHTS, folder / CONFIG):
        if not file.is_file():
            raise UserError(f"{file} does not exist: {expected}")
    return folder


def kept_names() -> list[str]:
    """List the names in KEPT, where the current folder has it."""
    return sorted(path.parent.name for path in KEPT.glob(f"*/{WEIGHTS}"))


def trained_run(checkpoint: Path) -> config.RunConfig:
    """Read the configuration that the weights of `checkpoint` were trained with.

    Raises UserError as `run_folder` does, and when the configuration is not that of a run.
    """
    folder = run_folder(checkpoint)
    try:
        return config.validated(cast(DictConfig, OmegaConf.load(folder / CONFIG)))
    except (UserError, YAMLError, KeyError, TypeError, ValueError, OSError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"{folder} holds no weights of a run: {CONFIG} is not a run's ({why})"
        ) from error
