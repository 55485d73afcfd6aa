"""The figure of affNIST error over clean test error, along each training."""

from collections.abc import Iterator, Sequence
from typing import Any

import altair as alt

from capsnet import paper
from capsnet.analysis.equal_error import at_clean_error, points
from capsnet.records.runs import Run
from capsnet.report.figures.chart import Chart, Panel, colours, layers, logarithmic
from capsnet.report.figures.style import BLACK, VERMILION
from capsnet.report.figures.training_curves import called, series
from capsnet.report.runs import caption, caveats, labels

REMARK = (
    "Both errors on test digits, counted at validations; affNIST on two copies of each digit. "
    f"Rings: {paper.CLEAN_ERROR_PERCENT} % clean error, by a local fit. Diamonds: the paper's two "
    "networks."
)
PUBLISHED = {  # the paper's networks, by experiment
    "affnist_baseline": ("paper, CNN", BLACK),
    "affnist_capsnet": ("paper, CapsNet", VERMILION),
}
FIELDS = ("run", "network", "step", "clean", "affine")
X = alt.X("clean:Q", **logarithmic("error on expanded test digits, %"))
Y = alt.Y("affine:Q", **logarithmic("error on affNIST, %"))


def figure_affnist(runs: Sequence[Run]) -> Chart | None:
    """Draw a line for each run whose errors were counted along training, and the paper's two."""
    found = [run for run in runs if len(points(run.arrays))]
    if not found:
        return None
    named = list(zip(found, labels(found), strict=True))
    values = [
        dict[str, Any](zip(FIELDS, (called(run), label, *counted), strict=True))
        for run, label in named
        for counted in points(run.arrays).tolist()
    ]
    marks = [*_rings(named), *_published()]
    color = colours("network", series(found) | dict(PUBLISHED.values()))
    shapes = alt.Scale(domain=["ring", "published"], range=["circle", "diamond"])
    shape = alt.Shape("shape:N", scale=shapes, legend=None)
    along = alt.Chart(alt.Data(values=values)).encode(
        x=X, y=Y, color=color, detail="run:N", order="step:Q"
    )
    drawn = layers(
        along.mark_line(strokeWidth=1, opacity=0.3),  # they go back and forth
        along.mark_circle(size=25, opacity=1, tooltip=True),
        alt.Chart(alt.Data(values=marks))
        .mark_point(size=120, strokeWidth=2, opacity=1, tooltip=True)
        .encode(x=X, y=Y, color=color, shape=shape),
    )
    title = "affNIST error against clean test error"
    return Chart(title, caption(found, REMARK), caveats(found), [[Panel("", drawn)]])


def _rings(named: Sequence[tuple[Run, str]]) -> Iterator[dict[str, Any]]:
    """Yield each run's estimate at the paper's clean error, where its points enclose that."""
    for run, label in named:
        estimate = at_clean_error(points(run.arrays), paper.CLEAN_ERROR_PERCENT)
        if estimate is not None and not estimate.extrapolated:
            errors = {"clean": paper.CLEAN_ERROR_PERCENT, "affine": estimate.percent}
            yield {"network": label, "shape": "ring", **errors}


def _published() -> Iterator[dict[str, Any]]:
    """Yield the clean and the affNIST error of each of the paper's networks."""
    percents = {(row.experiment, row.test): row.error_percent for row in paper.AFFNIST}
    for experiment, (name, _) in PUBLISHED.items():
        clean, affine = percents[experiment, "test"], percents[experiment, "affnist"]
        yield {"network": name, "shape": "published", "clean": clean, "affine": affine}
