"""The figure of a step's time and memory by size, with votes stored and without."""

from collections.abc import Iterator, Mapping
from typing import Any

import altair as alt

from capsnet.report.figures.chart import Chart, Panel, colours, lines
from capsnet.report.figures.style import BLUE, VERMILION
from capsnet.report.tables.speed import machine, step_seconds

NAMES = {"batch": "batch", "side": "image side, pixels", "iterations": "routing iterations"}
PATHS = {"textbook": VERMILION, "fast": BLUE}
FIELDS = {"seconds": "step, s", "gib": "peak memory, GiB"}
REMARK = (
    "Without decoder. What is not varied is the paper's: batch 128, 28 pixels, 3 iterations. "
    "A point that is missing did not fit into memory."
)


def figure_growth(benchmark: Mapping[str, Any]) -> Chart:
    """Draw time and peak memory in rows, and in columns the sizes that were varied.

    `benchmark` is a benchmark's JSON.
    """
    values = [value for point in benchmark["growth"] for value in _values(point)]
    rows = [
        [_panel([one for one in values if one["varied"] == varied], field) for varied in NAMES]
        for field in FIELDS
    ]
    return Chart("Growth of a training step", f"{machine(benchmark)}. {REMARK}", [], rows)


def _values(point: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield seconds and GiB of each implementation that fitted into memory."""
    for path in PATHS:
        measured = point["measured"][path]
        if measured["peak_mib"] is not None:
            yield {
                "run": path,
                "varied": point["varied"],
                "size": point["value"],
                "seconds": step_seconds(measured["timings"]),
                "gib": measured["peak_mib"] / 1024,
            }


def _panel(values: list[dict[str, Any]], field: str) -> Panel:
    sizes = sorted({value["size"] for value in values})
    axis = alt.Axis(values=sizes, format="d", labelOverlap="greedy", labelSeparation=5)
    title, scale = NAMES[values[0]["varied"]], alt.Scale(zero=False, nice=False, padding=10)
    drawn = lines(
        values,
        x=alt.X("size:Q", title=title, scale=scale, axis=axis),
        y=alt.Y(f"{field}:Q", title=FIELDS[field]),
        color=colours("run", PATHS),
    )
    return Panel("", drawn)
