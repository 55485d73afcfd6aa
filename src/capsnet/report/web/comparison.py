"""The paper's numbers and ours side by side: a chart above each of the paper's tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import altair as alt

from capsnet import paper
from capsnet.records.record import Record
from capsnet.report.analysis.numbers import numbers
from capsnet.report.tables.paper_rows import PAPER_COLUMNS, Text, interval, paired
from capsnet.report.web.charts import ACCENT, INK, Chart, drawn
from capsnet.report.web.tables import Table

TITLE = "◇ the paper's number, ● ours with its 95 % interval for digits in general"
TICKS = [
    digit * 10.0**power for power in range(-2, 2) for digit in (1, 1.5, 2, 3, 4, 5, 7)
]  # percent
LEAST = TICKS[0]  # where a logarithmic scale begins
ROW = 26  # pixels


def comparison(
    table: Table, rows: Sequence[paper.Row], runs: Mapping[Path, Record]
) -> Chart | None:
    """Chart `table`, which is that of `rows`. None where nothing was run."""
    lines = zip(paired(runs, rows), table.lines, strict=True)
    values = [_value(row, runs, some, line.texts) for (row, some), line in lines]
    if not any("ours" in value for value in values):
        return None
    told = f"{table.title}: the paper's number and ours with its interval, as in the table below."
    return Chart(f"compared-{rows[0].experiment}", TITLE, told, table.marks, _drawn(values))


def _value(
    row: paper.Row, runs: Mapping[Path, Record], group: Mapping[Path, Record], texts: Text
) -> dict[str, Any]:
    """A line of the table: its strings, and as numbers what is drawn."""
    value: dict[str, Any] = dict(zip(PAPER_COLUMNS, texts, strict=True))
    value["paper"] = row.error_percent
    if group:
        ours = mean(numbers(runs, [*group], row.test))
        low, high = interval(row.test, runs, group) or (ours, ours)
        value |= {"ours": max(ours, LEAST), "low": max(low, LEAST), "high": high}
    return value


def _drawn(values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(value["row"] for value in values))
    shown = [alt.Tooltip(column, type="nominal") for column in PAPER_COLUMNS]
    axis = alt.Axis(labelLimit=190, grid=True)
    every = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("row:N", sort=names, title=None, axis=axis), tooltip=shown
    )
    ours = every.transform_filter("isValid(datum.ours)")
    bars = ours.mark_rule(color=ACCENT, strokeWidth=2, opacity=0.6)
    return drawn(
        bars.encode(x=_percent("low"), x2="high:Q"),
        ours.mark_circle(color=ACCENT, size=80, opacity=1).encode(x=_percent("ours")),
        every.mark_point(shape="diamond", size=90, color=INK, opacity=1).encode(
            x=_percent("paper")
        ),
        height=ROW * len(names),
    )


def _percent(field: str) -> alt.X:
    scale = alt.Scale(type="log", nice=False, padding=16)
    axis = alt.Axis(format="~g", values=TICKS, labelOverlap="greedy", labelSeparation=5)
    return alt.X(f"{field}:Q", scale=scale, title="test error, %", axis=axis)
