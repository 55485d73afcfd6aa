"""One run from its data to its record."""

from dataclasses import asdict
from pathlib import Path

import pytorch_lightning as pl

from capsnet import config
from capsnet.data.dataset import DataSet
from capsnet.data.loading import load_dataset, manifest_paths
from capsnet.evaluation.arrays import record_arrays
from capsnet.evaluation.outcomes import count_outcomes
from capsnet.evaluation.predict import predict_all
from capsnet.kernels.precision import fp32_arithmetic
from capsnet.networks import parameter_count
from capsnet.records import dvc_files
from capsnet.records.provenance import Provenance, device_name, git_commit
from capsnet.records.record import Record, keep_origin, record_path, write_arrays, write_record
from capsnet.records.weights import save_weights
from capsnet.tracking.loggers import is_first_process, wandb_finished
from capsnet.tracking.tracker import Tracker
from capsnet.training.checkpoints import (
    await_claim,
    claim,
    exclusive,
    last_checkpoint,
    read_checkpoint,
)
from capsnet.training.factory import autocast, build_datamodule, build_module, check_training
from capsnet.training.fingerprint import folder_identity, run_identity
from capsnet.training.interruption import Interruption
from capsnet.training.module import AnyModule
from capsnet.training.summary import errors_along_training, summarise
from capsnet.training.trainer import build_trainer, check_devices


def train_and_record(
    run: config.RunConfig, folder: Path, overrides: tuple[str, ...]
) -> Record | None:
    """Train, evaluate and record, alone in `folder`, as `capsnet.train.train` describes."""
    interruption = Interruption()
    with interruption.handled(), fp32_arithmetic(run.precision):
        check_devices(run)
        data = load_dataset(run)
        check_training(run, data)
        module = build_module(run, data.info)
        identity = folder_identity(run, data.digest)
        if not is_first_process():
            await_claim(folder, identity)
            return fit_and_record(run, folder, data, module, overrides, interruption)
        with wandb_finished(), exclusive(folder):
            claim(folder, identity, record_path(folder, run.record))
            return fit_and_record(run, folder, data, module, overrides, interruption)


def fit_and_record(
    run: config.RunConfig,
    folder: Path,
    data: DataSet,
    module: AnyModule,
    overrides: tuple[str, ...],
    interruption: Interruption,
) -> Record | None:
    """Train from the checkpoint in `folder`, if there is one, to the end, and evaluate."""
    provenance = Provenance(run_identity(run, data.digest), *git_commit(), overrides)
    sources = {name: test.source for name, test in data.tests.items()}
    tracker = Tracker(run, folder, asdict(run) | vars(provenance) | {"sources": sources})
    trainer = build_trainer(run, folder, tracker.loggers, interruption, data.tests)
    checkpoint = begin(run, overrides, folder, module, trainer)
    trainer.fit(module, build_datamodule(run, data), ckpt_path=checkpoint)
    if not trainer.is_global_zero:
        return None
    network = module.network.to(trainer.strategy.root_device)
    with autocast(run, trainer.strategy.root_device):
        scored = ("test",) if run.trainer.keep_scores else ()
        predictions = predict_all(network, data, run.trainer.progress, scored)
        arrays = record_arrays(network, data, predictions, folder) | errors_along_training(trainer)
    training, outcomes = summarise(run, data, trainer), count_outcomes(data, predictions)
    path = record_path(folder, run.record)
    record = Record.of(run, data.info, provenance, training, outcomes, tracker.wandb_id)
    record = keep_origin(record, path)
    save_weights(network, run, data.info, folder)
    write_arrays(path, arrays)
    tracker.finish(record, arrays, manifest_paths(run.data))
    dvc_files.write(record, path, arrays)
    write_record(record, path)  # last: where it is, everything is
    report(record, folder)
    return record


def begin(
    run: config.RunConfig,
    overrides: tuple[str, ...],
    folder: Path,
    module: AnyModule,
    trainer: pl.Trainer,
) -> Path | None:
    """Print what is about to be trained, and give the checkpoint to resume from, if there is one.

    Raises UserError when the checkpoint is damaged or another network's.
    """
    checkpoint = last_checkpoint(folder)
    step = read_checkpoint(checkpoint, module) if checkpoint.is_file() else None
    if trainer.is_global_zero:
        device = device_name(trainer.strategy.root_device)
        steps = f"{run.schedule.steps:,} steps on {device}"
        parameters = f"{parameter_count(module.network):,} parameters"
        print(f"{named(run.name, overrides, run.seed)}: {steps}, {parameters}, in {folder}")
    if step is not None and trainer.is_global_zero:
        over = step >= run.schedule.steps
        begins = "finished, evaluating" if over else "resuming from"
        print(f"{folder}: {begins} {checkpoint.name}, of step {step:,}", flush=True)
    return None if step is None else checkpoint


def named(experiment: str, overrides: tuple[str, ...], seed: int) -> str:
    """Name a run by its experiment, what was set by hand, and its seed."""
    return " ".join((experiment, *overrides)) + f", seed {seed}"


def report(record: Record, folder: Path) -> None:
    """Print the errors of a finished run, where its files are, and a next command."""
    for test in record.tests.values():
        counted = f"{test.errors:,} errors in {test.total:,} {test.source}"
        who = named(record.experiment, record.overrides, record.seed)
        print(f"{who}: {test.error_percent:.2f} %, {counted}")
    drawn = isinstance(record.model, config.CapsNet) and record.model.decoder
    explore = f"python -m capsnet.explorer '{folder}'"
    following = explore if drawn else "python -m capsnet.report table"
    print(f"weights, record and logs are in {folder}; next, for example: {following}")
