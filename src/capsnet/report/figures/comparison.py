"""The paper's numbers and ours side by side: a chart above each of the paper's tables."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

import altair as alt

from capsnet.report.figures.chart import layers, logarithmic
from capsnet.report.figures.style import ACCENT, INK
from capsnet.report.tables.paper_tables import PaperRow
from capsnet.report.tables.table import Table

TITLE = "◇ the paper's number, ● ours with its 95 % interval, as in the table"
AXIS_MIN = 0.01  # percent: where the logarithmic scale begins
ROW = 26  # pixels


def comparison(table: Table[PaperRow]) -> alt.LayerChart | None:
    """Draw one of the paper's tables. None where nothing was run."""
    values = [
        _value(row, dict(zip(table.names, cells, strict=True)))
        for row, cells in zip(table.rows, table.cells, strict=True)
    ]
    return _drawn(table.names, values) if any("ours" in value for value in values) else None


def _value(row: PaperRow, value: dict[str, Any]) -> dict[str, Any]:
    """Add to the cells of a row, by column, the numbers that are drawn."""
    value["paper"] = row.result.error_percent
    if row.runs:
        ours, interval = mean(row.errors), row.interval
        if row.ensemble is not None:
            ours, interval = row.ensemble.test.error_percent, row.ensemble.test.interval_percent
        low, high = interval or (ours, ours)
        value |= {"ours": max(ours, AXIS_MIN), "low": max(low, AXIS_MIN), "high": high}
    return value


def _drawn(columns: Sequence[str], values: Sequence[dict[str, Any]]) -> alt.LayerChart:
    names = list(dict.fromkeys(value["row"] for value in values))
    shown = [alt.Tooltip(column, type="nominal") for column in columns]
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
