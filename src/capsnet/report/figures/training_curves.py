"""Training curves: on the page any metric may be chosen; files show figure A.2 and the losses."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import altair as alt
import numpy as np
from numpy.typing import NDArray

from capsnet.records.record import Record
from capsnet.records.runs import Run
from capsnet.report.figures.chart import STEP, Chart, Panel, colours, layers, lines, logarithmic
from capsnet.report.figures.style import BLUE, COLOURS, DASHES, SOLID, VERMILION
from capsnet.report.runs import by_dataset, caption, caveats, colour, labels
from capsnet.report.tables.recipes import RELEASED, TEXT
from capsnet.tracking import metrics as tracking
from capsnet.tracking.metrics import CHANGE, ENTROPY, ERROR, THROUGHPUT, Metric, routing_change

LOSS = "train/loss"
ROWS = ("train/margin", ENTROPY, ERROR)  # of the file
SMOOTH = 20  # the running mean goes over one in so many of a curve's points
SMOOTHED = (
    f"Running means over 1/{SMOOTH} of the logged points, on a logarithmic scale; zeros are left "
    "out."
)
HELD_OUT = "Errors on the first training examples, which were held out; the test set plays no part."
RECIPES = {RELEASED: BLUE, TEXT: VERMILION}
ANY = "any recipe"  # of a baseline
FEW = 20  # points that a line alone might hide: it takes two to make one
Curves = dict[str, NDArray[np.float64]]  # by metric, [points, 2]: step and value


def figure_a2(runs: Sequence[Run]) -> Chart | None:
    """Draw the training loss with 1 and with 3 iterations, a panel for each data set with both."""
    able = [run for run in runs if LOSS in logged(run) and run.record.iterations in (1, 3)]
    shown = [run for group in by_dataset(able).values() for run in _alike(group)]
    rows = [[_panel(name, LOSS, shown) for name in by_dataset(shown)]]
    title = "Figure A.2: training loss, 1 and 3 iterations"
    return Chart(title, caption(shown, SMOOTHED), caveats(shown), rows) if shown else None


def _alike(runs: Sequence[Run]) -> list[Run]:
    """Choose runs of 1 and 3 iterations with a decoder, or where one lacks it those without."""
    for decoder in (True, False):
        some = [run for run in runs if run.record.decoder == decoder]
        if {run.record.iterations for run in some} == {1, 3}:
            return some
    return []


def all_curves(runs: Sequence[Run]) -> Chart | None:
    """Draw a row for each of ROWS, and in it a panel for each data set it was logged on.

    CapsNets show the margin loss, which they have all in common: some add a reconstruction loss.
    """
    able = [run for run in runs if logged(run).keys() & {*ROWS}]
    rows = [
        [
            _panel(name, metric, able)
            for name, group in by_dataset(able).items()
            if any(metric in logged(run) for run in group)
        ]
        for metric in ROWS
    ]
    shown = [row for row in rows if row]
    return Chart("Training", caption(able, SMOOTHED), caveats(able), shown) if able else None


def figure_recipes(runs: Sequence[Run]) -> Chart | None:
    """Draw a line for each run; nothing where one of the recipes was not validated."""
    able = [run for run in runs if ERROR in logged(run)]
    if {run.record.recipe for run in able} != set(RECIPES):
        return None
    values = [
        {"run": called(run), "recipe": run.record.recipe, "step": int(step), "error": percent}
        for run in able
        for step, percent in logged(run)[ERROR].tolist()
    ]
    drawn = lines(
        values,
        x=STEP,
        y=alt.Y("error:Q", title="validation error, %"),
        color=colours("recipe", RECIPES),
    )
    title = "Two recipes: which learns faster"
    return Chart(title, caption(able, HELD_OUT), caveats(able), [[Panel("", drawn)]])


def _panel(dataset: str, metric: str, runs: Sequence[Run]) -> Panel:
    """Draw one metric on one data set."""
    values = _values(dataset, runs, metric)
    about = known_metrics()[metric]
    chart = _encoded(values, runs, _with_unit(about))
    few = [chart.transform_filter("datum.few").mark_circle(size=25, opacity=1)]
    dots = few if any(value["few"] for value in values) else []
    heading = f"{dataset} ({about.remark})" if about.remark else dataset
    return Panel(heading, layers(chart.mark_line(strokeWidth=1.5), *dots))


def choices(dataset: str, runs: Sequence[Run], shown: str) -> alt.LayerChart:
    """Draw every metric on one data set, in the colours that the networks have on all of them.

    The parameters `metric`, at first `shown`, and `kinds` choose what is seen. The dots answer to
    the pointer: the nearest names its run, and the others fade.
    """
    near = alt.selection_point(
        name="near", on="pointerover", clear="pointerout", fields=["run"], nearest=True
    )
    pointed, faded = alt.when(near, empty=False), alt.when(near)
    chart = (
        _encoded(_values(dataset, runs), runs, None)
        .encode(color=colours("network", series(runs)).legend(None))  # the page has a form
        .transform_filter("datum.metric === metric && indexof(kinds, datum.network) >= 0")
    )
    curves = chart.mark_line(strokeWidth=2).encode(
        opacity=faded.then(alt.value(1)).otherwise(alt.value(0.2))
    )
    datum = alt.TooltipContent("data")  # an encoding's words are lost on the nearest point
    dots = chart.mark_circle(size=20, aria=False, tooltip=datum).encode(
        opacity=pointed.then(alt.value(1)).otherwise(alt.value(alt.ExprRef("datum.few ? 1 : 0")))
    )
    chosen = (alt.param("metric", value=shown), alt.param("kinds", value=[*series(runs)]))
    return layers(curves, dots.add_params(near)).add_params(*chosen)


def _encoded(
    values: Sequence[Mapping[str, Any]], runs: Sequence[Run], title: str | None
) -> alt.Chart:
    """Encode step and value; labels have colours, recipes have dashes, each run has a line."""
    recipes = dict(zip(sorted({value["recipe"] for value in values} - {ANY}), DASHES, strict=False))
    dashes = {ANY: SOLID} | recipes
    scale = alt.Scale(domain=[*dashes], range=[*dashes.values()])
    return (
        alt.Chart(alt.Data(values=values))
        .encode(
            x=STEP,
            y=alt.Y("value:Q", **logarithmic(title)),
            color=colours("network", series(runs)),
            strokeDash=alt.StrokeDash("recipe:N", scale=scale, legend=None),
            detail="run:N",
        )
        .transform_flatten(["step", "value"])
        .transform_filter("datum.value > 0")
    )


def _values(dataset: str, runs: Sequence[Run], only: str | None = None) -> list[dict[str, Any]]:
    """List the curves on one data set, thinned and rounded to what a screen can show.

    Those of all metrics, or `only` of one.
    """
    return [
        {
            "run": called(run),
            "network": label,
            "trained on": " · ".join([run.record.source, *caveats([run])]),
            "recipe": replace(run.record, overrides=()).variant,
            "metric": metric,
            "few": len(curve) < FEW,
            "step": [int(place) for place in places],
            "value": [float(f"{value:.4g}") for value in values],
        }
        for run, label in zip(runs, labels(runs), strict=True)
        if run.record.dataset.name == dataset
        for metric, curve in logged(run).items()
        if only in (None, metric)
        for places, values in [smoothed(curve).T]
    ]


def series(runs: Sequence[Run]) -> dict[str, str]:
    """Return the colour of each kind of run by its label, baselines first.

    That is the colour of the network's kind, or the first that no other label has.
    """
    found = dict[str, str]()
    named = zip(runs, labels(runs), strict=True) if runs else ()
    for run, label in sorted(named, key=lambda one: _order(one[0].record)):
        free = (one for one in (colour(run), *COLOURS) if one not in found.values())
        if label not in found:
            found[label] = next(free, colour(run))
    return found


def _order(record: Record) -> tuple[int, bool]:
    """Put baselines first, then few iterations."""
    return record.iterations or 0, record.decoder


@cache
def known_metrics() -> dict[str, Metric]:
    """Return the metrics of training by name, without those of routing, which have any number."""
    every = (one for one in tracking.metrics() if not one.name.startswith(CHANGE))
    return {one.name: one for one in every if one.value is None and one.section != THROUGHPUT}


def _with_unit(metric: Metric) -> str:
    return metric.title + ", %" * metric.share


def metrics(runs: Sequence[Run]) -> dict[str, str]:
    """Name the logged metrics in words, with their units and remarks, by their keys."""
    names = {name for run in runs for name in logged(run)}
    words = {
        name: _with_unit(one) + (f" ({one.remark})" if one.remark else "")
        for name, one in known_metrics().items()
    }
    for name in sorted(name for name in names if name.startswith(CHANGE)):
        words[name] = f"routing: {routing_change(int(name.removeprefix(CHANGE))).title}"
    return {name: title for name, title in words.items() if name in names}


def called(run: Run) -> str:
    """'mnist_capsnet_r3_recon, seed 0, released'."""
    return f"{run.record.experiment}, seed {run.record.seed}, {run.record.variant}"


def logged(run: Run) -> Curves:
    """Return the curves that are shown, errors in percent.

    A baseline's only loss is the cross-entropy, which is logged by two names.
    """
    names = (name.removeprefix("curve.") for name in run.arrays if name.startswith("curve."))
    metric = known_metrics()
    known = [name for name in names if name in metric or name.startswith(CHANGE)]
    twice = {LOSS} if len(run.curve(ENTROPY)) else set[str]()
    return {
        name: run.curve(name) * (1, 100 if name in metric and metric[name].share else 1)
        for name in known
        if len(run.curve(name)) and name not in twice
    }


def smoothed(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute a running mean [points, 2], over fewer points at both ends, four to its width."""
    weights = np.ones(max(1, len(curve) // SMOOTH))
    steps, values = curve.T
    counts = np.convolve(np.ones(len(values)), weights, "same")
    means = np.convolve(values, weights, "same") / counts
    return np.column_stack([steps, means])[:: max(1, len(weights) // 4)]
