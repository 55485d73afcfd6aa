"""The figure of affNIST error over clean test error, along each training."""

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt

from capsnet import paper
from capsnet.report.analysis.equal_error import at_clean_error, points
from capsnet.report.analysis.runs import RunResult, caption, caveats, labels
from capsnet.report.figures.chart import Chart, Panel, colours, layers, logarithmic
from capsnet.report.figures.style import BLACK, VERMILION
from capsnet.report.figures.training_curves import called, series

REMARK = (
    "Both errors on test digits, counted at validations; affNIST on two copies of each digit. "
    f"Rings: {paper.CLEAN} % clean error, by a local fit. Diamonds: the paper's two networks."
)
PUBLISHED = {  # the paper's networks, by experiment
    "affnist_baseline": ("paper, CNN", BLACK),
    "affnist_capsnet": ("paper, CapsNet", VERMILION),
}
SHAPES = {"ring": "circle", "published": "diamond"}
Value = dict[str, Any]


def figure_affnist(runs: Sequence[RunResult]) -> Chart | None:
    """Draw a line for each run whose errors were counted along training, and the paper's two."""
    found = [run for run in runs if len(points(run.arrays))]
    if not found:
        return None
    named = list(zip(found, labels(found), strict=True))
    values = [
        value for run, label in named for value in (*_counted(run, label), *_ring(run, label))
    ]
    names = series(found) | dict(PUBLISHED.values())
    panel = Panel("", _drawn([*values, *_published()], names))
    title = "affNIST error against clean test error"
    return Chart(title, caption(found, REMARK), caveats(found), [[panel]])


def _counted(run: RunResult, label: str) -> Iterator[Value]:
    """Give the errors at each validation, in percent."""
    for step, clean, affine in points(run.arrays).tolist():
        yield _value("point", label, clean, affine) | {"run": called(run), "step": int(step)}


def _ring(run: RunResult, label: str) -> Iterator[Value]:
    """Give the estimate at the paper's clean error, where there is one within the points."""
    estimate = at_clean_error(points(run.arrays), paper.CLEAN)
    if estimate is not None and not estimate.extrapolated:
        yield _value("ring", label, paper.CLEAN, estimate.percent) | {"run": called(run)}


def _published() -> Iterator[Value]:
    """Give the clean and the affNIST error of each of the paper's networks."""
    errors = {(row.experiment, row.test): row.error_percent for row in paper.AFFNIST}
    for experiment, (name, _) in PUBLISHED.items():
        clean, affine = errors[experiment, "test"], errors[experiment, "affnist"]
        yield _value("published", name, clean, affine) | {"run": name}


def _value(shape: str, network: str, clean: float, affine: float) -> Value:
    return {"shape": shape, "network": network, "clean": clean, "affine": affine}


def _drawn(values: Sequence[Value], by_label: dict[str, str]) -> alt.LayerChart:
    every = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("clean:Q", **logarithmic("error on expanded test digits, %")),
        y=alt.Y("affine:Q", **logarithmic("error on affNIST, %")),
        color=colours("network", by_label),
        tooltip=["run:N", "step:Q", "clean:Q", "affine:Q"],
    )
    along = every.transform_filter("isValid(datum.step)")
    shapes = alt.Scale(domain=[*SHAPES], range=[*SHAPES.values()])
    return layers(
        along.mark_line(strokeWidth=1).encode(order="step:Q", detail="run:N"),
        along.mark_circle(size=20, opacity=1),
        every.transform_filter("!isValid(datum.step)")
        .mark_point(size=100, opacity=1)
        .encode(shape=alt.Shape("shape:N", scale=shapes, legend=None)),
    )
