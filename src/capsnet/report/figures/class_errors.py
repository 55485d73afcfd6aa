"""The figure of errors by class: what was predicted for what, and which pairs are hard."""

from collections.abc import Iterator, Sequence

import altair as alt
import numpy as np
from numpy.typing import NDArray

from capsnet.records.runs import Run
from capsnet.report.figures.chart import Chart, Panel, layers
from capsnet.report.figures.style import BLUE, INK
from capsnet.report.runs import caption, caveats

CONFUSION, PAIRS = "confusion.", "by_pair."  # arrays, by test set
REMARK = "Rows: the true class; columns: the class predicted instead, or the other of a pair."
BOTH_MISSED = "Of two classes that were both missed, each counts half for either answer."
X = alt.X("other:N", title=None, sort=None, axis=alt.Axis(labelAngle=0))
Y = alt.Y("class:N", title=None, sort=None)
STRENGTH = alt.Scale(domainMin=0, range=[0, 0.7])


def has_confusions(run: Run) -> bool:
    """Tell whether a run has what the figure shows."""
    return any(CONFUSION + test in run.arrays for test in run.record.tests)


def figure_class_errors(run: Run) -> Chart:
    """Draw the errors of one run for each test set, and of images of two classes for each pair."""
    dataset = run.record.dataset
    rows = [
        [*_panels(run, test, dataset.class_names)]
        for test in run.record.tests
        if CONFUSION + test in run.arrays
    ]
    remarks = [REMARK, *[BOTH_MISSED] * (dataset.labels_per_image == 2)]
    return Chart("Errors by class", caption([run], *remarks), caveats([run]), rows)


def _panels(run: Run, test: str, names: Sequence[str]) -> Iterator[Panel]:
    """Draw what was predicted, in percent of the images of a class; and the errors of pairs."""
    confusion = run.arrays[CONFUSION + test]
    percent = 100 * confusion / confusion.sum(1, keepdims=True).clip(min=1)
    np.fill_diagonal(percent, 0)
    yield Panel(f"{test}: percent of a class predicted as another", _matrix(percent, names))
    if PAIRS + test in run.arrays:
        wrong, total = run.arrays[PAIRS + test].astype(float)
        title = f"{test}: percent of a pair's images with an error"
        yield Panel(title, _matrix(100 * wrong / total.clip(min=1), names))


def _matrix(percent: NDArray[np.float64], names: Sequence[str]) -> alt.LayerChart:
    """Draw a matrix, with the numbers that are not 0 where these can be read."""
    values = [
        {"class": names[row], "other": names[column], "percent": float(percent[row, column])}
        for row, column in np.ndindex(percent.shape)
    ]
    chart = alt.Chart(alt.Data(values=values)).encode(x=X, y=Y)
    strength = alt.Opacity("percent:Q", scale=STRENGTH, legend=None)
    cells = chart.mark_rect(color=BLUE, tooltip=True).encode(strength)
    text = alt.Text("percent:Q", format=".2f")
    numbers = chart.mark_text(fontSize=10, color=INK).encode(text).transform_filter("datum.percent")
    return layers(cells, *[numbers] * (len(names) <= 10), height=300)
