"""One small record per run, and its arrays: written once, read by the report, kept in git."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from capsnet import config
from capsnet.config import RunConfig
from capsnet.data.groups import Groups
from capsnet.data.info import DatasetInfo
from capsnet.errors import UserError
from capsnet.records import older
from capsnet.records.clusters import Counts
from capsnet.records.files import as_written, write_atomically, write_json
from capsnet.records.provenance import Provenance, versions
from capsnet.records.statistics import clustered, wilson

ENSEMBLE, ROUTING, ATTACKS = "ensemble.json", ".routing.json", ".attacks.json"
OTHERS = {  # ends of the names of files that are not records, and what such files are
    ENSEMBLE: "files of ensembles",
    ROUTING: "reports on routing",
    ATTACKS: "files of attacks",
}
WILSON, BY_DIGIT, BY_PAIR = "wilson", "by digit", "by pair of digits"  # kinds of intervals


@dataclass(frozen=True)
class Outcome:
    """The errors of a network on one test set. The percentage is derived from the counts."""

    source: str  # mnist, uci-digits, affnist-generated, smallnorb-novel …
    errors: int
    total: int
    interval_percent: tuple[float, float]  # 95 %
    num_distinct: int | None = None  # images or groups, where several examples have one in common
    interval_kind: str = WILSON  # or BY_DIGIT, BY_PAIR, by a group's name: what they have in common

    @property
    def grouped(self) -> bool:
        """Tell whether examples come in groups; else i shows image i mod `num_distinct`."""
        return self.interval_kind not in (WILSON, BY_DIGIT, BY_PAIR)

    @property
    def error(self) -> float:
        """Return the errors as a share of 1."""
        return self.errors / self.total

    @property
    def error_percent(self) -> float:
        """Return the errors in percent."""
        return 100 * self.errors / self.total

    @property
    def counts(self) -> str:
        """Write errors and total: '60 / 10,000'."""
        return f"{self.errors:,} / {self.total:,}"


def outcome(source: str, errors: int, total: int) -> Outcome:
    """Build the outcome of examples that each show a different image, with Wilson's interval."""
    return Outcome(source, errors, total, wilson(errors, total))


def outcome_of(
    source: str,
    wrong: NDArray[np.bool_],
    num_distinct: int,
    partners: Counts | None = None,
    groups: Groups | None = None,
) -> Outcome:
    """Count the errors marked in `wrong` [n], where example i shows image i mod `num_distinct`.

    The interval is `clustered` where images repeat. Where each example shows a second image,
    `partners` is what `partner_counts` counts of it. Where examples come in `groups` [n], numbered
    from 0, these are what is clustered.
    """
    one = outcome(source, int(wrong.sum()), len(wrong))
    if groups is not None:
        number, kind = int(groups.of.max()) + 1, f"by {groups.name}"
        interval = clustered(wrong, number, groups=groups.of)
        return replace(one, interval_percent=interval, num_distinct=number, interval_kind=kind)
    if partners is None and num_distinct == one.total:
        return one
    kind = BY_DIGIT if partners is None else BY_PAIR
    interval = clustered(wrong, num_distinct, partners)
    return replace(one, interval_percent=interval, num_distinct=num_distinct, interval_kind=kind)


@dataclass(frozen=True)
class TrainingSummary:
    """Summarise a finished training for its record."""

    steps: int
    stopped: int | None  # the step at which validation ended it
    examples: int
    parameters: int
    seconds: float
    device: str
    settings: dict[str, Any]  # kernels, devices, … that it ran with


