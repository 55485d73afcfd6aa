"""The paper's numbers beside ours, with counts, intervals and a verdict; and every run by itself.

A table is text: a tuple of column names, then one tuple a row.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from capsnet import paper
from capsnet.paper import data_set
from capsnet.records.record import BY_DIGIT, Outcome, Record
from capsnet.report.analysis import plan
from capsnet.report.analysis.answers import answers, in_general
from capsnet.report.analysis.numbers import at_equal_error, numbers
from capsnet.report.analysis.selection import exclusion_reason, groups, looked, missing, noise
from capsnet.report.analysis.verdicts import (
    MARGINS,
    PRIMARY,
    SEEDS,
    Difference,
    from_paper,
    row_verdict,
)

Text = tuple[str, ...]
PAPER_COLUMNS = (
    "row",
    "paper %",
    "public %",
    "ours %",
    "errors / tests",
    "against the paper (seeds)",
    "digits in general (seeds and digits)",
    "tested on, recipe",
    "steps",
    "verdict",
)
ABLATION_COLUMNS = ("experiment", *PAPER_COLUMNS[3:5], *PAPER_COLUMNS[6:-1])
STATE_COLUMNS = ("test error, %", "paper", "ours so far", "steps, schedule, recipe")
RUN_COLUMNS = (
    "run",
    "recipe",
    "errors / tests",
    "%",
    "95 % interval",
    "tested on",
    "steps",
    "images/s",
    "device",
    "commit",
)


def paper_table(runs: Mapping[Path, Record], rows: Sequence[paper.Row]) -> list[Text]:
    """A line for each of the paper's `rows` and each recipe and schedule it was run with.

    *Against the paper* is ours minus the paper's, in percentage points, the same test digits
    having been shown to both; *digits in general* is the error in percent. Both are 95 % intervals.
    """
    return [PAPER_COLUMNS, *(_row(row, runs, group) for row, group in paired(runs, rows))]


def state_table(runs: Mapping[Path, Record]) -> list[Text]:
    """Return a short line for each published result and each recipe and schedule it was run with.

    The rows whose number is the condition at which training stops are left out.
    """
    return [
        STATE_COLUMNS,
        *(
            (f"{data}: {row.name}", published(row), _ours(row, runs, group)[0], trained(group))
            for data, rows in paper.TABLES.items()
            for row, group in paired(runs, rows)
            if not row.condition
        ),
    ]


def trained(group: Mapping[Path, Record]) -> str:
    """Return the steps done, the schedule and the recipe of runs that share them."""
    if not group:
        return "not yet run"
    first = next(iter(group.values()))
    return f"{steps_done([*group.values()])}, {first.schedule}, {first.variant}"


def published(row: paper.Row) -> str:
    """Return the paper's error in percent, with its sd where the paper gives one."""
    return f"{row.error_percent}" + (f" ± {row.sd}" if row.sd else "")


def paired(
    runs: Mapping[Path, Record], rows: Sequence[paper.Row]
) -> list[tuple[paper.Row, dict[Path, Record]]]:
    """List the row and the runs of each line of `paper_table`; no runs where there are none yet."""
    return [(row, group) for row in rows for group in groups(runs, row.experiment) or [{}]]


def ablations_table(runs: Mapping[Path, Record]) -> list[Text]:
    """A line for each ablation, recipe and schedule that was run; ablations get no verdict."""
    found = [(one, group) for one in paper.ABLATIONS for group in groups(runs, one.experiment)]
    lines = ((one.name, *_ours(one, runs, group)) for one, group in found)
    return [ABLATION_COLUMNS, *((*line[:3], *line[4:]) for line in lines)]


def _row(row: paper.Row, runs: Mapping[Path, Record], group: Mapping[Path, Record]) -> Text:
    shown = row.name, published(row), row.public or "–"
    return *shown, *_ours(row, runs, group), verdict(row, runs, group)


def _ours(
    row: paper.Row | paper.Ablation, runs: Mapping[Path, Record], group: Mapping[Path, Record]
) -> Text:
    """Mean, sd and number of seeds; counts and intervals; what was tested; how long trained."""
    if not group:
        return ("–",) * 6
    records = list(group.values())
    outcomes = [record.tests[row.test] for record in records]
    percents = numbers(runs, [*group], row.test)
    equal = at_equal_error([*group], row.test) is not None
    where = f" at {paper.CLEAN} % clean error" if equal else ""
    spread = f" ± {stdev(percents):.3f} ({len(percents)})" if len(percents) > 1 else ""
    gaps = ", ".join(map(str, missing(records)))
    absent = f", without seed {gaps}" if gaps else ""
    counts = ", ".join(f"{outcome.errors:,}" for outcome in outcomes)
    codes = len({record.identity.get("code") for record in records})
    several = f", {codes} codes" if codes > 1 else ""
    return (
        f"{mean(percents):.2f}{spread}{absent}{where}",
        f"{counts} / {outcomes[0].total:,}" + (" at the stop" if equal else ""),
        _signed(against(row, runs, group)),
        _percents(interval(row.test, runs, group)),
        f"{outcomes[0].source}, {records[0].variant}{several}",
        steps(records),
    )


