"""The report's tables with what lies behind each line: the runs it tells of, fact by fact."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from capsnet import paper
from capsnet.records.record import Outcome, Record
from capsnet.report.analysis.runs import RunResult, caveats
from capsnet.report.tables import document
from capsnet.report.tables.claims import judged
from capsnet.report.tables.costs import HOUR
from capsnet.report.tables.document import tables
from capsnet.report.tables.paper_rows import Text, paired, runs_table, steps

Told = tuple[Record, Outcome]
WORDS = {  # columns that are not numbers alone
    *("row", "run", "claim", "experiment", "series", "machine", "device", "commit"),
    *("recipe", "tested on", "tested on, recipe", "steps", "verdict", "pairs share"),
}
FACTS: dict[str, Callable[[Record, Outcome], str]] = {
    "experiment": lambda record, _: record.experiment,
    "seed": lambda record, _: f"{record.seed}",
    "errors": lambda _, test: test.counts,
    "steps": lambda record, _: steps([record]),
    "schedule": lambda record, _: record.schedule,
    "recipe": lambda record, _: record.variant,
    "set by hand": lambda record, _: by_hand(record),
    "batch": lambda record, _: f"{record.batch}",
    "trained on": lambda record, _: f"{record.source}, {record.training_examples:,} examples",
    "tested on": lambda _, test: test.source,
    "width": lambda record, _: f"{record.model.width:g} of the paper's",
    "training": lambda record, _: hours(record.train_seconds),
    "device": lambda record, _: record.device,
    "commit": lambda record, _: commit(record),
}


class Fact(NamedTuple):
    """One value where all runs agree, else one for each."""

    name: str
    values: list[str]


class Line(NamedTuple):
    """A row of a table and what is told of it on hover or focus; nothing where nothing was run."""

    texts: Text
    facts: list[Fact]


class Table(NamedTuple):
    """`at` is the column that leads to the facts; `numeric` says of each whether it is numbers."""

    title: str
    columns: Text
    lines: list[Line]
    at: int
    numeric: list[bool]
    marks: list[str]


def paper_tables(runs: Mapping[Path, Record]) -> list[Table]:
    """The paper's tables, then its claims: the strings are those of `document.tables`."""
    behind = [
        [[(one, one.tests[row.test]) for one in some.values()] for row, some in paired(runs, rows)]
        for rows in paper.TABLES.values()
    ]
    claims = [
        [(runs[path], runs[path].tests[claim.test]) for pair in found for path in pair]
        for claim, found in judged(runs, paper.CLAIMS)
    ]
    columns = [3] * len(behind) + [2]
    every = zip(tables(runs).items(), [*behind, claims], columns, strict=True)
    return [table(title, texts, told, at) for (title, texts), told, at in every]


def extra_tables(runs: Mapping[Path, Record]) -> list[Table]:
    """The tables that the paper does not have, where there is anything to show."""
    return [table(title, texts) for title, texts in document.extra_tables(runs).items()]


def every_run(runs: Mapping[Path, Record]) -> Table:
    """Each run on each test set."""
    behind = [[(one, test)] for one in runs.values() for test in one.tests.values()]
    return table("Every run", runs_table(runs.values()), behind, 0)


def table(
    title: str, texts: Sequence[Text], behind: Iterable[Sequence[Told]] = (), at: int = 0
) -> Table:
    """`texts` as every table of the report is; `behind` each of its lines, the runs it tells of."""
    columns, *rows = texts
    told = list(behind) or [[] for _ in rows]
    lines = [Line(row, facts(some)) for row, some in zip(rows, told, strict=True)]
    numeric = [name not in WORDS for name in columns]
    seen = caveats(RunResult(record, {}) for some in told for record, _ in some)
    return Table(title, columns, lines, at, numeric, seen)


def facts(told: Sequence[Told]) -> list[Fact]:
    """List the facts in the records of runs."""
    every = {name: [fact(*one) for one in told] for name, fact in FACTS.items() if told}
    return [
        Fact(name, values[:1] if len(set(values)) == 1 else values)
        for name, values in every.items()
    ]


def hours(seconds: float) -> str:
    """'0.13 h', '270 h': two digits that count."""
    return f"{float(f'{seconds / HOUR:.2g}'):,g} h"


def by_hand(record: Record) -> str:
    """The values that were set by hand, 'nothing', or 'unknown' of a record that does not say."""
    return ", ".join(record.overrides) or ("nothing" if record.overrides_known else "unknown")


def commit(record: Record) -> str:
    """And whether src/ and conf/ were the commit's."""
    if record.commit is None:
        return "not known"
    states = {True: "clean", False: "changed", None: "not known whether clean"}
    return f"{record.commit[:7]}, {states[record.clean]}"
