"""Crash-safe checkpoints, and the check that a folder belongs to this run."""

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from pickle import UnpicklingError
from time import monotonic, sleep
from typing import Any

import torch
from filelock import FileLock, Timeout
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import nn

from capsnet.errors import UserError
from capsnet.records.files import write_atomically, write_json
from capsnet.records.run_folder import CONFIG, WEIGHTS
from capsnet.training.fingerprint import changes


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints, each replacing the last in one move."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to `path` atomically: a crash leaves the new one or the previous."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_atomically(Path(path), buffer.getvalue())


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Raise UserError if another process trains in `folder`; a dead one's lock does not count."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise UserError(
            f"another process is training in {folder}: wait for it or stop it"
        ) from None


def last_checkpoint(folder: Path) -> Path:
    """Return the path of a run's one checkpoint."""
    return folder / "checkpoints" / "last.ckpt"


IDENTITY = "identity.json"
CLAIMED_WITHIN = 300.0  # seconds that other processes of a run wait for the first


MADE = (  # by a run, in its folder
    *("checkpoints", "logs", "wandb", "wandb_id", WEIGHTS, CONFIG),
    *("record.json", "record.npz", "record.metrics.yaml", "record.curves.csv"),
    IDENTITY,  # moves last, as a kill may come in between
)


def claim(folder: Path, identity: dict[str, str], record: Path) -> None:
    """Reserve `folder` for the run with this `folder_identity`, new or resumed.

    What another run left there, a copy of its `record` too, moves to `superseded-1` (2, …) inside.
    Raises UserError when what is there is no run's.
    """
    known = _identity_in(folder)
    if known and (changed := changes(known, identity)):
        kept = _set_aside(folder, record)
        print(f"{folder}: {' and '.join(changed)} changed since the last run, kept in {kept}")
    elif not known and (others := [name for name in MADE if (folder / name).exists()]):
        raise UserError(
            f"{folder} holds {', '.join(others)} of something that is no run of capsnet.train: "
            "name another folder (hydra.run.dir=…), or empty it"
        )
    elif known and (steps := known.get("steps", identity["steps"])) != identity["steps"]:
        print(f"{folder}: prolonged from {steps} to {identity['steps']} steps")
    if known != identity:
        write_json(identity, folder / IDENTITY)  # last, as other processes wait for it


def await_claim(folder: Path, identity: dict[str, str], seconds: float = CLAIMED_WITHIN) -> None:
    """Wait until the first process of a distributed run has claimed `folder` for it.

    Before that, a checkpoint in it may be another run's. Raises UserError when it takes longer.
    """
    end = monotonic() + seconds
    while _identity_in(folder) != identity:
        if monotonic() > end:
            raise UserError(
                f"the first process did not begin this run in {folder} within {seconds:.0f} "
                "seconds: see its error, and whether all nodes share the folder, code and data"
            )
        sleep(0.1)


def _identity_in(folder: Path) -> dict[str, str]:
    try:
        return read_identity(folder / IDENTITY)
    except FileNotFoundError:
        return {}


def read_identity(path: Path) -> dict[str, str]:
    """Read the identity of the run in a folder. Raises UserError when the file is damaged."""
    try:
        return {str(key): str(value) for key, value in json.loads(path.read_text()).items()}
    except (ValueError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged ({error}): name another folder (hydra.run.dir=…), or remove the "
            "file and the checkpoints beside it to start afresh"
        ) from None


def _set_aside(folder: Path, record: Path) -> Path:
    """Move all that a run has made in its folder, and copy its record, to a folder inside."""
    numbered = (folder / f"superseded-{number}" for number in count(1))
    target = next(path for path in numbered if not (path / IDENTITY).exists())
    target.mkdir(exist_ok=True)
    if record.parent != folder:
        for file in record.parent.glob(f"{record.stem}.*"):
            shutil.copy2(file, target / file.name)
    # Lightning resumes from an hpc_ckpt, which SLURM made it write in earlier versions, before all.
    for path in (*folder.glob("hpc_ckpt_*.ckpt"), *(folder / name for name in MADE)):
        if path.exists():
            path.replace(target / path.name)
    return target


def read_checkpoint(path: Path, module: nn.Module) -> int:
    """Check the checkpoint that a run resumes from, and give its step; none of its code is run.

    Raises UserError when it is damaged, or another network's.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        shapes = {name: part.shape for name, part in checkpoint["state_dict"].items()}
        step = int(checkpoint["global_step"])
    except (RuntimeError, UnpicklingError, EOFError, OSError, LookupError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is damaged or no checkpoint ({reason}): {AFRESH}") from None
    if shapes != {name: part.shape for name, part in module.state_dict().items()}:
        raise UserError(f"{path} is of another network: {AFRESH}")
    return step


AFRESH = "move it away to start afresh"
