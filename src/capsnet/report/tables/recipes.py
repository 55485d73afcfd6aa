"""The two recipes at equal steps: which learns faster, which ends lower."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from matplotlib.ticker import PercentFormatter

from capsnet.records.record import Record
from capsnet.report.analysis.answers import contrast
from capsnet.report.analysis.runs import RunResult, caption, caveats
from capsnet.report.analysis.selection import Pair, matched_pairs
from capsnet.report.analysis.verdicts import Noise, pooled
from capsnet.report.figures.style import BLUE, VERMILION, save_figure
from capsnet.report.tables.claims import compared, errors, gain_in_words
from capsnet.report.tables.paper_tables import Runs, steps
from capsnet.report.tables.table import Column, Table

RELEASED, TEXT = "released", "text"
COLOURS = {RELEASED: BLUE, TEXT: VERMILION}


@dataclass(frozen=True, eq=False)
class RecipesRow:
    """Runs that differ in nothing but the recipe, pair by pair, `text` first."""

    pairs: Sequence[Pair]
    runs: Runs

    def records(self, side: int) -> list[Record]:
        """Return the records of one recipe: 0 is text, 1 is released."""
        return [self.runs[pair[side]] for pair in self.pairs]

    @cached_property
    def errors(self) -> tuple[list[float], list[float]]:
        """Return the test errors of both recipes in percent, seed by seed."""
        return errors(self.runs, self.pairs, "test")

    @cached_property
    def noise(self) -> Noise | None:
        """Return how noisy seeds are."""
        return pooled(self.errors)

    @cached_property
    def compared(self) -> tuple[str, str]:
        """Return the two cells that compare the recipes example by example."""
        return compared(contrast(self.runs, self.pairs, "test"), self.noise)


def recipes_table(runs: Runs) -> Table[RecipesRow]:
    """Tabulate each experiment and schedule that both recipes were run with, shortest first."""

    def schedule(pair: Pair) -> tuple[str, int, str, int]:
        one = runs[pair[0]]
        return one.experiment, one.steps_planned, one.schedule, one.training_examples

    grouped = groupby(sorted(pairs(runs), key=schedule), schedule)
    rows = [RecipesRow(list(group), runs) for _, group in grouped]
    return Table("Recipes at equal steps", RECIPE_COLUMNS, rows)


def pairs(runs: Runs) -> list[Pair]:
    """Runs that differ in nothing but the recipe, `text` first, in the order of their seeds."""

    def wanted(text: Record, released: Record) -> bool:
        recipes = text.recipe, released.recipe
        return recipes == (TEXT, RELEASED) and text.experiment == released.experiment

    return matched_pairs(runs, wanted)


def trained_on(row: RecipesRow) -> str:
    """Return how many examples of what."""
    first = row.records(0)[0]
    return f"{first.training_examples:,} {first.source}"


def counts(records: Sequence[Record]) -> str:
    """Return the errors of each run, of how many examples."""
    tests = [record.tests["test"] for record in records]
    return ", ".join(f"{test.errors:,}" for test in tests) + f" / {tests[0].total:,}"


RECIPE_COLUMNS: list[Column[RecipesRow]] = [
    Column("experiment", lambda row: row.records(0)[0].experiment, "text"),
    Column("trained on", trained_on, "text"),
    Column("steps", lambda row: steps(row.records(0)), "text"),
    Column("released, errors", lambda row: counts(row.records(1))),
    Column("text, errors", lambda row: counts(row.records(0))),
    Column("text lower by, % points (seeds)", lambda row: gain_in_words(*row.errors, row.noise)),
    Column("digits in general (seeds and digits)", lambda row: row.compared[0]),
    Column("right alone: text, released (p of all seeds)", lambda row: row.compared[1]),
    Column("seeds", lambda row: f"{len(row.pairs)}"),
]


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
