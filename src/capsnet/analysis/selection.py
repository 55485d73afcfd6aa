"""Select the runs that belong together: the seeds of an experiment by recipe and schedule."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from capsnet import paper
from capsnet.analysis import plan
from capsnet.analysis.numbers import numbers
from capsnet.analysis.verdicts import LOOKS, PRIMARY, SEEDS, Noise, pooled
from capsnet.records.record import Record
from capsnet.records.runs import Run

Pair = tuple[Run, Run]  # two runs that are compared


def groups(runs: Iterable[Run], experiment: str) -> list[list[Run]]:
    """Group the seeds of `experiment` by recipe and schedule, the longest schedule last.

    Recipes are different models and schedules different trainings: none is ever pooled, nor any two
    runs that differ in another value than the seed, in data, or in code that the plan does not hold
    to be the same; nor those of uncommitted code with others.
    """
    found = [run for run in runs if run.record.experiment == experiment]
    found.sort(key=lambda run: (_kind(run), run.record.seed))
    return [list(group) for _, group in groupby(found, _kind)]


def pair_groups(pairs: Iterable[Pair]) -> list[list[Pair]]:
    """Group pairs whose runs on either side are of one group, the longest schedule last."""

    def kinds(pair: Pair) -> tuple[object, ...]:
        return _kind(pair[0]), _kind(pair[1])

    return [list(group) for _, group in groupby(sorted(pairs, key=kinds), kinds)]


def looked(runs: Iterable[Run]) -> list[Run]:
    """Choose the runs that the plan looks at: all five seeds, else the first three, else none.

    A run that never reached its accuracy is as good as missing.
    """
    found = {run.record.seed: run for run in runs if reached(run.record)}
    looks = (SEEDS[:count] for count in sorted(LOOKS, reverse=True))
    return next(([found[k] for k in seeds] for seeds in looks if found.keys() >= {*seeds}), [])


def reached(record: Record) -> bool:
    """Tell whether it reached the accuracy at which training was to stop, if there is one."""
    return not record.stop_at or bool(record.stopped)


def missing(records: Iterable[Record]) -> list[int]:
    """List the seeds that are missing, though a later one is there."""
    seeds = {one.seed for one in records}
    return [seed for seed in range(max(seeds)) if seed not in seeds]


def noise(
    runs: Iterable[Run],
    like: Record,
    test: str,
    errors: Callable[[Sequence[Run], str], list[float]] = numbers,
) -> Noise | None:
    """Pool the sd of `errors` between seeds over the paper's rows on `test` that agree with `like`.

    A baseline, which no recipe changes, is pooled with the primary recipe's CapsNets.
    """
    recipe = like.recipe if like.capsules else PRIMARY
    same = [
        run
        for run in runs
        if _noise(run.record) == _noise(like)
        and (run.record.recipe == recipe or not run.record.capsules)
    ]
    table = paper.table_of(like.experiment)
    seeds = [
        errors(_counted(group), test)
        for row in (table.rows if table else ())
        if row.test == test and not row.condition
        for group in groups(same, row.experiment)
    ]
    return pooled(seeds)


def _counted(group: Sequence[Run]) -> list[Run]:
    """Select the plan's look, before it all planned seeds; none where a seed is there twice."""
    found = [run for run in group if run.record.seed in SEEDS and reached(run.record)]
    once = len({run.record.seed for run in found}) == len(found)
    return (looked(found) or found) if once else []


def code(record: Record) -> str:
    """Return the code that trained it, the same for all that the plan holds to be the same."""
    return plan.code(record.identity.get("code", ""))


def longest(runs: Iterable[Run]) -> list[Run]:
    """Choose the longest runs of each experiment and recipe, no demo's: what is known so far."""
    planned = dict[tuple[str, str], int]()
    found = exclude_demo(runs)
    for run in found:
        planned[_model(run)] = max(planned.get(_model(run), 0), run.record.steps_planned)
    return [run for run in found if run.record.steps_planned == planned[_model(run)]]


def _model(run: Run) -> tuple[str, str]:
    return run.record.experiment, run.record.variant


def exclude_demo(runs: Iterable[Run]) -> list[Run]:
    """Keep the runs on the paper's data at its width: not the demo's."""
    return [run for run in runs if not is_demo(run.record)]


def is_primary(record: Record) -> bool:
    """Tell whether it is of the primary recipe; a baseline, which no recipe changes, always is."""
    return record.recipe == PRIMARY or not record.capsules


def is_demo(record: Record) -> bool:
    """Tell whether its data stand in for the paper's, or its network is narrower or wider."""
    return record.dataset.stand_in or record.model.width != 1


def _own(record: Record) -> bool:
    """Tell whether the experiment is a user's own: on their data, and in no table of the paper."""
    return paper.table_of(record.experiment) is None and not record.dataset.stand_in


def _kind(run: Run) -> tuple[object, ...]:
    record = run.record
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


def matched_pairs(runs: Sequence[Run], wanted: Callable[[Record, Record], bool]) -> list[Pair]:
    """Pair the runs that agree in `pairing_key` and are `wanted`, in the order of their seeds."""
    found = [
        (one, other)
        for one in runs
        for other in runs
        if wanted(one.record, other.record) and pairing_key(one.record) == pairing_key(other.record)
    ]
    return sorted(found, key=lambda pair: pair[0].record.seed)


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
    "accuracy not reached": lambda record: not reached(record),
    "fewer examples": _fewer,
    "values unknown": lambda record: not record.overrides_known,
    "uncommitted code": lambda record: record.clean is False,
    "not fp32": lambda record: record.precision != "32-true",
}
