"""The figure of the two recipes' validation error while training."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import PercentFormatter

from capsnet.report.analysis.runs import RunResult, caption, caveats
from capsnet.report.figures.style import BLUE, VERMILION, save_figure
from capsnet.report.tables.recipes import RELEASED, TEXT

COLOURS = {RELEASED: BLUE, TEXT: VERMILION}


def figure_recipes(stem: Path, runs: Sequence[RunResult]) -> bool:
    """Validation error while training, a line a run; whether any two recipes have logged it."""
    logged = [run for run in runs if len(run.curve("validation/error"))]
    if {run.record.recipe for run in logged} != set(COLOURS):
        return False
    remark = (
        "Errors on the first training digits, which were held out; the test digits play no part."
    )
    title = "Two recipes: which learns faster"
    with save_figure(stem, (8, 4), title, caption(logged, remark), caveats(logged)) as figure:
        axes = figure.subplots()
        for run in logged:
            style = {"color": COLOURS[run.record.recipe], "marker": ".", "linewidth": 1.2}
            label = f"{run.record.recipe}, seed {run.record.seed}"
            axes.plot(*run.curve("validation/error").T, **style, label=label)
        axes.set(xlabel="training step", ylabel="validation error", ylim=(0, None))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.legend()
    return True
