"""The two recipes at equal steps: which learns faster, which ends lower."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.ticker import PercentFormatter

from capsnet.records.record import Record
from capsnet.report.analysis.answers import contrast
from capsnet.report.analysis.runs import RunResult, caption, caveats
from capsnet.report.analysis.selection import Pair, matched_pairs
from capsnet.report.analysis.verdicts import pooled
from capsnet.report.figures.style import BLUE, VERMILION, save_figure
from capsnet.report.tables.claims import compared, errors, gain_in_words
from capsnet.report.tables.paper_rows import Text, steps

RELEASED, TEXT = "released", "text"
COLOURS = {RELEASED: BLUE, TEXT: VERMILION}
COLUMNS = (
    "experiment",
    "trained on",
    "steps",
    "released, errors",
    "text, errors",
    "text lower by, % points (seeds)",
    "digits in general (seeds and digits)",
    "right alone: text, released (p of all seeds)",
    "seeds",
)


def recipes_table(runs: Mapping[Path, Record]) -> list[Text]:
    """A line for each experiment and schedule that both recipes were run with, shortest first."""

    def schedule(pair: Pair) -> tuple[str, int, str, int]:
        one = runs[pair[0]]
        return one.experiment, one.steps_planned, one.schedule, one.training_examples

    groups = groupby(sorted(pairs(runs), key=schedule), schedule)
    return [COLUMNS, *(_row(runs, list(group)) for _, group in groups)]


def pairs(runs: Mapping[Path, Record]) -> list[Pair]:
    """Runs that differ in nothing but the recipe, `text` first, in the order of their seeds."""

    def wanted(text: Record, released: Record) -> bool:
        recipes = text.recipe, released.recipe
        return recipes == (TEXT, RELEASED) and text.experiment == released.experiment

    return matched_pairs(runs, wanted)


def _row(runs: Mapping[Path, Record], found: Sequence[Pair]) -> Text:
    text, released = ([runs[path] for path in side] for side in zip(*found, strict=True))
    both = errors(runs, found, "test")
    spread = pooled(both)
    digits = f"{text[0].training_examples:,} {text[0].source}"
    counted = _errors(released), _errors(text)
    alike = compared(contrast(runs, found, "test"), spread)
    gained = gain_in_words(*both, spread), *alike, f"{len(found)}"
    return text[0].experiment, digits, steps(text), *counted, *gained


def _errors(records: Sequence[Record]) -> str:
    tests = [record.tests["test"] for record in records]
    return ", ".join(f"{test.errors:,}" for test in tests) + f" / {tests[0].total:,}"


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
