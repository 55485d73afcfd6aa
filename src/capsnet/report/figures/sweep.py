"""The figure of a sweep: test error, and the final training loss of each kind of loss."""

import json
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import altair as alt

from capsnet.report.analysis.runs import RunResult, caption, caveats
from capsnet.report.figures.chart import Chart, Panel, colours, layers
from capsnet.report.figures.style import COLOURS
from capsnet.report.tables.sweep import REMARK, Sweep, final_loss, loss_kind, settings

APART = alt.Scale(zero=False, padding=20)


def figure_sweep(sweep: Sweep) -> Chart:
    """Draw the test error, and each kind of training loss whose curves were kept."""
    values = [
        _value(sweep, label, place, run)
        for label, group in zip(_labels(sweep), sweep.series().values(), strict=True)
        for place, run in sweep.spread(group)
    ]
    known = [value for value in values if value["loss"] is not None]
    losses = [
        _panel(
            sweep,
            "loss",
            f"Final training loss, {kind}",
            [value for value in known if value["kind"] == kind],
        )
        for kind in dict.fromkeys(value["kind"] for value in known)
    ]
    rows = [[_panel(sweep, "error", "Test error, %", values), *losses]]
    remarks = caption(sweep.runs, REMARK)
    return Chart(f"Sweep over {sweep.label}", remarks, caveats(sweep.runs), rows)


def _labels(sweep: Sweep) -> list[str]:
    """Name the series; a single one, which differs from none, is 'all runs'."""
    return [label or "all runs" for label in sweep.labels()]


def _value(sweep: Sweep, label: str, place: float, run: RunResult) -> dict[str, Any]:
    """List what a point shows, by field."""
    test, value = run.record.tests["test"], settings(run)[sweep.key]
    low, high = test.interval_percent
    return {
        "series": label,
        "place": place,
        "value": value,
        "middle": sweep.places()[value],
        "seed": run.record.seed,
        "errors": test.counts,
        "error": test.error_percent,
        "low": low,
        "high": high,
        "loss": final_loss(run),
        "kind": loss_kind(run),
    }


def _panel(sweep: Sweep, field: str, title: str, values: Sequence[Mapping[str, Any]]) -> Panel:
    """Draw a point for each run, a line through the means, and the intervals of errors."""
    x, y = _axis(sweep), alt.Y(f"{field}:Q", title=None, scale=alt.Scale(zero=True))
    by_label = dict(zip(_labels(sweep), cycle(COLOURS), strict=False))
    every = alt.Chart(alt.Data(values=values)).encode(color=colours("series", by_label))
    means = every.mark_line(strokeWidth=2)
    marks = [
        means.encode(x=alt.X("middle:Q", scale=APART), y=f"mean({field}):Q"),
        every.mark_circle(size=70, opacity=1).encode(x=x, y=y, tooltip=_tooltip(sweep, field)),
    ]
    if field == "error":
        bars = every.mark_rule(strokeWidth=1.5, opacity=0.5)
        marks.insert(0, bars.encode(x=x, y="low:Q", y2="high:Q"))
    return Panel(title, layers(*marks))


def _axis(sweep: Sweep) -> alt.X:
    """Show the swept values, in their own spelling, where they are placed."""
    places = sweep.places()
    names = json.dumps({f"{place:.0f}": value for value, place in places.items()})
    axis = alt.Axis(values=[*places.values()], labelExpr=f"({names})[datum.value]")
    return alt.X("place:Q", title=sweep.label, axis=axis, scale=APART)


def _tooltip(sweep: Sweep, field: str) -> list[alt.Tooltip]:
    swept = alt.Tooltip("value:N", title=sweep.label)
    words = [alt.Tooltip("series:N"), swept, alt.Tooltip("seed:Q")]
    return [*words, alt.Tooltip("errors:N"), alt.Tooltip(f"{field}:Q", format=".4~g")]
