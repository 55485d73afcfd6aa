"""The paper's figures from the arrays beside our records: which runs each one shows."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from capsnet.errors import UserError
from capsnet.report.analysis.runs import RunResult, read_runs
from capsnet.report.figures import curve_figures, reconstruction_figures
from capsnet.report.figures.affnist import figure_affnist
from capsnet.report.figures.recipes import figure_recipes
from capsnet.report.figures.style import files
from capsnet.report.figures.sweep import figure_sweep
from capsnet.report.tables.sweep import sweep_of, write_numbers


def draw(folder: Path, target: Path) -> Iterator[Path]:
    """Every figure that the runs in `folder` have arrays for, into `target`.

    Of one recipe, as recipes are different models: that of most runs; and one that compares them.
    Only the training curves show runs that differ in a value set by hand. Raises UserError when
    there are no runs or none has arrays.
    """
    runs = [run for run in read_runs(folder) if run.arrays]
    if not runs:
        raise UserError(f"no record in {folder} has its arrays (.npz) beside it: train again")
    alike = _most(runs, lambda run: run.record.variant)
    same_recipe = _most(runs, lambda run: replace(run.record, overrides=()).variant)
    for name, wanted in FIGURES.items():
        if wanted(target / name, same_recipe if name == "curves" else alike):
            yield from files(target / name)
    if figure_recipes(target / "recipes", runs):
        yield from files(target / "recipes")


def _most(runs: Sequence[RunResult], variant: Callable[[RunResult], str]) -> list[RunResult]:
    """Baselines, and of the CapsNets those of the most frequent variant."""
    capsnets = [run for run in runs if run.record.capsules]
    [(wanted, _), *_] = Counter(map(variant, capsnets)).most_common(1) or [("", 0)]
    return [run for run in runs if not run.record.capsules or variant(run) == wanted]


def draw_sweep(folder: Path, target: Path) -> Iterator[Path]:
    """Draw a sweep's figure and write its numbers, from every run below `folder`, into `target`.

    Raises UserError when there are no runs, or nothing was swept.
    """
    swept = sweep_of(read_runs(folder, "**/record.json"))
    figure_sweep(target / "figure_sweep", swept)
    yield from files(target / "figure_sweep")
    write_numbers(target / "sweep.md", swept)
    yield target / "sweep.md"


def _picture(draw: Callable[[Path, RunResult], None], array: str, digits: str) -> "Figure":
    """Drawn of one run, the lowest seed; of three iterations if there is one, as in the paper."""

    def drawn(stem: Path, runs: Sequence[RunResult]) -> bool:
        able = [run for run in runs if array in run.arrays and run.set == digits]
        if able:
            draw(stem, min(able, key=lambda run: (run.iterations != 3, run.record.seed)))
        return bool(able)

    return drawn


def _a1(stem: Path, runs: Sequence[RunResult]) -> bool:
    """While training: all seeds of 3 iterations on MNIST, or of the first experiment there is."""
    able = [run for run in runs if "routing_changes" in run.arrays]
    if able:
        first = min(able, key=lambda run: (run.iterations != 3, run.set != "mnist", -run.decoder))
        same = [run for run in able if run.record.experiment == first.record.experiment]
        curve_figures.figure_a1(stem, same, able)
    return bool(able)


def _a2(stem: Path, runs: Sequence[RunResult]) -> bool:
    """Only sets of digits that both, 1 and 3 iterations, were trained on with a decoder."""
    able = [run for run in runs if run.decoder and len(run.curve("train/loss"))]
    pairs = [
        [run for run in able if run.set == digits and run.iterations in (1, 3)]
        for digits in ("mnist", "multimnist")
    ]
    whole = [pair for pair in pairs if {run.iterations for run in pair} == {1, 3}]
    if whole:
        curve_figures.figure_a2(stem, whole)
    return bool(whole)


def _losses(stem: Path, runs: Sequence[RunResult]) -> bool:
    able = [run for run in runs if any(len(run.curve(metric)) for metric in curve_figures.METRICS)]
    if able:
        curve_figures.losses(stem, able)
    return bool(able)


Figure = Callable[[Path, Sequence[RunResult]], bool]  # whether there was anything to draw
FIGURES: dict[str, Figure] = {
    "figure_3": _picture(reconstruction_figures.figure_3, "images", "mnist"),
    "figure_4": _picture(reconstruction_figures.figure_4, "perturbed", "mnist"),
    "figure_5": _picture(reconstruction_figures.figure_5, "images", "multimnist"),
    "figure_a1": _a1,
    "figure_a2": _a2,
    "affnist": figure_affnist,
    "curves": _losses,
}
