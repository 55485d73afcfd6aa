"""`python -m capsnet.train experiment=NAME [key=value ...]`: train, evaluate, record.

The same command again resumes where a killed run was, to the same weights; `-m` sweeps.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from capsnet import config
from capsnet.errors import Mistake, told_plainly
from capsnet.kernels.allocator import keep_memory

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from capsnet.build import DataSet
    from capsnet.results import Record

CONF = Path(__file__).parents[2] / "conf"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(cfg: DictConfig) -> None:
    """Check the configuration, then import torch and train."""
    keep_memory()
    with told_plainly():
        run, job = config.validated(cfg), HydraConfig.get()
        if run.trainer.devices > 1 and job.mode == RunMode.MULTIRUN:
            raise Mistake(
                f"trainer.devices = {run.trainer.devices} does not go with a sweep: every process "
                "would start the whole sweep again; use one device a job"
            )
        train(run, Path(job.runtime.output_dir))


def train(run: config.Run, folder: Path) -> "Record | None":
    """Train in `folder`, resuming what was begun there, evaluate, and write the record.

    None on every process of a distributed run but the first. Raises Mistake when the data are not
    prepared, the run is not what was composed, or the folder is in use.
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
        return fit(run, folder, data, who)
    failed = True
    try:
        with saving.alone_in(folder):
            saving.clear_unless_same(folder, who)
            record = fit(run, folder, data, who)
        failed = False
        return record
    finally:
        tracking.finish(failed)


def fit(
    run: config.Run, folder: Path, data: "DataSet", identity: dict[str, str]
) -> "Record | None":
    """Train from the checkpoint in `folder`, if there is one, to the last step, and evaluate."""
    from capsnet import build, evaluate, results, tracking
    from capsnet.saving import last_checkpoint

    origin = results.commit()  # now: at the end of a long run, the files may be others
    module = build.module(run, data.image)
    about = asdict(run) | {"source": data.source, "identity": identity}
    trainer = build.trainer(run, folder, tracking.loggers(run, folder, about))
    checkpoint = last_checkpoint(folder)
    if checkpoint.is_file():
        print(f"{folder}: resuming from {checkpoint.name}")
    trainer.fit(
        module,
        build.datamodule(run, data),
        ckpt_path=checkpoint if checkpoint.is_file() else None,
    )
    trainer.save_checkpoint(checkpoint)
    if not trainer.is_global_zero:
        return None
    wrong = evaluate.wrong(module, data.test, trainer.strategy.root_device, run.trainer.progress)
    counts = int(wrong.sum()), len(wrong)
    record = summary(run, data.source, identity, origin, trainer, counts)
    tracking.log(trainer, {"test/error": record.error_percent / 100})
    results.write(record, Path(run.record) if run.record else folder / "record.json")
    print(f"{run.name}, seed {run.seed}: {record.errors} errors in {record.total} {record.source}")
    return record


def summary(
    run: config.Run,
    source: str,
    identity: dict[str, str],
    origin: tuple[str | None, bool | None],
    trainer: "pl.Trainer",
    counts: tuple[int, int],
) -> "Record":
    """The record of a run that is over; `origin` is commit and clean, `counts` errors and total."""
    from capsnet import results, tracking
    from capsnet.networks import parameter_count

    seconds = tracking.training_seconds(trainer)
    errors, total = counts
    return results.Record(
        experiment=run.name,
        seed=run.seed,
        recipe=run.recipe.name,
        schedule=run.schedule.name,
        steps_done=trainer.global_step,
        steps_planned=run.schedule.steps,
        batch=run.schedule.batch,
        source=source,
        errors=errors,
        total=total,
        interval_percent=results.wilson(errors, total),
        parameters=parameter_count(trainer.lightning_module),
        width=run.model.width,
        train_seconds=round(seconds, 1),
        images_per_second=round(trainer.global_step * run.schedule.batch / seconds, 1),
        device=results.device_name(trainer.strategy.root_device),
        identity=identity,
        commit=origin[0],
        clean=origin[1],
        versions=results.versions(),
        wandb_id=tracking.wandb_id(trainer),
    )


if __name__ == "__main__":
    config.register()
    main()
