"""A sweep over one value as charts: a point a run, a line through the means."""

import json
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import altair as alt

from capsnet.report.analysis.runs import RunResult, caption, caveats
from capsnet.report.figures import style
from capsnet.report.tables.sweep import REMARK, Sweep, final_loss, loss_kind, settings
from capsnet.report.web.charts import COLOURS, Chart, Kind, drawn

APART = alt.Scale(zero=False, padding=20)
Value = dict[str, Any]  # what a point shows, by field


def sweeping(sweep: Sweep) -> list[Chart]:
    """Draw the test error, and each kind of training loss whose curves were kept."""
    every = [
        _value(sweep, label, place, run)
        for label, group in zip(labels(sweep), sweep.series().values(), strict=True)
        for place, run in sweep.spread(group)
    ]
    kinds = dict.fromkeys(one["kind"] for one in every if one["loss"] is not None)
    losses = [
        _chart(sweep, f"loss-{number}", f"Final training loss, {kind}", known)
        for number, kind in enumerate(kinds)
        if (known := [one for one in every if one["kind"] == kind and one["loss"] is not None])
    ]
    return [_chart(sweep, "error", "Test error, %", every), *losses]


def labels(sweep: Sweep) -> list[str]:
    """The names of the series; a single one, which differs from none, is 'all runs'."""
    return [label or "all runs" for label in sweep.labels()]


def _value(sweep: Sweep, label: str, place: float, run: RunResult) -> Value:
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


def _chart(sweep: Sweep, name: str, title: str, values: Sequence[Value]) -> Chart:
    told = f"{title}, over {sweep.label}: {caption(sweep.runs)}. {REMARK}"
    spec = _drawn(sweep, name.split("-")[0], values)
    return Chart(f"sweep-{name}", title, told, caveats(sweep.runs), spec)


def _drawn(sweep: Sweep, field: str, values: Sequence[Value]) -> dict[str, Any]:
    x, y = _axis(sweep), alt.Y(f"{field}:Q", title=None, scale=alt.Scale(zero=True))
    every = alt.Chart(alt.Data(values=values)).encode(color=_colours(sweep))
    means = every.mark_line(strokeWidth=2)
    layers = [
        means.encode(x=alt.X("middle:Q", scale=APART), y=f"mean({field}):Q"),
        every.mark_circle(size=70, opacity=1).encode(x=x, y=y, tooltip=_tooltip(sweep, field)),
    ]
    if field == "error":
        bars = every.mark_rule(strokeWidth=1.5, opacity=0.5)
        layers.insert(0, bars.encode(x=x, y="low:Q", y2="high:Q"))
    return drawn(*layers)


def _axis(sweep: Sweep) -> alt.X:
    places = sweep.places()
    names = json.dumps({f"{place:.0f}": value for value, place in places.items()})
    axis = alt.Axis(values=[*places.values()], labelExpr=f"({names})[datum.value]", grid=False)
    return alt.X("place:Q", title=sweep.label, axis=axis, scale=APART)


def legend(sweep: Sweep) -> list[Kind]:
    """The series, in the colours of the sweep's own figure."""
    return [
        Kind(label, COLOURS[hue])
        for label, hue in zip(labels(sweep), cycle(style.COLOURS), strict=False)
    ]


def _colours(sweep: Sweep) -> alt.Color:
    names, colours = zip(*legend(sweep), strict=True)
    return alt.Color("series:N", legend=None, scale=alt.Scale(domain=names, range=colours))


def _tooltip(sweep: Sweep, field: str) -> list[alt.Tooltip]:
    swept = alt.Tooltip("value:N", title=sweep.label)
    words = [alt.Tooltip("series:N"), swept, alt.Tooltip("seed:Q")]
    return [*words, alt.Tooltip("errors:N"), alt.Tooltip(f"{field}:Q", format=".4~g")]
