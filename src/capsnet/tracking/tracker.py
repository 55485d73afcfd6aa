"""The loggers of one run, from its start to its summary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from pytorch_lightning.loggers import WandbLogger

from capsnet.config import RunConfig
from capsnet.records.record import Record
from capsnet.tracking import wandb_summary
from capsnet.tracking.loggers import build_loggers, run_id

if TYPE_CHECKING:
    import wandb


class Tracker:
    """The loggers of a run in `folder`: CSV files always, W&B where it is installed and wanted.

    `config` is what W&B shows as the run's configuration. Every process of a distributed run except
    the first has no loggers.
    """

    def __init__(self, run: RunConfig, folder: Path, config: dict[str, Any]) -> None:
        self.folder = folder
        self.loggers = build_loggers(run, folder, config)

    @property
    def wandb_run(self) -> "wandb.Run | None":
        """Return W&B's run, if there is one."""
        found: list[Any] = [one for one in self.loggers if isinstance(one, WandbLogger)]
        return found[0].experiment if found else None

    @property
    def wandb_id(self) -> str:
        """Return the id of the run's folder, which W&B's run has too, if there is one."""
        return run_id(self.folder)

    def finish(
        self, record: Record, arrays: Mapping[str, NDArray[Any]], manifests: Sequence[Path]
    ) -> None:
        """Log the test errors, and complete W&B's run; a server that fails now loses no run."""
        for logger in self.loggers:
            errors = {f"{name}/error": test.error for name, test in record.tests.items()}
            logger.log_metrics(errors, step=record.steps_done)
            logger.save()
        if self.wandb_run is None:
            return
        try:
            wandb_summary.complete(self.wandb_run, record, arrays, self.folder, manifests)
        except Exception as error:  # what W&B raises has no parent in common but this
            print(f"{self.folder}: W&B's run lacks what comes at the end: {error}")
