"""Figures of what was logged: [P] figures A.1 and A.2, and the losses and errors of all runs."""

from collections.abc import Sequence
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from capsnet.report.analysis.runs import OTHER, SETS, RunResult, caption, caveats, labels
from capsnet.report.figures.style import COLOURS, GREY, save_figure

SMOOTH = 20  # the running mean goes over one in so many of a curve's points
SMOOTHED = f"Thin: as logged. Thick: running mean over 1/{SMOOTH} of the points."
THIN = {"linewidth": 0.5, "alpha": 0.35, "rasterized": True}  # or an SVG has 100,000s of points
DASHES = {"mnist": "-", "multimnist": "--", "affnist": ":", OTHER: "-."}
FEW = 20  # points that a line alone might hide: it takes two to make one
CELL = (4.2, 2.6)  # of a panel, in inches
METRICS = {  # what each is called, and what its panel says of it
    "train/margin": ("CapsNets: margin loss", "not comparable with cross-entropy"),
    "train/cross_entropy": ("baselines: cross-entropy", "not comparable with margin loss"),
    "validation/error": ("validation error", None),
}


def figure_a1(stem: Path, trained: Sequence[RunResult], final: Sequence[RunResult]) -> None:
    """Draw the change of the logits in each routing iteration, during training and after it.

    Left the seeds of one experiment, `trained`; right all runs of `final`.
    """
    runs = [*trained, *(run for run in final if run not in trained)]
    remark = (
        f"|Δb| is averaged over examples, i and j. Left: {trained[0].record.experiment}, a line "
        f"for each seed, running mean over 1/{SMOOTH} of the points."
    )
    title = "Figure A.1: how much routing still changes"
    with save_figure(stem, (12, 4.2), title, caption(runs, remark), caveats(runs)) as figure:
        left, right = figure.subplots(1, 2)
        _while_training(left, trained)
        _after_training(right, final)


def _while_training(axes: Axes, runs: Sequence[RunResult]) -> None:
    """One colour an iteration, a line a seed."""
    counts = range(1, 1 + max(run.iterations or 0 for run in runs))
    for iteration, colour in zip(counts, cycle(COLOURS), strict=False):
        curves = [run.curve(f"routing/change_{iteration}") for run in runs]
        for curve in (curve for curve in curves if len(curve)):
            axes.plot(*smoothed(curve).T, color=colour, linewidth=1, label=f"iteration {iteration}")
    axes.set(title="while training", xlabel="training step", ylabel="mean |Δb|")
    axes.set_ylim(bottom=0)
    _legend(axes)


def _after_training(axes: Axes, runs: Sequence[RunResult]) -> None:
    """More iterations than a network was trained with say whether routing converges."""
    for run in runs:
        changes = np.log10(run.arrays["routing_changes"])
        dash = DASHES[run.set]
        label = f"{SETS[run.set]}, {run.kind}"
        places = np.arange(1, len(changes) + 1)
        axes.plot(places, changes, dash, color=run.colour, marker=".", linewidth=1, label=label)
    axes.set(title="after training", xlabel="routing iteration", ylabel="log₁₀ mean |Δb|")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(axes, loc="upper left", bbox_to_anchor=(1, 1))


def figure_a2(stem: Path, pairs: Sequence[Sequence[RunResult]]) -> None:
    """Training loss with 1 and with 3 routing iterations, a panel for each set of digits."""
    runs = [run for pair in pairs for run in pair]
    title = "Figure A.2: training loss, 1 and 3 iterations"
    size = (max(8, 5 * len(pairs)), 4.2)
    with save_figure(stem, size, title, caption(runs, SMOOTHED), caveats(runs)) as figure:
        for axes, pair in zip(
            figure.subplots(1, len(pairs), squeeze=False).flat, pairs, strict=True
        ):
            _curves(axes, pair, "train/loss")
            axes.set(title=SETS[pair[0].set], ylabel="margin + reconstruction loss")
            axes.set(xlabel="training step", yscale="log")
            _legend(axes)


def losses(stem: Path, runs: Sequence[RunResult]) -> None:
    """A column for each set of digits, a row for each of METRICS that was logged at all.

    Of CapsNets the margin loss, which they have all in common: some add a reconstruction loss.
    """
    metrics = [name for name in METRICS if any(len(run.curve(name)) for run in runs)]
    sets = sorted({run.set for run in runs}, key=[*SETS].index)
    size = (max(8, CELL[0] * len(sets)), 1.3 + CELL[1] * len(metrics))
    with save_figure(stem, size, "Training", caption(runs, SMOOTHED), caveats(runs)) as figure:
        grid = figure.subplots(len(metrics), len(sets), squeeze=False, sharex="col")
        for axes, (metric, digits) in zip(grid.flat, product(metrics, sets), strict=True):
            _panel(axes, [run for run in runs if run.set == digits], metric)
        for column, digits in zip(grid.T, sets, strict=True):
            column[0].set_title(SETS[digits], fontweight="bold")
            column[-1].set_xlabel("training step")


def _panel(axes: Axes, runs: Sequence[RunResult], metric: str) -> None:
    """One metric on one set of digits; says so where it was not logged."""
    what, remark = METRICS[metric]
    axes.set_ylabel(what)
    if not _curves(axes, runs, metric):
        axes.text(0.5, 0.5, "not logged", transform=axes.transAxes, ha="center", color=GREY)
        axes.set_yticks([])
        return
    if metric.startswith("train/"):
        axes.set_yscale("log")
    else:
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    _legend(axes, remark)


def _curves(axes: Axes, runs: Sequence[RunResult], metric: str) -> bool:
    """Draw a colour for each label and a pair of lines for each seed; tell if there were any."""
    logged = [run for run in runs if len(run.curve(metric))]
    colours = dict[str, str]()
    for run, label in zip(logged, labels(logged) if logged else (), strict=True):
        free = (one for one in (run.colour, *COLOURS) if one not in colours.values())
        colour = colours.setdefault(label, next(free, run.colour))
        curve = run.curve(metric)
        axes.plot(*curve.T, color=colour, **THIN)
        points = "." if len(curve) < FEW else ""
        style = {"color": colour, "linewidth": 1.4, "marker": points, "label": label}
        axes.plot(*smoothed(curve).T, **style)
    return bool(logged)


def smoothed(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """[points, 2]: a running mean, over fewer points at both ends, four points to its width."""
    weights = np.ones(max(1, len(curve) // SMOOTH))
    steps, values = curve.T
    counts = np.convolve(np.ones(len(values)), weights, "same")
    means = np.convolve(values, weights, "same") / counts
    return np.column_stack([steps, means])[:: max(1, len(weights) // 4)]


def _legend(axes: Axes, title: str | None = None, **place: Any) -> None:
    """Each name once, however many seeds bear it."""
    lines, names = axes.get_legend_handles_labels()
    once = dict(zip(reversed(names), reversed(lines), strict=True))
    ordered = {name: once[name] for name in dict.fromkeys(names)}
    axes.legend(ordered.values(), ordered.keys(), title=title, title_fontsize=7, **place)
