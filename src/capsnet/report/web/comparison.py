"""The paper's numbers and ours side by side: a chart above each of the paper's tables."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

import altair as alt

from capsnet.report.tables.paper_tables import PaperRow
from capsnet.report.tables.table import Table
from capsnet.report.web.charts import ACCENT, INK, Chart, drawn
from capsnet.report.web.tables import table_caveats

TITLE = "◇ the paper's number, ● ours with its 95 % interval for digits in general"
TICKS = [
    digit * 10.0**power for power in range(-2, 2) for digit in (1, 1.5, 2, 3, 4, 5, 7)
]  # percent
LEAST = TICKS[0]  # where a logarithmic scale begins
ROW = 26  # pixels


def comparison(table: Table[PaperRow]) -> Chart | None:
    """Chart one of the paper's tables. None where nothing was run."""
    values = [
        _value(row, dict(zip(table.names, cells, strict=True)))
        for row, cells in zip(table.rows, table.cells, strict=True)
    ]
    if not any("ours" in value for value in values):
        return None
    told = f"{table.title}: the paper's number and ours with its interval, as in the table below."
    name = f"compared-{table.rows[0].result.experiment}"
    return Chart(name, TITLE, told, table_caveats(table), _drawn(table.names, values))


def _value(row: PaperRow, value: dict[str, Any]) -> dict[str, Any]:
    """Add to the cells of a row, by column, the numbers that are drawn."""
    value["paper"] = row.result.error_percent
    if row.group:
        ours = mean(row.errors)
        low, high = row.interval or (ours, ours)
        value |= {"ours": max(ours, LEAST), "low": max(low, LEAST), "high": high}
    return value


def _drawn(columns: Sequence[str], values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(value["row"] for value in values))
    shown = [alt.Tooltip(column, type="nominal") for column in columns]
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
