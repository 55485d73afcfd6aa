"""What a finished training is worth: its errors, its figures' arrays, its weights, one record."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from capsnet import config, dvc_files, illustrate, page, results, saving, tracking
from capsnet.along import ErrorsAlong
from capsnet.build import DataSet, TestSet, arithmetic, kernels, manifests
from capsnet.callbacks import StopAt
from capsnet.clusters import Counts, partner_counts
from capsnet.curves import curves
from capsnet.data.examples import Split, evaluation_batch
from capsnet.data.multimnist import MultiMnist
from capsnet.errors import Mistake
from capsnet.metrics import confusion, correct
from capsnet.modules import CapsNetModule, DigitsModule
from capsnet.networks import parameter_count
from capsnet.results import Outcome, Record


class Answers(NamedTuple):
    """What a network said to a test set, on the CPU.

    wrong [n], true for each example that is answered wrongly; confusion float64 [classes, classes]
    as `metrics.confusion` counts.
    """

    wrong: Bool[Tensor, "n"]
    confusion: Float[Tensor, "classes classes"]


def judge(
    run: config.Run,
    folder: Path,
    data: DataSet,
    trainer: pl.Trainer,
    about: dict[str, Any],
) -> Record:
    """Ask the trained network every test example once, and write down all that is to be kept.

    `about` are the record's identity, commit, clean and changed. The record comes last: where it
    is, all is.
    """
    module: DigitsModule[Any] = trainer.lightning_module  # pyright: ignore[reportAssignmentType]
    module = module.to(trainer.strategy.root_device).eval()
    path = results.record_path(folder, run.record)
    with arithmetic(run, module.device):
        answers = {
            name: ask(module, test.split, run.trainer.progress) for name, test in data.tests.items()
        }
        kept = arrays(module, data, answers, folder) | along(trainer)
    record = where_trained(summary(run, data, trainer, outcomes(data, answers), about), path)
    saving.save_weights(module.network, run, folder)
    results.write_arrays(path, kept)
    tracking.log(trainer, {f"{name}/error": test.error for name, test in record.tests.items()})
    show(record, kept, folder, trainer, manifests(run.data))
    dvc_files.write(record, path, kept)
    results.write(record, path)
    return record


def show(
    record: Record,
    kept: dict[str, NDArray[Any]],
    folder: Path,
    trainer: pl.Trainer,
    manifests: list[Path],
) -> None:
    """Complete the W&B page, if there is one; a server that fails now costs no trained run."""
    for shown in tracking.pages(trainer):
        try:
            page.complete(shown, record, kept, folder, manifests)
        except Exception as error:  # what W&B raises has no parent in common but this
            print(f"{folder}: the W&B page lacks what comes at the end: {error}")


@torch.inference_mode()
def ask(module: DigitsModule[Any], split: Split, progress: bool = True) -> Answers:
    """The answers to `split`, each example asked exactly once, where `module` lies."""
    module, split = module.eval(), split.to(module.device)
    indices = torch.arange(len(split), device=module.device)
    batches = indices.split(evaluation_batch(module.device))
    wrong: list[Tensor] = []
    confused: list[Tensor] = []
    for some in track(batches, description="test", disable=not progress):
        examples = split.examples(some, step=None)
        scores = module.scores(examples.images).float()
        wrong.append(~correct(scores, examples.labels))
        confused.append(confusion(scores, examples.labels))
    return Answers(torch.cat(wrong).cpu(), torch.stack(confused).cpu().double().sum(0))


def outcomes(data: DataSet, answers: dict[str, Answers]) -> dict[str, Outcome]:
    """The outcome of every test set."""
    found: dict[str, Outcome] = {}
    for name, test in data.tests.items():
        wrong = answers[name].wrong.numpy()
        partners = partners_of(test, wrong)
        found[name] = results.outcome_of(test.source, wrong, test.digits, partners)
    return found


def partners_of(test: TestSet, wrong: NDArray[np.bool_]) -> Counts | None:
    """Return `partner_counts` of a test set whose examples show two digits, None of others."""
    if not isinstance(test.split, MultiMnist):
        return None
    return partner_counts(wrong, test.split.partner.numpy().ravel(), test.digits)


def summary(
    run: config.Run,
    data: DataSet,
    trainer: pl.Trainer,
    tests: dict[str, Outcome],
    about: dict[str, Any],
) -> Record:
    """The record of a run that is over."""
    seconds = tracking.training_seconds(trainer)
    return Record(
        experiment=run.name,
        seed=run.seed,
        recipe=run.recipe.name,
        schedule=run.schedule.name,
        steps_done=trainer.global_step,
        steps_planned=run.schedule.steps,
        stop_at=run.schedule.stop_at,
        stopped=stopped(trainer),
        batch=run.schedule.batch,
        tests=tests,
        training_examples=len(data.train),
        parameters=parameter_count(trainer.lightning_module),
        model=asdict(run.model),
        train_seconds=round(seconds, 1),
        images_per_second=round(trainer.global_step * run.schedule.batch / seconds, 1),
        device=results.device_name(trainer.strategy.root_device),
        precision=run.precision,
        trainer=runtime(run),
        versions=results.versions(),
        wandb_id=tracking.wandb_id(trainer),
        **about,
    )


def runtime(run: config.Run) -> dict[str, Any]:
    """Give the runtime settings that a record keeps: they change speed, and results by rounding."""
    kept = ("convolutions", "compile", "benchmark", "devices", "num_nodes")
    chosen = {name: getattr(run.trainer, name) for name in kept}
    return {"kernels": kernels(run.trainer)} | chosen


def where_trained(record: Record, path: Path) -> Record:
    """With the device, commit and versions of the record at `path` if that has all of its steps.

    So a finished run that is only judged again does not seem to have been trained here and now.
    """
    try:
        before = results.read(path)
    except (FileNotFoundError, Mistake):
        return record
    if (before.identity, before.steps_done) != (record.identity, record.steps_done):
        return record
    kept = ("device", "commit", "clean", "versions", "trainer")
    return replace(record, **{name: getattr(before, name) for name in kept})


def stopped(trainer: pl.Trainer) -> int | None:
    """The step at which validation ended training, if it did."""
    callbacks: list[pl.Callback] = getattr(trainer, "callbacks", [])
    return next((watch.step for watch in callbacks if isinstance(watch, StopAt)), None)


def along(trainer: pl.Trainer) -> dict[str, NDArray[Any]]:
    """Give the errors counted along the training, as `ErrorsAlong.arrays`, if any were."""
    callbacks: list[pl.Callback] = getattr(trainer, "callbacks", [])
    return next((one.arrays() for one in callbacks if isinstance(one, ErrorsAlong)), {})


def arrays(
    module: DigitsModule[Any], data: DataSet, answers: dict[str, Answers], folder: Path
) -> dict[str, NDArray[Any]]:
    """Per-example errors as bits, confusions, curves, and what the figures show.

    `wrong.<test>` uint8, one bit for each test example as numpy.packbits leaves them;
    `by_partner.<test>` uint32 [2, digits] where examples show two digits, as `partner_counts`;
    `confusion.<test>` float64 [classes, classes] as in Answers; `curve.<metric>` [points, 2]; and
    for CapsNets what `illustrate.illustrations` gives.
    """
    kept: dict[str, NDArray[Any]] = {}
    for name, answer in answers.items():
        kept[f"wrong.{name}"] = np.packbits(answer.wrong.numpy())
        kept[f"confusion.{name}"] = answer.confusion.numpy()
        if (counts := partners_of(data.tests[name], answer.wrong.numpy())) is not None:
            kept[f"by_partner.{name}"] = counts
    kept |= {f"curve.{name}": points for name, points in curves(folder).items()}
    if isinstance(module, CapsNetModule):
        test = data.tests["test"].split
        kept |= illustrate.illustrations(module.network, test, answers["test"].wrong)
    return kept
