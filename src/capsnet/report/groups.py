"""Which runs belong together: the seeds of one experiment under one recipe and schedule."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from capsnet import paper
from capsnet.results import Record

Pair = tuple[Path, Path]  # two records that are compared


def groups(records: Iterable[Record], experiment: str) -> list[list[Record]]:
    """The seeds of `experiment`, those of each recipe and schedule together, the longest last.

    Recipes are different models and schedules different trainings: none is ever pooled, nor any two
    runs that differ in another value than the seed.
    """
    found = sorted((one for one in records if one.experiment == experiment), key=_kind)
    return [sorted(group, key=lambda one: one.seed) for _, group in groupby(found, _kind)]


def longest(runs: Mapping[Path, Record]) -> dict[Path, Record]:
    """Of each experiment and recipe the longest `real` runs: what is known so far."""
    found, planned = real(runs), dict[tuple[str, str], int]()
    for record in found.values():
        model = record.experiment, record.variant
        planned[model] = max(planned.get(model, 0), record.steps_planned)
    return {
        path: record
        for path, record in found.items()
        if record.steps_planned == planned[record.experiment, record.variant]
    }


def real(runs: Mapping[Path, Record]) -> dict[Path, Record]:
    """Those on the paper's digits at its width: not the demo's."""
    return {path: record for path, record in runs.items() if not demo(record)}


def demo(record: Record) -> bool:
    """Whether it is of other digits than MNIST's, or of a narrower network than the paper's."""
    return record.source != "mnist" or record.model["width"] != 1


def _kind(record: Record) -> tuple[object, ...]:
    schedule = record.steps_planned, record.schedule, record.batch, record.training_examples
    values = record.identity.get("config", "")
    return *schedule, record.variant, record.source, record.model["width"], values


def circumstances(record: Record) -> tuple[object, ...]:
    """All in which two runs must agree, to be compared example by example: not model or recipe."""
    schedule = record.schedule, record.steps_planned, record.batch, record.training_examples
    same = record.model["width"], record.identity["data"], record.changed
    return record.seed, record.precision, schedule, *same


def matched(runs: Mapping[Path, Record], wanted: Callable[[Record, Record], bool]) -> list[Pair]:
    """The pairs that agree in their circumstances and are `wanted`, in the order of their seeds."""
    found = [
        (one, other)
        for one, first in runs.items()
        for other, second in runs.items()
        if wanted(first, second) and circumstances(first) == circumstances(second)
    ]
    return sorted(found, key=lambda pair: runs[pair[0]].seed)


def shortcoming(records: Sequence[Record]) -> str | None:
    """Why runs cannot speak for or against the paper, in a few words; None when they can."""
    if any(demo(record) for record in records):
        return "demo"
    if any(record.changed for record in records):
        return "values set by hand"
    if any(short(record) for record in records):
        return "short schedule"
    if any(record.stop_at and not record.stopped for record in records):
        return "accuracy not reached"
    if any(_fewer(record) for record in records):
        return "fewer examples"
    seeds = {(record.experiment, record.seed) for record in records}
    return "a seed twice" if len(seeds) < len(records) else None


def short(record: Record) -> bool:
    """Whether it had fewer steps than the paper's, without having stopped where the paper did."""
    ended = record.steps_done >= paper.STEPS or record.stopped
    return record.schedule != "paper" or not ended


def _fewer(record: Record) -> bool:
    """Than the paper's, to train on or to be tested on."""
    kind = record.experiment.split("_")[0]
    tested = paper.TESTED.get(kind, {}).items()
    return record.training_examples < paper.TRAINED.get(kind, 0) or any(
        record.tests[name].total < total for name, total in tested if name in record.tests
    )
