"""The figure of a sweep: test error, and the final training loss of each kind of loss."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from statistics import mean
from textwrap import fill

from matplotlib.axes import Axes

from capsnet.report.analysis.runs import RunResult, caption, caveats
from capsnet.report.figures.style import COLOURS, save_figure
from capsnet.report.tables.sweep import REMARK, Sweep, error, final_loss, loss_kind, mean_loss

WIDE = 48  # characters of a legend's line: more would be wider than the panel


def figure_sweep(stem: Path, sweep: Sweep) -> None:
    """Draw the error, and beside it the loss, each kind of loss on axes of its own."""
    kinds = list(dict.fromkeys(loss_kind(run) for run in sweep.runs if final_loss(run) is not None))
    size, title = (5 * max(2, 1 + len(kinds)), 4.4), f"Sweep over {sweep.label}"
    with save_figure(stem, size, title, caption(sweep.runs, REMARK), caveats(sweep.runs)) as figure:
        left, *rest = figure.subplots(1, 1 + len(kinds), squeeze=False).flat
        for colour, label, group in zip(
            cycle(COLOURS), sweep.labels(), sweep.series().values(), strict=False
        ):
            _errors(left, sweep, group, colour, fill(label, WIDE))
            for axes, kind in zip(rest, kinds, strict=True):
                _losses(axes, sweep, [run for run in group if loss_kind(run) == kind], colour)
        left.set_ylim(bottom=0)
        left.set(title="test error", ylabel="errors, %")
        for axes, kind in zip(rest, kinds, strict=True):
            axes.set(title=f"final training loss, {kind}", ylabel="loss")
        for axes in (left, *rest):
            axes.set(xlabel=sweep.label)
            axes.set_xticks([*sweep.places().values()], [*sweep.places()])
        if len(sweep.labels()) > 1:
            left.legend(fontsize=7)


def _errors(axes: Axes, sweep: Sweep, runs: Sequence[RunResult], colour: str, label: str) -> None:
    """Draw a point and a bar for each run, and a line through the means."""
    for place, run in sweep.spread(runs):
        low, high = run.record.tests["test"].interval_percent
        axes.plot([place, place], [low, high], color=colour, linewidth=0.8, alpha=0.6)
        axes.plot(place, error(run), "o", color=colour, markersize=4)
    places, groups = sweep.places(), sweep.by_value(runs)
    means = {places[value]: mean(map(error, group)) for value, group in groups.items()}
    axes.plot(list(means), list(means.values()), color=colour, linewidth=1.2, label=label)


def _losses(axes: Axes, sweep: Sweep, runs: Sequence[RunResult], colour: str) -> None:
    for place, run in sweep.spread(runs):
        loss = final_loss(run)
        if loss is not None:
            axes.plot(place, loss, "o", color=colour, markersize=4)
    places, groups = sweep.places(), sweep.by_value(runs)
    means = {places[value]: mean_loss(group) for value, group in groups.items()}
    known = {place: loss for place, loss in means.items() if loss is not None}
    axes.plot(list(known), list(known.values()), color=colour, linewidth=1.2)
