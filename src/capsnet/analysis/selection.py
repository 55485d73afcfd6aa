"""Select the runs that belong together: the seeds of an experiment by recipe and schedule."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from capsnet import paper
from capsnet.analysis import plan
from capsnet.analysis.numbers import numbers
from capsnet.analysis.verdicts import LOOKS, PRIMARY, SEEDS, Noise, pooled
from capsnet.records.record import Record

Pair = tuple[Path, Path]  # two records that are compared


def groups(runs: Mapping[Path, Record], experiment: str) -> list[list[Path]]:
    """Group the seeds of `experiment` by recipe and schedule, the longest schedule last.

    Recipes are different models and schedules different trainings: none is ever pooled, nor any two
    runs that differ in another value than the seed, in data, or in code that the plan does not hold
    to be the same; nor those of uncommitted code with others.
    """

    def kind(path: Path) -> tuple[object, ...]:
        return _kind(runs[path])

    found = [path for path, one in runs.items() if one.experiment == experiment]
    found.sort(key=lambda path: (kind(path), runs[path].seed))
    return [list(group) for _, group in groupby(found, kind)]


def looked(runs: Mapping[Path, Record], paths: Sequence[Path]) -> list[Path]:
    """Choose the runs that the plan looks at: all five seeds, else the first three, else none."""
    found = {runs[path].seed: path for path in paths}
    looks = (SEEDS[:count] for count in sorted(LOOKS, reverse=True))
    return next(([found[k] for k in seeds] for seeds in looks if found.keys() >= {*seeds}), [])


def missing(records: Iterable[Record]) -> list[int]:
    """List the seeds that are missing, though a later one is there."""
    seeds = {one.seed for one in records}
    return [seed for seed in range(max(seeds)) if seed not in seeds]


def noise(runs: Mapping[Path, Record], like: Record, test: str) -> Noise | None:
    """Pool the sd between seeds over the paper's rows on `test` that agree with `like`.

    A baseline, which no recipe changes, is pooled with the primary recipe's CapsNets.
    """
    recipe = like.recipe if like.capsules else PRIMARY
    same = {
        path: one
        for path, one in runs.items()
        if _noise(one) == _noise(like) and (one.recipe == recipe or not one.capsules)
    }
    table = paper.table_of(like.experiment)
    seeds = [
        numbers(same, _counted(same, group), test)
        for row in (table.rows if table else ())
        if row.test == test and not row.condition
        for group in groups(same, row.experiment)
    ]
    return pooled(seeds)


def _counted(runs: Mapping[Path, Record], group: Sequence[Path]) -> list[Path]:
    """Select the plan's look, before it all planned seeds; none where a seed is there twice."""
    found = [path for path in group if runs[path].seed in SEEDS]
    once = len({runs[path].seed for path in found}) == len(found)
    return (looked(runs, found) or found) if once else []


def code(record: Record) -> str:
    """Return the code that trained it, the same for all that the plan holds to be the same."""
    return plan.code(record.identity.get("code", ""))


def longest(runs: Mapping[Path, Record]) -> dict[Path, Record]:
    """Choose the longest `real` runs of each experiment and recipe: what is known so far."""
    found, planned = exclude_demo(runs), dict[tuple[str, str], int]()
    for record in found.values():
        model = record.experiment, record.variant
        planned[model] = max(planned.get(model, 0), record.steps_planned)
    return {
        path: record
        for path, record in found.items()
        if record.steps_planned == planned[record.experiment, record.variant]
    }


def exclude_demo(runs: Mapping[Path, Record]) -> dict[Path, Record]:
    """Keep the runs on the paper's data at its width: not the demo's."""
    return {path: record for path, record in runs.items() if not is_demo(record)}


def is_primary(record: Record) -> bool:
    """Tell whether it is of the primary recipe; a baseline, which no recipe changes, always is."""
    return record.recipe == PRIMARY or not record.capsules


def is_demo(record: Record) -> bool:
    """Tell whether its data stand in for the paper's, or its network is narrower or wider."""
    return record.dataset.stand_in or record.model.width != 1


def _own(record: Record) -> bool:
    """Tell whether the experiment is a user's own: on their data, and in no table of the paper."""
    return paper.table_of(record.experiment) is None and not record.dataset.stand_in


def _kind(record: Record) -> tuple[object, ...]:
    schedule = record.steps_planned, record.schedule, record.batch, record.training_examples
    values = [record.identity.get(name, "") for name in ("config", "data")]
    made = code(record), record.clean is False
    return *schedule, record.variant, record.source, record.model.width, *values, *made


def _noise(record: Record) -> tuple[object, ...]:
    """Return all in which rows must agree for their seeds to be equally noisy."""
    schedule = record.schedule, record.steps_planned, record.batch, record.training_examples
    values = record.model.width, record.source, record.precision, record.overrides
    return schedule, values, code(record), record.clean is False


def pairing_key(record: Record) -> tuple[object, ...]:
    """Return all in which two runs must agree to be compared: not model or recipe."""
    schedule = record.schedule, record.steps_planned, record.batch, record.training_examples
    same = record.model.width, record.identity["data"], record.overrides
    return record.seed, record.precision, schedule, *same


def matched_pairs(
    runs: Mapping[Path, Record], wanted: Callable[[Record, Record], bool]
) -> list[Pair]:
    """Pair the runs that agree in `pairing_key` and are `wanted`, in the order of their seeds."""
    found = [
        (one, other)
        for one, first in runs.items()
        for other, second in runs.items()
        if wanted(first, second) and pairing_key(first) == pairing_key(second)
    ]
    return sorted(found, key=lambda pair: runs[pair[0]].seed)


def exclusion_reason(records: Sequence[Record]) -> str | None:
    """Say in a few words why runs get no verdict; None when they may."""
    for reason, excludes in REASONS.items():
        if any(map(excludes, records)):
            return reason
    if len({code(record) for record in records}) > 1:
        return "different code"
    seeds = {(record.experiment, record.seed) for record in records}
    return "a seed twice" if len(seeds) < len(records) else None


def is_short(record: Record) -> bool:
    """Tell whether it had fewer steps than the paper's and did not stop where the paper did."""
    ended = record.steps_done >= paper.steps(record.experiment) or record.stopped
    return record.schedule != "paper" or not ended


def _fewer(record: Record) -> bool:
    """Tell whether it had fewer examples than the paper, for training or for testing."""
    table = paper.table_of(record.experiment)
    return table is not None and (
        record.training_examples < table.trained
        or any(test.total < table.tested.get(name, 0) for name, test in record.tests.items())
    )


REASONS: dict[str, Callable[[Record], bool]] = {  # the first that holds is given
    "demo": lambda record: is_demo(record) and not _own(record),
    "not in the paper": lambda record: not paper.reported(record.experiment),
    "values set by hand": lambda record: bool(record.overrides),
    "short schedule": is_short,
    "accuracy not reached": lambda record: bool(record.stop_at and not record.stopped),
    "fewer examples": _fewer,
    "values unknown": lambda record: not record.overrides_known,
    "uncommitted code": lambda record: record.clean is False,
    "not fp32": lambda record: record.precision != "32-true",
}
