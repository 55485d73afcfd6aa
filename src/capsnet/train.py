"""`python -m capsnet.train experiment=NAME [key=value ...]`: train, evaluate, record.

The same command again resumes where a killed run was, to the same weights; `-m` sweeps.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from capsnet import config, guide, results
from capsnet.config_errors import hydra_errors_raised
from capsnet.errors import Mistake, told_plainly
from capsnet.kernels.allocator import keep_memory
from capsnet.sweep_jobs import failed_jobs_named, failure_noted

if TYPE_CHECKING:
    from pytorch_lightning import Trainer

    from capsnet.build import DataSet
    from capsnet.data.datamodule import DigitsDataModule
    from capsnet.interruption import Interruption
    from capsnet.modules import DigitsModule
    from capsnet.results import Record


@hydra.main(version_base="1.3", config_path=str(config.CONF), config_name="config")
def job(cfg: DictConfig) -> None:
    """Check the configuration, then import torch and train."""
    keep_memory()
    hydra_cfg = HydraConfig.get()
    overrides = hydra_cfg.overrides.task
    sweep = hydra_cfg.mode == RunMode.MULTIRUN
    with failure_noted(hydra_cfg.job.num, overrides) if sweep else told_plainly():
        run = config.validated(cfg)
        if sweep:
            fit_for_a_sweep(run)
        train(run, Path(hydra_cfg.runtime.output_dir), by_hand(overrides))


def main() -> None:
    """Compose the run, or all runs of a sweep, from the command line, and train."""
    config.register()
    with told_plainly(), hydra_errors_raised(), failed_jobs_named():
        job()


def fit_for_a_sweep(run: config.Run) -> None:
    """Raises Mistake for what several jobs cannot share, or would start the sweep anew."""
    if run.trainer.processes > 1:
        raise Mistake(
            f"trainer.devices = {run.trainer.devices} does not go with a sweep: every process "
            "would start the whole sweep again; use one device a job"
        )
    if run.record:
        raise Mistake(
            f"record = {run.record} does not go with a sweep: its jobs would overwrite one "
            "another's; without it each leaves a record.json in its folder"
        )


def by_hand(overrides: Sequence[str]) -> tuple[str, ...]:
    """Those of Hydra's overrides that set a number-deciding value beside the files of conf/."""
    plain = (one.lstrip("+") for one in overrides)
    deciding = ("data=", "data.", "model=", "model.", "recipe.", "schedule.")
    last = {one.partition("=")[0]: one for one in plain if one.startswith(deciding)}
    return tuple(sorted(one for key, one in last.items() if key != "data.root"))


def train(run: config.Run, folder: Path, changed: tuple[str, ...] = ()) -> "Record | None":
    """Train in `folder`, resuming what was begun there, evaluate, and write the record.

    `changed` are the values that were set by hand, for the record. None on every process of a
    distributed run but the first. Raises Mistake when the data are not prepared, the run is not
    what was composed, a path cannot be written, or the folder is in use; Interrupted after a
    signal.
    """
    record = results.record_path(folder, run.record)
    results.check_writable("hydra.run.dir", folder / "record.json")
    results.check_writable("record", record)
    from capsnet import build, identity, saving, tracking
    from capsnet.interruption import Interruption
    from capsnet.precision import fp32_arithmetic

    if run.composition not in (None, identity.composition(run)):
        raise Mistake(
            f"the values or the code of {run.name} are not those it was composed with: "
            "`dvc repro` composes again; to try values out, use experiment=NAME KEY=VALUE"
        )
    interruption = Interruption()
    with interruption.handled(), fp32_arithmetic(run.precision):
        data = build.dataset(run)
        build.check_training(run, data)
        parts = build.module(run, data.image), build.datamodule(run, data)
        if not tracking.first_process():
            return fit(run, folder, data, parts, changed, interruption)
        with tracking.closed_at_the_end(), saving.alone_in(folder):
            saving.claim(folder, identity.folder_identity(run, data.digest), record)
            return fit(run, folder, data, parts, changed, interruption)


def fit(
    run: config.Run,
    folder: Path,
    data: "DataSet",
    parts: "tuple[DigitsModule[Any], DigitsDataModule]",
    changed: tuple[str, ...],
    interruption: "Interruption",
) -> "Record | None":
    """Train from the checkpoint in `folder`, if there is one, to the end, and evaluate."""
    from capsnet import build, tracking
    from capsnet.judge import judge

    about = provenance(run, data, changed)
    sources = {name: test.source for name, test in data.tests.items()}
    shown = asdict(run) | about | {"sources": sources}
    loggers = tracking.loggers(run, folder, shown)
    trainer = build.trainer(run, folder, loggers, interruption, data.tests)
    checkpoint = begin(run, changed, folder, parts[0], trainer)
    trainer.fit(*parts, ckpt_path=checkpoint)
    if not trainer.is_global_zero:
        return None
    record = judge(run, folder, data, trainer, about)
    report(record, folder)
    return record


def provenance(run: config.Run, data: "DataSet", changed: tuple[str, ...]) -> dict[str, Any]:
    """Give the record's identity, commit, clean and changed, as they are before training."""
    from capsnet import identity

    commit, clean = results.commit()  # at the end of a long run, the files may be others
    who = identity.run_identity(run, data.digest)
    return {"identity": who, "commit": commit, "clean": clean, "changed": changed}


def begin(
    run: config.Run,
    changed: tuple[str, ...],
    folder: Path,
    module: "DigitsModule[Any]",
    trainer: "Trainer",
) -> Path | None:
    """Say what is about to be trained, and give the checkpoint to resume from, if there is one.

    Raises Mistake when the checkpoint is damaged or another network's.
    """
    from capsnet.networks import parameter_count
    from capsnet.saving import last_checkpoint, read_checkpoint

    checkpoint = last_checkpoint(folder)
    step = read_checkpoint(checkpoint, module) if checkpoint.is_file() else None
    if trainer.is_global_zero:
        device = results.device_name(trainer.strategy.root_device)
        steps = f"{run.schedule.steps:,} steps on {device}"
        parameters = f"{parameter_count(module.network):,} parameters"
        print(f"{named(run.name, changed, run.seed)}: {steps}, {parameters}, in {folder}")
    if step is not None and trainer.is_global_zero:
        over = step >= run.schedule.steps
        begins = "finished, evaluating" if over else "resuming from"
        print(f"{folder}: {begins} {checkpoint.name}, of step {step:,}", flush=True)
    return None if step is None else checkpoint


def named(experiment: str, changed: tuple[str, ...], seed: int) -> str:
    """Name a run by its experiment, what was set by hand, and its seed."""
    return " ".join((experiment, *changed)) + f", seed {seed}"


def report(record: "Record", folder: Path) -> None:
    """Print the errors of a run that is over, where its files are, and what may come next."""
    for test in record.tests.values():
        counted = f"{test.errors:,} errors in {test.total:,} {test.source}"
        who = named(record.experiment, record.changed, record.seed)
        print(f"{who}: {test.error_percent:.2f} %, {counted}")
    drawn = record.model.get("decoder", False)
    look = f"python -m capsnet.explore '{folder}'" if drawn else "python -m capsnet.report table"
    print(f"weights, record and logs are in {folder}; next, for example: {look}")


if __name__ == "__main__":
    guide.answer_help()
    main()
