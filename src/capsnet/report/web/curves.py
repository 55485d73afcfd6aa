"""Training curves to choose from: a chart for each set of digits, of every metric and network."""

from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from capsnet.report.analysis.runs import SETS, RunResult, caption, caveats
from capsnet.report.figures.curve_figures import METRICS, SMOOTH, smoothed
from capsnet.report.tables.table import Column, Table
from capsnet.report.web.charts import COLOURS, Chart, Kind, drawn

ERROR, LOSS, ENTROPY = "validation/error", "train/loss", "train/cross_entropy"
FIRST = {
    name: words + (f" ({remark})" if remark else "") for name, (words, remark) in METRICS.items()
}
WORDS = FIRST | {
    ERROR: "validation error, %",
    LOSS: "CapsNets: margin + reconstruction loss",
    "train/reconstruction": "CapsNets: reconstruction loss",
    "learning_rate": "learning rate",
}
CHANGE = "routing/change_"
SMOOTHED = (
    f"Running means over 1/{SMOOTH} of the logged points, on a logarithmic scale; zeros are left "
    "out."
)
Curves = dict[str, NDArray[np.float64]]  # by metric, [points, 2]: step and value


def curves(runs: Sequence[RunResult]) -> list[Chart]:
    """Which metric and which networks they show, their parameters `metric` and `kinds` say."""
    sets = sorted({run.set for run in runs if logged(run)}, key=[*SETS].index)
    shown = next(iter(metrics(runs)), "")
    return [_chart(digits, [run for run in runs if run.set == digits], shown) for digits in sets]


def metrics(runs: Sequence[RunResult]) -> dict[str, str]:
    """Return the logged metrics, by readable names."""
    names = {name for run in runs for name in logged(run)}
    changes = sorted(name for name in names if name.startswith(CHANGE))
    words = {name: f"routing: mean |Δb| of iteration {name[len(CHANGE) :]}" for name in changes}
    return {name: told for name, told in (WORDS | words).items() if name in names}


def kinds(runs: Sequence[RunResult]) -> list[Kind]:
    """The networks that have curves, baselines first."""
    able = sorted(
        (run for run in runs if logged(run)), key=lambda run: (run.iterations or 0, run.decoder)
    )
    return [Kind(*pair) for pair in dict.fromkeys((run.kind, COLOURS[run.colour]) for run in able)]


def last(runs: Sequence[RunResult]) -> Table[RunResult]:
    """Tabulate what was logged last of each metric, for each run that has curves."""
    values = [Column(words, _last(name)) for name, words in metrics(runs).items()]
    columns = [Column("run", called, "text"), *values]
    return Table("Last values", columns, [run for run in runs if logged(run)])


def _last(metric: str) -> Callable[[RunResult], str]:
    return lambda run: f"{logged(run)[metric][-1, 1]:.4g}" if metric in logged(run) else "–"


def called(run: RunResult) -> str:
    """'mnist_capsnet_r3, seed 0, released'."""
    return f"{run.record.experiment}, seed {run.record.seed}, {run.record.variant}"


def logged(run: RunResult) -> Curves:
    """The curves that are shown, errors in percent; baselines' only loss is the cross-entropy."""
    names = (name.removeprefix("curve.") for name in run.arrays if name.startswith("curve."))
    known = [name for name in names if name in WORDS or name.startswith(CHANGE)]
    twice = {LOSS} if len(run.curve(ENTROPY)) else set[str]()
    scale = {ERROR: (1, 100)}
    return {
        name: run.curve(name) * scale.get(name, (1, 1))
        for name in known
        if len(run.curve(name)) and name not in twice
    }


def _chart(digits: str, runs: Sequence[RunResult], shown: str) -> Chart:
    values = [_line(run, name, curve) for run in runs for name, curve in logged(run).items()]
    told = f"Training curves on {SETS[digits]}: {caption(runs)}."
    spec = _drawn(values, kinds(runs), shown)
    return Chart(f"curves-{digits}", SETS[digits], told, caveats(runs), spec, [*metrics(runs)])


def _line(run: RunResult, metric: str, curve: NDArray[np.float64]) -> dict[str, Any]:
    """One curve, thinned and rounded to what a screen can show; each dot tells all of this."""
    places, values = smoothed(curve).T
    return {
        "run": called(run),
        "network": run.kind,
        "digits": " · ".join([run.record.source, *caveats([run])]),
        "recipe": run.record.variant,
        "metric": metric,
        "step": [int(place) for place in places],
        "value": [float(f"{value:.4g}") for value in values],
    }


def _drawn(
    values: Sequence[dict[str, Any]], networks: Sequence[Kind], shown: str
) -> dict[str, Any]:
    """Lines, and dots that answer to the pointer: the nearest tells its run, the others fade."""
    names = [one.name for one in networks]
    near = alt.selection_point(
        name="near", on="pointerover", clear="pointerout", fields=["run"], nearest=True
    )
    pointed, faded = alt.when(near, empty=False), alt.when(near)
    every = _encoded(values, networks)
    lines = every.mark_line(strokeWidth=2).encode(
        opacity=faded.then(alt.value(1)).otherwise(alt.value(0.2))
    )
    whole = alt.TooltipContent("data")  # an encoding's words are lost on what is nearest
    dots = every.mark_circle(size=20, aria=False, tooltip=whole).encode(
        opacity=pointed.then(alt.value(1)).otherwise(alt.value(0))
    )
    chosen = [alt.param(name="metric", value=shown), alt.param(name="kinds", value=names)]
    return drawn(lines, dots.add_params(near), params=chosen)


def _encoded(values: Sequence[dict[str, Any]], networks: Sequence[Kind]) -> alt.Chart:
    colours = alt.Scale(
        domain=[one.name for one in networks], range=[one.colour for one in networks]
    )
    log = alt.Scale(type="log", nice=False, padding=8)
    chart = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("step:Q", title="training step", axis=alt.Axis(grid=False, tickCount=5)),
        y=alt.Y("value:Q", title=None, scale=log, axis=alt.Axis(format="~g", tickCount=5)),
        color=alt.Color("network:N", legend=None, scale=colours),
        strokeDash=alt.StrokeDash("recipe:N", legend=None),
        detail="run:N",
    )
    return (
        chart.transform_filter("datum.metric === metric && indexof(kinds, datum.network) >= 0")
        .transform_flatten(["step", "value"])
        .transform_filter("datum.value > 0")
    )
