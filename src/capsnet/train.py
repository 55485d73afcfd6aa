"""`python -m capsnet.train experiment=NAME [key=value ...]`: train, evaluate, record.

The same command again resumes where a killed run was, to the same weights; `-m` sweeps.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig

from capsnet import config
from capsnet.errors import Mistake, told_plainly
from capsnet.kernels.allocator import keep_memory

if TYPE_CHECKING:
    from capsnet.build import DataSet
    from capsnet.results import Record

CONF = Path(__file__).parents[2] / "conf"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(cfg: DictConfig) -> None:
    """Check the configuration, then import torch and train."""
    keep_memory()
    job = HydraConfig.get()
    sweep = job.mode == RunMode.MULTIRUN
    with told_at_the_end() if sweep else told_plainly():
        run = config.validated(cfg)
        if sweep:
            fit_for_a_sweep(run)
        train(run, Path(job.runtime.output_dir), by_hand(job.overrides.task))


@contextmanager
def told_at_the_end() -> Iterator[None]:
    """Around a job of a sweep: Hydra does the other jobs, then names this one and exits with 1."""
    try:
        yield
    except (Mistake, OSError) as error:
        raise CompactHydraException(f"error: {error}") from None


def fit_for_a_sweep(run: config.Run) -> None:
    """Raises Mistake for what several jobs cannot share, or would start the sweep anew."""
    if run.trainer.devices > 1:
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
    return tuple(
        sorted(one for one in plain if one.startswith(deciding) and not one.startswith("data.root"))
    )


def train(run: config.Run, folder: Path, changed: tuple[str, ...] = ()) -> "Record | None":
    """Train in `folder`, resuming what was begun there, evaluate, and write the record.

    `changed` are the values that the record tells were set by hand. None on every process of a
    distributed run but the first. Raises Mistake when the data are not prepared, the run is not
    what was composed, or the folder is in use.
    """
    from capsnet import build, identity, saving, tracking

    if run.composition not in (None, identity.composition(run)):
        raise Mistake(
            f"the values or the code of {run.name} are not those it was composed with: "
            "`dvc repro` composes again; to try values out, use experiment=NAME KEY=VALUE"
        )
    data = build.dataset(run)
    who = identity.run_identity(run, data.digest)
    if not tracking.first_process():
        return fit(run, folder, data, who, changed)
    with tracking.closed_at_the_end(), saving.alone_in(folder):
        saving.clear_unless_same(folder, who)
        return fit(run, folder, data, who, changed)


def fit(
    run: config.Run,
    folder: Path,
    data: "DataSet",
    identity: dict[str, str],
    changed: tuple[str, ...],
) -> "Record | None":
    """Train from the checkpoint in `folder`, if there is one, to the end, and judge the network."""
    from capsnet import build, results, tracking
    from capsnet.judge import judge
    from capsnet.saving import last_checkpoint

    commit, clean = results.commit()  # now: at the end of a long run, the files may be others
    about = {"identity": identity, "commit": commit, "clean": clean, "changed": changed}
    sources = {name: test.source for name, test in data.tests.items()}
    shown = asdict(run) | about | {"sources": sources}
    trainer = build.trainer(run, folder, tracking.loggers(run, folder, shown))
    device = results.device_name(trainer.strategy.root_device)
    if trainer.is_global_zero:
        print(f"{run.name}, seed {run.seed}: {run.schedule.steps:,} steps on {device}")
    checkpoint = last_checkpoint(folder)
    if checkpoint.is_file():
        print(f"{folder}: resuming from {checkpoint.name}")
    trainer.fit(
        build.module(run, data.image),
        build.datamodule(run, data),
        ckpt_path=checkpoint if checkpoint.is_file() else None,
    )
    trainer.save_checkpoint(checkpoint)
    if not trainer.is_global_zero:
        return None
    record = judge(run, folder, data, trainer, about)
    for test in record.tests.values():
        print(f"{run.name}, seed {run.seed}: {test.errors} errors in {test.total} {test.source}")
    return record


if __name__ == "__main__":
    config.register()
    main()
