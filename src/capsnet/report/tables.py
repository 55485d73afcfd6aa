"""Table 1: the paper's numbers beside ours, with counts, intervals and a verdict."""

from collections.abc import Sequence
from statistics import mean, stdev

from rich.table import Table

from capsnet import paper
from capsnet.results import Record, wilson

COLUMNS = (
    "row",
    "routing",
    "reconstr.",
    "paper %",
    "ours % (mean ± sd, seeds)",
    "errors / tests",
    "95 % interval",
    "digits",
    "steps done / planned",
    "verdict",
)


def table_1(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """Rows of text under COLUMNS, one for each MNIST cell of the paper's Table 1."""
    return [_row(row, _of(records, row.experiment)) for row in paper.TABLE_1_MNIST]


def _of(records: Sequence[Record], experiment: str) -> list[Record]:
    return [record for record in records if record.experiment == experiment]


def _row(row: paper.Row, records: list[Record]) -> tuple[str, ...]:
    return (
        row.label,
        "–" if row.routing is None else str(row.routing),
        {None: "–", False: "no", True: "yes"}[row.reconstruction],
        f"{row.error_percent}" + (f" ± {row.sd}" if row.sd else ""),
        *_ours(records),
        verdict(row, records),
    )


def _ours(records: list[Record]) -> tuple[str, ...]:
    if not records:
        return ("–",) * 5
    percents = [record.error_percent for record in records]
    spread = f" ± {stdev(percents):.3f}" if len(percents) > 1 else ""
    errors, total = pooled(records)
    low, high = wilson(errors, total)
    first = records[0]
    return (
        f"{mean(percents):.2f}{spread} ({len(records)})",
        f"{errors} / {total}",
        f"{low:.2f} – {high:.2f}",
        first.source,
        f"{min(record.steps_done for record in records):,} / {first.steps_planned:,}",
    )


def pooled(records: Sequence[Record]) -> tuple[int, int]:
    """Errors and tests over all seeds."""
    return sum(record.errors for record in records), sum(record.total for record in records)


def verdict(row: paper.Row, records: Sequence[Record]) -> str:
    """What the runs say of the paper's number, in a few words.

    'reproduced' when the 95 % Wilson interval of the pooled errors holds the paper's number or
    lies below it. Other digits, narrower networks and shorter schedules get no verdict.
    """
    if not records:
        return "not yet run"
    if any(record.source != "mnist" or record.width != 1 for record in records):
        return "demo: no verdict"
    if any(record.steps_done < paper.STEPS for record in records):
        return f"short: paper has {paper.STEPS:,} steps"
    low, _ = wilson(*pooled(records))
    return "reproduced" if low <= row.error_percent else "not reproduced"


def rich_table(rows: Sequence[tuple[str, ...]], title: str) -> Table:
    """For the terminal."""
    table = Table(*COLUMNS, title=title)
    for row in rows:
        table.add_row(*row)
    return table


def markdown(rows: Sequence[tuple[str, ...]], title: str) -> str:
    """For a file."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return f"# {title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)
