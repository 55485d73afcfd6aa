"""Table 1: the paper's numbers beside ours, with counts, intervals and a verdict."""

from collections.abc import Sequence
from statistics import mean, stdev

from rich.box import SIMPLE_HEAD
from rich.table import Table

from capsnet import paper
from capsnet.results import Record, wilson

COLUMNS = (
    "row",
    "paper %",
    "ours %",
    "errors / tests",
    "95 % interval",
    "digits, recipe",
    "steps",
    "verdict",
)


def table_1(records: Sequence[Record], rows: Sequence[paper.Row]) -> list[tuple[str, ...]]:
    """Text under COLUMNS, a line for each of the paper's `rows` and each recipe it was run with."""
    return [_row(row, group) for row in rows for group in _groups(records, row.experiment)]


def _groups(records: Sequence[Record], experiment: str) -> list[list[Record]]:
    """The records of an experiment, those of each recipe together; one empty list if none."""
    found = [record for record in records if record.experiment == experiment]
    recipes = sorted({record.recipe for record in found})
    return [[one for one in found if one.recipe == recipe] for recipe in recipes] or [[]]


def _row(row: paper.Row, records: list[Record]) -> tuple[str, ...]:
    published = f"{row.error_percent}" + (f" ± {row.sd}" if row.sd else "")
    return label(row), published, *_ours(records), verdict(row, records)


def label(row: paper.Row) -> str:
    """'CapsNet, 3 routing, decoder', say."""
    if row.routing is None:
        return row.name
    return f"{row.name}, {row.routing} routing" + (", decoder" if row.reconstruction else "")


def _ours(records: list[Record]) -> tuple[str, ...]:
    """Mean, sd and number of seeds; pooled counts and their interval; what was trained on."""
    if not records:
        return ("–",) * 5
    percents = [record.tests["test"].error_percent for record in records]
    spread = f" ± {stdev(percents):.3f} ({len(percents)})" if len(percents) > 1 else ""
    errors, total = pooled(records)
    low, high = wilson(errors, total)
    return (
        f"{mean(percents):.2f}{spread}",
        f"{errors} / {total}",
        f"{low:.2f}–{high:.2f}",
        f"{' and '.join(sorted({record.source for record in records}))}, {records[0].recipe}",
        f"{min(record.steps_done for record in records)} of {records[0].steps_planned}",
    )


def pooled(records: Sequence[Record]) -> tuple[int, int]:
    """Errors and tests over all seeds."""
    return sum(record.tests["test"].errors for record in records), sum(
        record.tests["test"].total for record in records
    )


def verdict(row: paper.Row, records: Sequence[Record]) -> str:
    """What the runs say of the paper's number, in a few words.

    'reproduced' when the 95 % Wilson interval of the pooled errors holds the paper's number or
    lies below it. Other digits, narrower networks and shorter schedules get no verdict.
    """
    if not records:
        return "not yet run"
    if any(record.source != "mnist" or record.model["width"] != 1 for record in records):
        return "demo: none"
    if any(record.steps_done < paper.STEPS for record in records):
        return f"none: paper has {paper.STEPS} steps"
    low, _ = wilson(*pooled(records))
    return "reproduced" if low <= row.error_percent else "not reproduced"


def rich_table(rows: Sequence[tuple[str, ...]], title: str) -> Table:
    """For the terminal."""
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, no_wrap=name == "row")
    for row in rows:
        table.add_row(*row)
    return table


def markdown(rows: Sequence[tuple[str, ...]], title: str) -> str:
    """For a file."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return f"# {title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)
