"""The paper's figures from the arrays beside our records: which runs each one shows."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from capsnet.errors import UserError
from capsnet.records.routing_reports import read_report
from capsnet.records.runs import Run
from capsnet.report.figures import reconstruction_figures
from capsnet.report.figures.affnist import figure_affnist
from capsnet.report.figures.attacks import figure_attacks
from capsnet.report.figures.chart import Chart, save_chart
from capsnet.report.figures.class_errors import figure_class_errors, has_confusions
from capsnet.report.figures.growth import figure_growth
from capsnet.report.figures.routing_changes import figure_a1
from capsnet.report.figures.routing_statistics import figure_routing
from capsnet.report.figures.style import files
from capsnet.report.figures.sweep import figure_sweep
from capsnet.report.figures.training_curves import all_curves, figure_a2, figure_recipes
from capsnet.report.runs import by_dataset, exclude_mnist_ablations, runs_below
from capsnet.report.tables.attacks import read_all_attacks
from capsnet.report.tables.sweep import sweep_of, write_numbers

RECONSTRUCTION_FIGURES = {  # what draws each, the array that it takes, and the labels of each image
    "figure_3": (reconstruction_figures.figure_3, "images", 1),
    "figure_4": (reconstruction_figures.figure_4, "perturbed", 1),
    "figure_5": (reconstruction_figures.figure_5, "images", 2),
}
CHARTS: dict[str, Callable[[Sequence[Run]], Chart | None]] = {
    "figure_a1": figure_a1,
    "figure_a2": figure_a2,
    "affnist": figure_affnist,
    "curves": all_curves,
    "recipes": figure_recipes,
}


def draw(folder: Path, target: Path) -> Iterator[Path]:
    """Draw every figure that the runs in `folder` have arrays for, into `target`.

    Raises UserError when there are no runs or none has arrays.
    """
    kept = [run for run in runs_below(folder) if run.arrays]
    if not kept:
        raise UserError(f"no record in {folder} has its arrays (.npz) beside it: train again")
    runs = exclude_mnist_ablations(kept)
    for stem, shown in reconstruction_runs(runs).items():
        RECONSTRUCTION_FIGURES[stem.partition("-")[0]][0](target / stem, shown)
        yield from files(target / stem)
    for stem, chart in charts(runs).items():
        yield from save_chart(target / stem, chart)


def reconstruction_runs(runs: Sequence[Run]) -> dict[str, Run]:
    """Choose the run that each of RECONSTRUCTION_FIGURES shows, for each data set that it can show.

    That of the lowest seed; of three iterations if there is one, as in the paper. The data set of
    most runs needs no name in the figure's.
    """
    found = dict[str, Run]()
    for name, (_, array, labels) in RECONSTRUCTION_FIGURES.items():
        able = [
            run
            for run in _most(runs, lambda run: run.record.variant)
            if array in run.arrays and run.record.dataset.labels_per_image == labels
        ]
        found |= _for_each_dataset(name, able)
    return found


def _for_each_dataset(name: str, runs: Sequence[Run]) -> dict[str, Run]:
    """Choose a run of each data set, for a figure of that name and of the data set's."""
    return {
        name + ("-" + re.sub(r"\W+", "_", dataset) if place else ""): min(
            some, key=lambda run: (run.record.iterations != 3, run.record.seed)
        )
        for place, (dataset, some) in enumerate(by_dataset(runs).items())
    }


def charts(runs: Sequence[Run]) -> dict[str, Chart]:
    """Make each of CHARTS that the runs have arrays for.

    It shows one recipe, as recipes are different models: that of most runs. Only the training
    curves show runs that differ in an override, and `recipes` compares two recipes.
    """
    alike = _most(runs, lambda run: run.record.variant)
    same_recipe = _most(runs, lambda run: replace(run.record, overrides=()).variant)
    shown = dict.fromkeys(CHARTS, alike) | {"curves": same_recipe, "recipes": runs}
    drawn = {name: chart(shown[name]) for name, chart in CHARTS.items()}
    by_class = _for_each_dataset("class_errors", [*filter(has_confusions, alike)])
    drawn |= {name: figure_class_errors(run) for name, run in by_class.items()}
    return {name: chart for name, chart in drawn.items() if chart is not None}


def _most(runs: Sequence[Run], variant: Callable[[Run], str]) -> list[Run]:
    """Return baselines, and of the CapsNets those of the most frequent variant."""
    capsnets = [run for run in runs if run.record.capsules]
    [(wanted, _), *_] = Counter(map(variant, capsnets)).most_common(1) or [("", 0)]
    return [run for run in runs if not run.record.capsules or variant(run) == wanted]


def draw_sweep(folder: Path) -> Iterator[Path]:
    """Draw a sweep's figure and write its numbers, from every run below `folder`, into it.

    Raises UserError when there are no runs, or nothing was swept.
    """
    swept = sweep_of(runs_below(folder, "**/record.json"))
    yield from save_chart(folder / "figure_sweep", figure_sweep(swept))
    write_numbers(folder / "sweep.md", swept)
    yield folder / "sweep.md"


def draw_routing(path: Path) -> Iterator[Path]:
    """Draw the routing report at `path`, a figure for each test set, beside it.

    Raises UserError when it is not a report.
    """
    report = read_report(path)
    for name in report.tests:
        stem = path.with_name(path.stem + (f"-{name}" if name != "test" else ""))
        yield from save_chart(stem, figure_routing(report, name))


def draw_growth(file: Path) -> Sequence[Path]:
    """Draw the growth in a benchmark's JSON, beside it. Raises UserError when `file` lacks it."""
    try:
        benchmark = json.loads(file.read_text())
    except ValueError as error:
        raise UserError(f"{file} is not a benchmark's JSON file: {error}") from error
    if "growth" not in benchmark:
        raise UserError(f"{file} holds no growth: run `python -m capsnet.benchmark growth` for it")
    return save_chart(file.with_name(f"{file.stem}-growth"), figure_growth(benchmark))


def draw_attacks(folder: Path, loss: str | None) -> Sequence[Path]:
    """Draw all files of attacks below `folder`, or those of one loss, into it.

    Raises UserError where there are none.
    """
    every = [one for one in read_all_attacks(folder) if loss in (None, one.loss)]
    if not every:
        of = f" by the loss {loss}" if loss else ""
        raise UserError(
            f"there are no attacks{of} below {folder}: run `python -m capsnet.attack` first"
        )
    return save_chart(folder / "attacks", figure_attacks(every))
