"""The paper's numbers and ours side by side: a chart above each of the paper's tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import altair as alt

from capsnet import paper
from capsnet.records.record import Record
from capsnet.report.analysis.numbers import numbers
from capsnet.report.figures.chart import layers, logarithmic
from capsnet.report.figures.style import ACCENT, INK
from capsnet.report.tables.paper_rows import PAPER_COLUMNS, Text, interval, paired

TITLE = "◇ the paper's number, ● ours with its 95 % interval for digits in general"
LEAST = 0.01  # percent: where the logarithmic scale begins
ROW = 26  # pixels


def comparison(
    lines: Sequence[Text], rows: Sequence[paper.Row], runs: Mapping[Path, Record]
) -> alt.LayerChart | None:
    """Draw the lines of `paper_table(runs, rows)`. None where nothing was run."""
    values = [
        _value(row, runs, group, line)
        for (row, group), line in zip(paired(runs, rows), lines, strict=True)
    ]
    return _drawn(values) if any("ours" in value for value in values) else None


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


def _drawn(values: Sequence[dict[str, Any]]) -> alt.LayerChart:
    names = list(dict.fromkeys(value["row"] for value in values))
    shown = [alt.Tooltip(column, type="nominal") for column in PAPER_COLUMNS]
    axis = alt.Axis(labelLimit=190, grid=True)
    every = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("row:N", sort=names, title=None, axis=axis), tooltip=shown
    )
    ours = every.transform_filter("isValid(datum.ours)")
    bars = ours.mark_rule(color=ACCENT, strokeWidth=2, opacity=0.6)

    def percent(field: str) -> alt.X:
        return alt.X(f"{field}:Q", **logarithmic("test error, %"))

    return layers(
        bars.encode(x=percent("low"), x2="high:Q"),
        ours.mark_circle(color=ACCENT, size=80, opacity=1).encode(x=percent("ours")),
        every.mark_point(shape="diamond", size=90, color=INK, opacity=1).encode(x=percent("paper")),
        height=ROW * len(names),
    )