@dataclass(frozen=True)
class Record:
    """The configuration, provenance and results of a run."""

    experiment: str
    seed: int
    recipe: str
    schedule: str
    steps_done: int
    steps_planned: int
    stop_at: float | None  # the accuracy on validation digits that was to end training
    stopped: int | None  # the step at which it did
    batch: int
    tests: dict[str, Outcome]  # 'test', and 'affnist' where the run is judged on that too
    training_examples: int
    parameters: int
    dataset: DatasetInfo
    model: config.Model
    train_seconds: float
    images_per_second: float
    device: str
    identity: dict[str, str]
    commit: str | None
    clean: bool | None  # whether src/ and conf/ were the commit's
    versions: dict[str, str]
    wandb_id: str | None  # drawn once for a run's folder, with W&B or without
    precision: str = "32-true"  # tf32, bf16-mixed: what convolutions multiplied in
    overrides: tuple[str, ...] = ()  # values that were set on the command line: KEY=VALUE
    overrides_known: bool = True  # False where a record is from before `overrides`
    trainer: dict[str, Any] = field(default_factory=dict)  # kernels, devices, … that it ran with
    schema: int = older.SCHEMA

    @classmethod
    def of(
        cls,
        run: RunConfig,
        dataset: DatasetInfo,
        provenance: Provenance,
        training: TrainingSummary,
        tests: dict[str, Outcome],
        wandb_id: str | None,
    ) -> "Record":
        """Build the record of a finished run."""
        rate = training.steps * run.schedule.batch / training.seconds
        return cls(
            experiment=run.name,
            seed=run.seed,
            recipe=run.recipe.name,
            schedule=run.schedule.name,
            steps_done=training.steps,
            steps_planned=run.schedule.steps,
            stop_at=run.schedule.stop_at,
            stopped=training.stopped,
            batch=run.schedule.batch,
            tests=tests,
            training_examples=training.examples,
            parameters=training.parameters,
            dataset=dataset,
            model=run.model,
            train_seconds=round(training.seconds, 1),
            images_per_second=round(rate, 1),
            device=training.device,
            precision=run.precision,
            trainer=training.settings,
            versions=versions(),
            wandb_id=wandb_id,
            **vars(provenance),
        )

    @property
    def capsules(self) -> bool:
        """Tell whether it is a CapsNet; recipes change no baseline."""
        return isinstance(self.model, config.CapsNet)

    @property
    def iterations(self) -> int | None:
        """Return the routing iterations; None for baselines."""
        return self.model.routing_iterations if isinstance(self.model, config.CapsNet) else None

    @property
    def decoder(self) -> bool:
        """Tell whether it is a CapsNet that reconstructs."""
        return isinstance(self.model, config.CapsNet) and self.model.decoder

    @property
    def variant(self) -> str:
        """Join the recipe, the arithmetic where that is not fp32, and the overrides.

        Runs that differ in it are never pooled.
        """
        arithmetic = {"32-true": (), "tf32": ("TF32",), "bf16-mixed": ("bf16",)}[self.precision]
        recipe = self.recipe if self.capsules else "any recipe"
        return ", ".join((recipe, *arithmetic, *self.overrides))

    @property
    def processes(self) -> int:
        """Count the devices that trained it together."""
        return self.trainer.get("devices", 1) * self.trainer.get("num_nodes", 1)

    @property
    def source(self) -> str:
        """Name the source of the training images: mnist, uci-digits."""
        return self.tests["test"].source


def record_path(folder: Path, record: str | None) -> Path:
    """Return the place of a run's record: `record`, or record.json in the run's folder.

    Raises UserError for a name that does not end in .json, and for that of an ensemble, a routing
    report or attacks: no reader of records would find them.
    """
    if record and not record.endswith(".json"):
        raise UserError(f"record = {record} is not possible: its name must end in .json")
    for end, what in OTHERS.items():
        if record and record.endswith(end):
            raise UserError(f"record = {record} is not possible: *{end} are {what}")
    return Path(record) if record else folder / "record.json"


def write_record(record: Record, path: Path) -> None:
    """Write the record atomically."""
    write_json(asdict(record), path)


def read_record(path: Path) -> Record:
    """Read the record at `path`, of this schema or an older one.

    Raises UserError when it is not a record, or of a newer version.
    """
    with as_written(path, "was written by another version; train the run again"):
        values = older.current(json.loads(path.read_text()))
        tests = {name: read_outcome(**test) for name, test in values.pop("tests").items()}
        model = values.pop("model")
        return Record(
            tests=tests,
            dataset=DatasetInfo.read(values.pop("dataset")),
            model=config.MODELS[model["name"]](**model),
            overrides=tuple(values.pop("overrides")),
            **values,
        )


def read_outcome(interval_percent: Sequence[float], interval_kind: str, **values: Any) -> Outcome:
    """Build an outcome of the fields that a file has. Raises ValueError for an unknown interval."""
    if interval_kind != WILSON and not interval_kind.startswith("by "):
        raise ValueError(f"interval_kind {interval_kind!r}")
    low, high = interval_percent
    return Outcome(interval_percent=(low, high), interval_kind=interval_kind, **values)


def record_paths(folder: Path, pattern: str = "*/*.json") -> list[Path]:
    """List the files of records in the order of their paths, without those of OTHERS."""
    found = (path for path in folder.glob(pattern) if not path.name.endswith(tuple(OTHERS)))
    return sorted(found)


def write_arrays(record: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Store what figures and paired tests need beside the record at `record`, compressed."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(record.with_suffix(".npz"), buffer.getvalue())


def read_arrays(record: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of the record at `record`; none where they were not kept.

    Raises UserError when the file is not a whole one.
    """
    path = record.with_suffix(".npz")
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"{path} holds no arrays of a run: train it again ({error})") from error


def keep_origin(record: Record, path: Path) -> Record:
    """Keep what the record at `path` says of the training, if it is of the same weights.

    Re-evaluating a finished run keeps its original device, commit and versions. A record of another
    training, in another folder, is not kept: the same identity and steps may come from other
    hardware or changed code.
    """
    try:
        before = read_record(path)
    except (FileNotFoundError, UserError):
        return record
    if _training(before) != _training(record):
        return record
    kept = ("device", "commit", "clean", "versions", "trainer")
    kept += ("train_seconds", "images_per_second")
    return replace(record, **{name: getattr(before, name) for name in kept})


def _training(record: Record) -> tuple[dict[str, str], int, str | None]:
    return record.identity, record.steps_done, record.wandb_id
