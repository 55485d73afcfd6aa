"""A sweep over routing iterations as charts: a point a run, a line through the means."""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import altair as alt

from capsnet.report import look, sweep
from capsnet.report.runs import Run, caption, marks
from capsnet.report.web.charts import COLOURS, Chart, Kind, drawn

APART = alt.Scale(zero=False, padding=20)
TITLES = {"error": "Test error, %", "loss": "Final training loss"}


def sweeping(runs: Sequence[Run]) -> list[Chart]:
    """The test error, and the final training loss where curves were kept."""
    every = [
        _value(series, place, run)
        for series, group in sweep.series(runs).items()
        for place, run in sweep.places(group)
    ]
    known = {field: [value for value in every if value[field] is not None] for field in TITLES}
    return [_chart(field, values, runs) for field, values in known.items() if values]


def _value(series: str, place: float, run: Run) -> dict[str, Any]:
    test = run.record.tests["test"]
    low, high = test.interval_percent
    return {
        "series": series,
        "place": place,
        "iterations": run.iterations,
        "seed": run.record.seed,
        "errors": test.counts,
        "error": test.error_percent,
        "low": low,
        "high": high,
        "loss": sweep.final_loss(run),
    }


def _chart(field: str, values: Sequence[dict[str, Any]], runs: Sequence[Run]) -> Chart:
    told = f"{TITLES[field]}, over routing iterations: {caption(runs)}. {sweep.REMARK}"
    return Chart(f"sweep-{field}", TITLES[field], told, marks(runs), _drawn(field, values, runs))


def _drawn(field: str, values: Sequence[dict[str, Any]], runs: Sequence[Run]) -> dict[str, Any]:
    x, y = _iterations(values), alt.Y(f"{field}:Q", title=None, scale=alt.Scale(zero=True))
    every = alt.Chart(alt.Data(values=values)).encode(color=_colours(runs))
    means = every.mark_line(strokeWidth=2)
    layers = [
        means.encode(x=alt.X("iterations:Q", scale=APART), y=f"mean({field}):Q"),
        every.mark_circle(size=70, opacity=1).encode(x=x, y=y, tooltip=_tooltip(field)),
    ]
    if field == "error":
        bars = every.mark_rule(strokeWidth=1.5, opacity=0.5)
        layers.insert(0, bars.encode(x=x, y="low:Q", y2="high:Q"))
    return drawn(*layers)


def _iterations(values: Sequence[dict[str, Any]]) -> alt.X:
    counts = sorted({value["iterations"] for value in values})
    axis = alt.Axis(values=counts, format="d", grid=False)
    return alt.X("place:Q", title="routing iterations", axis=axis, scale=APART)


def legend(runs: Sequence[Run]) -> list[Kind]:
    """The series, in the colours of the sweep's own figure."""
    return [
        Kind(name, COLOURS[hue])
        for name, hue in zip(sweep.series(runs), cycle(look.COLOURS), strict=False)
    ]


def _colours(runs: Sequence[Run]) -> alt.Color:
    names, colours = zip(*legend(runs), strict=True)
    return alt.Color("series:N", legend=None, scale=alt.Scale(domain=names, range=colours))


def _tooltip(field: str) -> list[alt.Tooltip]:
    words = [alt.Tooltip("series:N"), alt.Tooltip("iterations:Q"), alt.Tooltip("seed:Q")]
    return [*words, alt.Tooltip("errors:N"), alt.Tooltip(f"{field}:Q", format=".4~g")]
