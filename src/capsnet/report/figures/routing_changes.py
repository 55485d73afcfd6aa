"""[P] figure A.1: how much each routing iteration changes the logits, in training and after it."""

from collections.abc import Sequence
from itertools import cycle

import altair as alt

from capsnet.records.runs import Run
from capsnet.report.figures.chart import STEP, Chart, Panel, colours, lines, logarithmic
from capsnet.report.figures.style import COLOURS, DASHES
from capsnet.report.figures.training_curves import CHANGE, SMOOTH, called, smoothed
from capsnet.report.runs import by_dataset, caption, caveats, colour, kind

TITLE = "mean |Δb|"


def figure_a1(runs: Sequence[Run]) -> Chart | None:
    """Draw the seeds of one experiment while training, and all runs after it.

    The experiment is one of 3 iterations, on the data set of most runs, with a decoder where there
    is any such.
    """
    final = [run for run in runs if "routing_changes" in run.arrays]
    if not final:
        return None
    order = [*by_dataset(final)]

    def preference(run: Run) -> tuple[bool, int, bool]:
        record = run.record
        return record.iterations != 3, order.index(record.dataset.name), not record.decoder

    first = min(final, key=preference)
    seeds = [run for run in final if run.record.experiment == first.record.experiment]
    remark = (
        f"|Δb| is averaged over examples, i and j. Left: {first.record.experiment}, a line for "
        f"each seed, running mean over 1/{SMOOTH} of the points."
    )
    panels = [*_while_training(seeds), _after_training(final)]
    title = "Figure A.1: how much routing still changes"
    return Chart(title, caption(final, remark), caveats(final), [panels], own_legends=True)


def _while_training(runs: Sequence[Run]) -> list[Panel]:
    """Draw a colour for each iteration and a line for each seed; nothing where none was logged."""
    values = [
        {
            "run": called(run),
            "iteration": f"iteration {name.rpartition('_')[2]}",
            "step": int(step),
            "change": one,
        }
        for run in runs
        for name in sorted(run.arrays)
        if name.startswith(f"curve.{CHANGE}")
        for step, one in smoothed(run.curve(name.removeprefix("curve."))).tolist()
    ]
    names = sorted({value["iteration"] for value in values}, key=lambda name: int(name[10:]))
    drawn = lines(
        values,
        dots=False,
        x=STEP,
        y=alt.Y("change:Q", title=TITLE, axis=alt.Axis(tickCount=5)),
        color=colours("iteration", dict(zip(names, cycle(COLOURS), strict=False))),
    )
    return [Panel("while training", drawn)] * bool(values)


def _after_training(runs: Sequence[Run]) -> Panel:
    """Draw more iterations than a network was trained with: they say whether routing converges."""
    dashes = dict(zip(by_dataset(runs), cycle(DASHES), strict=False))
    named = {_network(run): run for run in runs}
    values = [
        {"run": called(run), "network": _network(run), "iteration": i, "change": one}
        for run in runs
        for i, one in enumerate(run.arrays["routing_changes"].tolist(), 1)
        if one > 0
    ]
    dashed = [dashes[run.record.dataset.name] for run in named.values()]
    dash = alt.Scale(domain=[*named], range=dashed)
    legend = alt.Legend(title=None) if len(named) > 1 else None
    drawn = lines(
        values,
        x=alt.X("iteration:Q", title="routing iteration", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("change:Q", **logarithmic(TITLE)),
        color=colours("network", {name: colour(run) for name, run in named.items()}),
        strokeDash=alt.StrokeDash("network:N", scale=dash, legend=legend),
    )
    return Panel("after training", drawn)


def _network(run: Run) -> str:
    """Name the data set and the kind of network."""
    return f"{run.record.dataset.name}, {kind(run)}"
