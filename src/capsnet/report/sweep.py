"""A sweep over routing iterations: does the test error rise while the training loss still falls?"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, groupby
from pathlib import Path
from statistics import mean, stdev

from matplotlib.axes import Axes

from capsnet.report.look import COLOURS, drawing
from capsnet.report.runs import Run, caption, marks
from capsnet.report.tables import Text, markdown
from capsnet.results import write_atomically

LAST = 0.1  # of the logged points: their mean is the final training loss
REMARK = (
    "Points: a run each, with its 95 % interval. Lines: means over seeds. Final training "
    f"loss: mean of the last {100 * LAST:.0f} % of the logged points."
)
RUNS = (
    "series",
    "iterations",
    "seed",
    "errors / tests",
    "test error %",
    "95 % interval",
    "final training loss",
    "steps",
)
MEANS = ("series", "iterations", "seeds", "test error %, mean ± sd", "final training loss, mean")
SPREAD = 0.25  # over how many iterations the seeds are spread, so that their bars stand apart


def series(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """The runs that differ in nothing but seed and iterations, by what they share."""
    swept = sorted(runs, key=lambda run: (name(run), run.iterations or 0, run.record.seed))
    return {title: list(group) for title, group in groupby(swept, name)}


def name(run: Run) -> str:
    """'mnist_capsnet_r3, released, 50,000 mnist, width 0.25, epochs2: 938 steps of 128', say."""
    swept = "model.routing_iterations="
    one = replace(
        run.record, changed=tuple(c for c in run.record.changed if not c.startswith(swept))
    )
    trained = f"{one.training_examples:,} {one.source}, width {one.model['width']:g}"
    decoder = ", decoder" if run.decoder else ""
    schedule = f"{one.schedule}: {one.steps_planned:,} steps of {one.batch}"
    return f"{one.experiment}, {one.variant}, {trained}{decoder}, {schedule}"


def final_loss(run: Run) -> float | None:
    """None where no curve was kept."""
    values = run.curve("train/loss")[:, 1]
    return float(values[-max(1, round(LAST * len(values))) :].mean()) if len(values) else None


def by_iterations(runs: Sequence[Run]) -> dict[int, list[Run]]:
    """The seeds of each number of iterations, of runs of one series."""
    return {count: list(group) for count, group in groupby(runs, lambda run: run.iterations or 0)}


def figure_sweep(stem: Path, runs: Sequence[Run]) -> None:
    """Test error and final training loss over the routing iterations, side by side."""
    title = "Sweep over the routing iterations"
    with drawing(stem, (10, 4.4), title, caption(runs, REMARK), marks(runs)) as figure:
        left, right = figure.subplots(1, 2)
        groups = series(runs)
        for colour, (called, group) in zip(cycle(COLOURS), groups.items(), strict=False):
            _errors(left, group, colour, called)
            _losses(right, group, colour)
        left.set_ylim(bottom=0)
        left.set(title="test error", ylabel="errors, %")
        right.set(title="final training loss", ylabel="loss")
        for axes in (left, right):
            axes.set(xlabel="routing iterations")
            axes.set_xticks(sorted({run.iterations or 0 for run in runs}))
        if len(groups) > 1:
            left.legend(fontsize=6)


def _errors(axes: Axes, runs: Sequence[Run], colour: str, called: str) -> None:
    """A point and a bar for each run, a line through the means."""
    for place, run in places(runs):
        test = run.record.tests["test"]
        low, high = test.interval_percent
        axes.plot([place, place], [low, high], color=colour, linewidth=0.8, alpha=0.6)
        axes.plot(place, test.error_percent, "o", color=colour, markersize=4)
    means = {count: mean(map(error, group)) for count, group in by_iterations(runs).items()}
    axes.plot(list(means), list(means.values()), color=colour, linewidth=1.2, label=called)


def _losses(axes: Axes, runs: Sequence[Run], colour: str) -> None:
    for place, run in places(runs):
        loss = final_loss(run)
        if loss is not None:
            axes.plot(place, loss, "o", color=colour, markersize=4)
    means = {count: mean_loss(group) for count, group in by_iterations(runs).items()}
    known = {count: loss for count, loss in means.items() if loss is not None}
    axes.plot(list(known), list(known.values()), color=colour, linewidth=1.2)


def places(runs: Sequence[Run]) -> Iterator[tuple[float, Run]]:
    """Where each run stands: at its iterations, its seeds a little apart."""
    for count, group in by_iterations(runs).items():
        step = SPREAD / len(group)
        for place, run in enumerate(group):
            yield count + (place - (len(group) - 1) / 2) * step, run


def error(run: Run) -> float:
    """In percent, on the test set."""
    return run.record.tests["test"].error_percent


def mean_loss(runs: Sequence[Run]) -> float | None:
    """None where no curve was kept."""
    losses = [loss for loss in map(final_loss, runs) if loss is not None]
    return mean(losses) if losses else None


def write_numbers(path: Path, runs: Sequence[Run]) -> None:
    """What the figure shows, as two Markdown tables: the means and every run."""
    flags = " · ".join(marks(runs))
    lines = ["# Sweep over the routing iterations", "", caption(runs), ""]
    lines += [f"**{flags}**", ""] * bool(flags)
    lines += [markdown([MEANS, *means_rows(runs)]), markdown([RUNS, *runs_rows(runs)]), REMARK]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def means_rows(runs: Sequence[Run]) -> Iterator[Text]:
    """The lines below MEANS."""
    for called, group in series(runs).items():
        for count, seeds in by_iterations(group).items():
            percents = [error(run) for run in seeds]
            spread = f" ± {stdev(percents):.3f}" if len(percents) > 1 else ""
            told = f"{mean(percents):.3f}{spread}"
            yield called, f"{count}", f"{len(seeds)}", told, _loss(mean_loss(seeds))


def runs_rows(runs: Sequence[Run]) -> Iterator[Text]:
    """The lines below RUNS."""
    for called, group in series(runs).items():
        for run in group:
            one, test = run.record, run.record.tests["test"]
            low, high = test.interval_percent
            yield (
                called,
                f"{run.iterations}",
                f"{one.seed}",
                test.counts,
                f"{test.error_percent:.3f}",
                f"{low:.3f}–{high:.3f}",
                _loss(final_loss(run)),
                f"{one.steps_done:,} of {one.steps_planned:,}",
            )


def sweep_tables(runs: Sequence[Run]) -> dict[str, list[Text]]:
    """Every run, a table for each series, by its title."""
    return {
        f"Routing iterations: {called}": [RUNS[1:], *(row[1:] for row in runs_rows(group))]
        for called, group in series(runs).items()
    }


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
