"""The figure of the two recipes' validation error while training."""

from collections.abc import Sequence

import altair as alt

from capsnet.report.figures.chart import STEP, Chart, Panel, colours, lines
from capsnet.report.figures.style import BLUE, VERMILION
from capsnet.report.figures.training_curves import ERROR, called, logged
from capsnet.report.runs import RunResult, caption, caveats
from capsnet.report.tables.recipes import RELEASED, TEXT

COLOURS = {RELEASED: BLUE, TEXT: VERMILION}
REMARK = "Errors on the first training examples, which were held out; the test set plays no part."


def figure_recipes(runs: Sequence[RunResult]) -> Chart | None:
    """Draw a line for each run; nothing where one of the recipes was not validated."""
    able = [run for run in runs if ERROR in logged(run)]
    if {run.record.recipe for run in able} != set(COLOURS):
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
        color=colours("recipe", COLOURS),
    )
    title = "Two recipes: which learns faster"
    return Chart(title, caption(able, REMARK), caveats(able), [[Panel("", drawn)]])
