"""The runs behind the rows of tables, which the page shows fact by fact."""

from collections.abc import Callable
from typing import Any

from capsnet.records.record import Outcome, Record
from capsnet.report.runs import caveats
from capsnet.report.tables.costs import HOUR
from capsnet.report.tables.rows import RunsRow
from capsnet.report.tables.runs_table import steps
from capsnet.report.tables.table import Table

FACTS: dict[str, Callable[[Record, Outcome], str]] = {
    "experiment": lambda record, _: record.experiment,
    "seed": lambda record, _: f"{record.seed}",
    "errors": lambda _, test: test.counts,
    "steps": lambda record, _: steps([record]),
    "schedule": lambda record, _: record.schedule,
    "recipe": lambda record, _: record.variant,
    "overrides": lambda record, _: overrides(record),
    "batch": lambda record, _: f"{record.batch}",
    "trained on": lambda record, _: f"{record.source}, {record.training_examples:,} examples",
    "tested on": lambda _, test: test.source,
    "width": lambda record, _: f"{record.model.width:g} of the paper's",
    "training": lambda record, _: hours(record.train_seconds),
    "device": lambda record, _: record.device,
    "commit": lambda record, _: commit(record),
}


def table_caveats(table: Table[Any]) -> list[str]:
    """Return the caveats of all runs behind a table."""
    return caveats(run for row in table.rows if isinstance(row, RunsRow) for run in row.runs)


def facts(row: object) -> dict[str, list[str]]:
    """List the facts in the records behind a row: one value where all agree, else one for each.

    None of a row that summarises no runs.
    """
    found = [*zip(row.records, row.tests, strict=True)] if isinstance(row, RunsRow) else []
    every = {name: [fact(*one) for one in found] for name, fact in FACTS.items() if found}
    return {name: values[:1] if len({*values}) == 1 else values for name, values in every.items()}


def hours(seconds: float) -> str:
    """Write hours by two significant digits: '0.13 h', '270 h'."""
    return f"{float(f'{seconds / HOUR:.2g}'):,g} h"


def overrides(record: Record) -> str:
    """Return the overrides, 'nothing', or 'unknown' of a record that does not say."""
    return ", ".join(record.overrides) or ("nothing" if record.overrides_known else "unknown")


def commit(record: Record) -> str:
    """Name the commit, and whether src/ and conf/ were the commit's."""
    if record.commit is None:
        return "not known"
    states = {True: "clean", False: "changed", None: "not known whether clean"}
    return f"{record.commit[:7]}, {states[record.clean]}"
