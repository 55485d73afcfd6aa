"""The figure of a sweep: test error, and the final training loss of each kind of loss."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import altair as alt

from capsnet.records.runs import Run
from capsnet.report.figures.chart import Chart, Panel, colours, layers
from capsnet.report.figures.style import COLOURS
from capsnet.report.runs import caption, caveats
from capsnet.report.tables.sweep import REMARK, Sweep, final_loss, loss_kind


def figure_sweep(sweep: Sweep) -> Chart:
    """Draw the test error, and each kind of training loss whose curves were kept."""
    values = [
        _value(label, run) | {"value": sweep.value(run)}
        for label, group in zip(sweep.labels(), sweep.series().values(), strict=True)
        for run in group
    ]
    panels = [_panel(sweep, "error", "Test error, %", values)]
    known = [value for value in values if value["loss"] is not None]
    for kind in dict.fromkeys(value["kind"] for value in known):
        some = [value for value in known if value["kind"] == kind]
        panels.append(_panel(sweep, "loss", f"Final training loss, {kind}", some))
    remarks = caption(sweep.runs, REMARK)
    return Chart(f"Sweep over {sweep.label}", remarks, caveats(sweep.runs), [panels])


def _value(label: str, run: Run) -> dict[str, Any]:
    """List what a point shows, by field."""
    test = run.record.tests["test"]
    low, high = test.interval_percent
    return {
        "series": label,
        "seed": run.record.seed,
        "errors": test.counts,
        "error": test.error_percent,
        "low": low,
        "high": high,
        "loss": final_loss(run),
        "kind": loss_kind(run),
    }


def _panel(sweep: Sweep, field: str, title: str, values: Sequence[Mapping[str, Any]]) -> Panel:
    """Draw a point for each run, seeds side by side, a line through their means, and intervals."""
    apart, axis = alt.Scale(paddingInner=0.7, paddingOuter=0.4), alt.Axis(labelAngle=0)
    x = alt.X("value:O", title=sweep.label, sort=sweep.values, axis=axis, scale=apart)
    y = alt.Y(f"{field}:Q", title=None, scale=alt.Scale(zero=True))
    by_label = dict(zip(sweep.labels(), cycle(COLOURS), strict=False))
    every = alt.Chart(alt.Data(values=values)).encode(x=x, color=colours("series", by_label))
    beside = every.encode(xOffset="seed:O")
    words = ["series:N", alt.Tooltip("value:N", title=sweep.label), "seed:Q", "errors:N"]
    tooltip = [*words, alt.Tooltip(f"{field}:Q", format=".4~g")]
    marks = [
        every.mark_line(strokeWidth=2).encode(y=f"mean({field}):Q"),
        beside.mark_circle(size=70, opacity=1).encode(y=y, tooltip=tooltip),
    ]
    if field == "error":
        bars = beside.mark_rule(strokeWidth=1.5, opacity=0.5)
        marks.insert(0, bars.encode(y="low:Q", y2="high:Q"))
    return Panel(title, layers(*marks))
