"""Loggers: CSV files always, W&B where it is installed and wanted."""

import importlib.util
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_fabric.utilities.rank_zero import rank_zero_only
from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger

from capsnet.config import RunConfig
from capsnet.records.files import write_atomically
from capsnet.tracking.credentials import logged_in

if TYPE_CHECKING:
    import wandb


AXIS = "images_seen"  # what everything is drawn over
MAX_NAME = 128  # characters
INIT_TIMEOUT, FINISH_TIMEOUT = 30, 600  # seconds: for the server's answer, for the last uploads


def is_first_process() -> bool:
    """Tell whether this is the process that speaks for all in a distributed run.

    Lightning's rank does not count nodes where a launcher sets NODE_RANK or GROUP_RANK alone.
    """
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    return getattr(rank_zero_only, "rank", 0) == 0 and node == "0"


def build_loggers(run: RunConfig, folder: Path, about: dict[str, Any]) -> list[Logger]:
    """Build the loggers of a run in `folder`; `about` is what W&B shows as its config."""
    if not is_first_process():
        return []
    csv = CSVLogger(folder, name="logs", flush_logs_every_n_steps=1)
    if not run.logger.wandb:
        return [csv]
    if importlib.util.find_spec("wandb") is None:
        print("W&B is not installed: the run is logged to CSV files alone")
        return [csv]
    page = start_wandb(run, folder, "train", about, run_id(folder))
    page.define_metric("*", step_metric=AXIS)
    return [csv, WandbLogger(experiment=page)]


def start_wandb(
    run: RunConfig, folder: Path, job: str, about: dict[str, Any], page_id: str | None = None
) -> "wandb.Run":
    """Start a W&B run in `folder` about `run`, whose `job` is 'train' or 'evaluate'.

    `about` is its config: `sources` become tags and `overrides` are appended to the name. It never
    prompts or hangs: the run is offline without an API key, and when the server refuses the run or
    does not answer.
    """
    import wandb

    os.environ.setdefault("WANDB_MODE", "online" if logged_in() else "offline")
    os.environ.setdefault("WANDB_SILENT", "true")
    name = " ".join((f"{run.name}-seed{run.seed}", *about.get("overrides", ())))
    begin = partial(
        wandb.init,
        project=run.logger.project,
        group=run.name,
        name=name[:MAX_NAME],
        job_type=job,
        tags=[*about["sources"].values(), run.data.name, run.recipe.name, run.schedule.name],
        id=page_id,
        resume="allow" if page_id else None,
        dir=folder,
        config=about,
        settings=wandb.Settings(
            console="off",
            init_timeout=float(os.environ.get("WANDB_INIT_TIMEOUT", INIT_TIMEOUT)),
            finish_timeout=FINISH_TIMEOUT,
        ),
    )
    try:
        return begin()
    except wandb.Error as error:
        print(f"W&B: {error}\nLogged offline; `wandb sync` uploads it later")
        wandb.teardown()  # else its service holds the run's id
        return begin(mode="offline")


def run_id(folder: Path) -> str:
    """Return the id of the run in `folder`: kept, so that a resumed run continues its W&B run.

    The agent of a W&B sweep has chosen it already.
    """
    path = folder / "wandb_id"
    if not path.is_file():
        chosen = os.environ.get("WANDB_RUN_ID") if "WANDB_SWEEP_ID" in os.environ else None
        write_atomically(path, (chosen or uuid.uuid4().hex[:8]).encode())
    return path.read_text()


@contextmanager
def wandb_finished() -> Iterator[None]:
    """Finish any W&B run started inside; an exception marks it as failed."""
    failed = True
    try:
        yield
        failed = False
    finally:
        _finish(failed)


def _finish(failed: bool) -> None:
    wandb = sys.modules.get("wandb")  # who has logged to it has imported it
    if wandb is not None and wandb.run is not None:
        wandb.finish(exit_code=int(failed))
