"""The figure of affNIST error over clean test error, along each training."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from capsnet import paper
from capsnet.report.analysis.equal_error import at_clean_error, points
from capsnet.report.analysis.runs import RunResult, caption, caveats, labels
from capsnet.report.figures.style import BLACK, VERMILION, save_figure

REMARK = (
    "Both errors on test digits, counted at validations; affNIST on two copies of each digit. "
    "Rings: 0.775 % clean error, by a local fit. Stars: the paper's two networks."
)


def figure_affnist(stem: Path, runs: Sequence[RunResult]) -> bool:
    """Draw affNIST error over clean error, a line for each run; tell if there was any to draw."""
    found = [run for run in runs if len(points(run.arrays))]
    if not found:
        return False
    title = "affNIST error against clean test error"
    with save_figure(stem, (8, 4.6), title, caption(found, REMARK), caveats(found)) as figure:
        axes = figure.subplots()
        for run, label in zip(found, labels(found), strict=True):
            _line(axes, run, f"{label}, seed {run.record.seed}")
        _published(axes)
        axes.set(xlabel="error on expanded test digits, %", ylabel="error on affNIST, %")
        _logarithmic(axes)
        axes.legend()
    return True


def _line(axes: Axes, run: RunResult, label: str) -> None:
    """Draw the points of a run, and a ring at the paper's clean error."""
    _, clean, affine = points(run.arrays).T
    axes.plot(clean, affine, color=run.colour, marker=".", linewidth=0.8, label=label)
    estimate = at_clean_error(points(run.arrays), paper.CLEAN)
    if estimate is not None and not estimate.extrapolated:
        ring = {"marker": "o", "markersize": 9, "markerfacecolor": "none", "linestyle": "none"}
        axes.plot(paper.CLEAN, estimate.percent, color=run.colour, **ring)


def _published(axes: Axes) -> None:
    """Mark the clean and the affNIST error of each of the paper's networks."""
    errors = {(row.experiment, row.test): row.error_percent for row in paper.AFFNIST}
    names = {
        "affnist_baseline": ("paper, CNN", BLACK),
        "affnist_capsnet": ("paper, CapsNet", VERMILION),
    }
    for experiment, (name, colour) in names.items():
        place = errors[experiment, "test"], errors[experiment, "affnist"]
        axes.plot(*place, color=colour, marker="*", markersize=11, linestyle="none", label=name)


def _logarithmic(axes: Axes) -> None:
    """Use logarithmic scales that name 1, 1.5, 2, 3, 5 and 7 of each power of ten."""
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
