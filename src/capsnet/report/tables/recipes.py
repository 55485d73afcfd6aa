"""The two recipes at equal steps: which learns faster, which ends lower."""

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path

from matplotlib.ticker import PercentFormatter

from capsnet.records.record import Record
from capsnet.report.analysis.runs import RunResult, caption, caveats
from capsnet.report.analysis.selection import Pair, matched_pairs
from capsnet.report.analysis.verdicts import Noise, pooled
from capsnet.report.figures.style import BLUE, VERMILION, save_figure
from capsnet.report.tables.pairs import PairsRow, comparing, errors
from capsnet.report.tables.paper_tables import Runs
from capsnet.report.tables.runs_table import steps
from capsnet.report.tables.table import Column, Table

RELEASED, TEXT = "released", "text"
COLOURS = {RELEASED: BLUE, TEXT: VERMILION}


class RecipesRow(PairsRow):
    """Runs that differ in nothing but the recipe, pair by pair, `text` first."""

    @cached_property
    def noise(self) -> Noise | None:
        """Return how noisy seeds are, of these runs alone."""
        return pooled(errors(self.runs, self.pairs, self.test))


def recipes_table(runs: Runs) -> Table[RecipesRow]:
    """Tabulate each experiment and schedule that both recipes were run with, shortest first."""

    def schedule(pair: Pair) -> tuple[str, int, str, int]:
        one = runs[pair[0]]
        return one.experiment, one.steps_planned, one.schedule, one.training_examples

    grouped = groupby(sorted(pairs(runs), key=schedule), schedule)
    rows = [RecipesRow(list(group), runs, "test") for _, group in grouped]
    return Table("Recipes at equal steps", RECIPE_COLUMNS, rows)


def pairs(runs: Runs) -> list[Pair]:
    """Runs that differ in nothing but the recipe, `text` first, in the order of their seeds."""

    def wanted(text: Record, released: Record) -> bool:
        recipes = text.recipe, released.recipe
        return recipes == (TEXT, RELEASED) and text.experiment == released.experiment

    return matched_pairs(runs, wanted)


def counts(records: Sequence[Record]) -> str:
    """Return the errors of each run, of how many examples."""
    tests = [record.tests["test"] for record in records]
    return ", ".join(f"{test.errors:,}" for test in tests) + f" / {tests[0].total:,}"


def trained_on(record: Record) -> str:
    """Return how many examples of what."""
    return f"{record.training_examples:,} {record.source}"


RECIPE_COLUMNS: list[Column[RecipesRow]] = [
    Column("experiment", lambda row: row.records[0].experiment, "text"),
    Column("trained on", lambda row: trained_on(row.records[0]), "text"),
    Column("steps", lambda row: steps(row.records[::2]), "text"),
    Column("released, errors", lambda row: counts(row.records[1::2])),
    Column("text, errors", lambda row: counts(row.records[::2])),
    *comparing("text lower by, % points (seeds)", "right alone: text, released (p of all seeds)"),
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
