"""The figure of a step's time and memory by size, with votes stored and without."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from capsnet.report.figures.style import BLUE, VERMILION, save_figure
from capsnet.report.tables.speed import machine, step_seconds

NAMES = {"batch": "batch", "side": "image side, pixels", "iterations": "routing iterations"}
PATHS = {"textbook": VERMILION, "fast": BLUE}
REMARK = (
    "Without decoder. What is not varied is the paper's: batch 128, 28 pixels, 3 iterations. "
    "A point that is missing did not fit into memory."
)


def figure_growth(stem: Path, told: Mapping[str, Any]) -> None:
    """Columns what is varied, rows time and peak memory; `told` is a benchmark's JSON."""
    about = f"{machine(told)}. {REMARK}"
    with save_figure(stem, (10, 5.4), "Growth of a training step", about) as figure:
        grid = figure.subplots(2, len(NAMES), sharex="col")
        for column, (varied, name) in zip(grid.T, NAMES.items(), strict=True):
            points = [point for point in told["growth"] if point["varied"] == varied]
            _lines(column[0], points, lambda one: step_seconds(one["timings"]))
            _lines(column[1], points, lambda one: one["peak_mib"] / 1024)
            column[1].set_xlabel(name)
        grid[0, 0].set_ylabel("step, s")
        grid[1, 0].set_ylabel("peak memory, GiB")
        grid[0, 0].legend()


def _lines(axes: Axes, points: Sequence[Mapping[str, Any]], value: Any) -> None:
    places = [point["value"] for point in points]
    for path, colour in PATHS.items():
        fit = [point for point in points if point["measured"][path]["peak_mib"] is not None]
        values = [value(point["measured"][path]) for point in fit]
        axes.plot([point["value"] for point in fit], values, marker=".", color=colour, label=path)
    axes.set_ylim(bottom=0)
    axes.set_xticks(places if places[-1] < 100 else places[-3:])