def against(
    row: paper.Row | paper.Ablation, runs: Mapping[Path, Record], group: Mapping[Path, Record]
) -> Difference | None:
    """Ours minus the paper's number; None where that would say nothing for or against the paper."""
    seen = looked(group)
    if (
        not seen
        or isinstance(row, paper.Ablation)
        or row.condition
        or exclusion_reason(list(group.values())) is not None
    ):
        return None
    spread = noise(runs, runs[seen[0]], row.test)
    ours = numbers(runs, seen, row.test)
    return None if spread is None else from_paper(ours, row.error_percent, spread)


def _signed(found: Difference | None) -> str:
    if found is None:
        return "–"
    return "{:+.2f} ({:+.2f} to {:+.2f})".format(float(found.value), *found.interval())


def _percents(found: tuple[float, float] | None) -> str:
    return "–" if found is None else "{:.2f}–{:.2f}".format(*found)


def interval(
    test: str, runs: Mapping[Path, Record], group: Mapping[Path, Record]
) -> tuple[float, float] | None:
    """95 %, in percent, for digits in general: of one run its own, of several crossed with seeds.

    None where several runs have not kept their answers, and at equal clean error, where the errors
    of single digits are not counted.
    """
    if at_equal_error([*group], test) is not None:
        return None
    (_, first), *_ = group.items()
    if len(group) == 1:
        return first.tests[test].interval_percent
    kept = [answers(path, record, test) for path, record in group.items()]
    seeds = [one for one in kept if one is not None]
    if len(seeds) < len(kept):
        return None
    low, high = in_general(seeds, noise(runs, first, test))
    return max(0.0, low), min(100.0, high)


def steps(records: Sequence[Record]) -> str:
    """Done of planned, whether validation ended training, and the batch where it is not 128."""
    stopped = ", stopped" if all(record.stopped for record in records) else ""
    batch = "" if records[0].batch == paper.BATCH else f", batch {records[0].batch}"
    return f"{steps_done(records)} of {records[0].steps_planned:,}{stopped}{batch}"


def steps_done(records: Sequence[Record]) -> str:
    """Return the steps that all `records` have done, as a range where they differ."""
    done = sorted({record.steps_done for record in records})
    return "–".join(f"{count:,}" for count in (done[0], done[-1])[: len(done)])


def verdict(row: paper.Row, runs: Mapping[Path, Record], group: Mapping[Path, Record]) -> str:
    """Give the verdict of the runs of `group` on the paper's number, by the analysis plan.

    Other digits, narrower networks, shorter schedules, values set by hand, uncommitted code and
    numbers that training was stopped at get no verdict.
    """
    records = list(group.values())
    if not records:
        return "not yet run"
    if (why := exclusion_reason(records)) is not None:
        return f"none: {why}"
    if row.condition:
        return "none: stopped there"
    found = against(row, runs, group)
    if found is None:
        return "not enough runs"
    word = str(row_verdict(found, MARGINS[data_set(row.experiment)]))
    return f"{word} ({qualified(runs, looked(group), row.test)})"


def qualified(runs: Mapping[Path, Record], paths: Sequence[Path], test: str) -> str:
    """State what limits a verdict on the runs at `paths`, and the plan's digest."""
    seen = [runs[path] for path in paths]
    limits = {
        "secondary": any(one.capsules and one.recipe != PRIMARY for one in seen),
        "interim": len({one.seed for one in seen}) < len(SEEDS),
        "at the stop": test == "affnist" and at_equal_error(paths, test) is None,
    }
    return ", ".join((*(word for word, holds in limits.items() if holds), plan.quoted()))


def runs_table(records: Iterable[Record]) -> list[Text]:
    """Every run on every test set by itself."""
    lines = [_run(record, test) for record in records for test in record.tests.values()]
    return [RUN_COLUMNS, *lines]


def _run(record: Record, test: Outcome) -> Text:
    low, high = test.interval_percent
    base = test.interval_kind == BY_DIGIT and data_set(record.experiment) == "multimnist"
    return (
        f"{record.experiment}, seed {record.seed}",
        record.variant,
        test.counts,
        f"{test.error_percent:.2f}",
        f"{low:.2f}–{high:.2f}" + (" (base digits alone)" if base else ""),
        test.source,
        steps([record]),
        f"{record.images_per_second:.0f}",
        record.device,
        "–" if record.commit is None else record.commit[:7] + ("" if record.clean else " changed"),
    )


def markdown(table: Sequence[Text]) -> str:
    """For a file."""
    columns, *rows = table
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
