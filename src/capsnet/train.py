"""`python -m capsnet.train experiment=NAME [key=value ...]`: train, evaluate, record.

The same command again resumes where a killed run was, to the same weights; `-m` sweeps.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from capsnet import config, usage
from capsnet.config_errors import hydra_errors_raised
from capsnet.data.pictures import on_pictures
from capsnet.errors import UserError, exit_on_user_error
from capsnet.kernels.allocator import keep_memory
from capsnet.records.files import check_writable
from capsnet.records.record import record_path
from capsnet.startup import quick_imports
from capsnet.training.fingerprint import composition
from capsnet.training.sweep_jobs import failed_jobs_named, failure_noted

if TYPE_CHECKING:
    from capsnet.records.record import Record


@hydra.main(version_base="1.3", config_path=str(config.CONF), config_name="config")
def job(cfg: DictConfig) -> None:
    """Check the configuration, then import torch and train."""
    keep_memory()
    hydra_cfg = HydraConfig.get()
    overrides = hydra_cfg.overrides.task
    sweep = hydra_cfg.mode == RunMode.MULTIRUN
    with failure_noted(hydra_cfg.job.num, overrides) if sweep else exit_on_user_error():
        run = config.validated(cfg)
        if sweep:
            check_sweep(run)
        train(run, Path(hydra_cfg.runtime.output_dir), result_overrides(overrides))


def main() -> None:
    """Compose the run, or all runs of a sweep, from the command line, and train."""
    config.register()
    with exit_on_user_error(), hydra_errors_raised(), failed_jobs_named():
        job()


def check_sweep(run: config.RunConfig) -> None:
    """Raise UserError for several processes, or one record path for all jobs, in a sweep."""
    if run.trainer.processes > 1:
        raise UserError(
            f"{run.trainer.processes_key} = {run.trainer.processes} does not go with a sweep: "
            "every process would start the whole sweep again; use one device per job"
        )
    if run.record:
        raise UserError(
            f"record = {run.record} does not go with a sweep: its jobs would overwrite one "
            "another's; without it each leaves a record.json in its folder"
        )


def result_overrides(overrides: Sequence[str]) -> tuple[str, ...]:
    """Keep the overrides that change results; runtime settings and paths are dropped."""
    deciding = ("data=", "data.", "model=", "model.", "recipe.", "schedule.")
    plain = [one.lstrip("+") for one in overrides if one.lstrip("+~").startswith(deciding)]
    last = {one.lstrip("~").partition("=")[0]: one for one in plain}  # ~key takes a value away
    return tuple(sorted(one for key, one in last.items() if key not in ("data.root", "data.path")))


def train(run: config.RunConfig, folder: Path, overrides: tuple[str, ...] = ()) -> "Record | None":
    """Train in `folder`, resuming what was begun there, evaluate, and write the record.

    `overrides` are kept in the record. Returns None on every process of a distributed run except
    the first. Raises UserError when the data are not prepared, the run is not what was composed, a
    path cannot be written, or the folder is in use; Interrupted after a signal.
    """
    check_writable("hydra.run.dir", folder / "record.json")
    check_writable("record", record_path(folder, run.record))
    if run.composition not in (None, composition(run)):
        raise UserError(
            f"the values or the code of {run.name} are not those it was composed with: "
            "`dvc repro` composes again; to try values out, use experiment=NAME KEY=VALUE"
        )
    prepared = on_pictures(run)
    with quick_imports():  # of torch as well, which takes seconds
        from capsnet.training.run import train_and_record

    return train_and_record(prepared, folder, overrides)


if __name__ == "__main__":
    usage.answer_help()
    main()
