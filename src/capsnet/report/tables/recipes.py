"""The two recipes at equal steps: which learns faster, which ends lower."""

from collections.abc import Sequence
from functools import cached_property
from itertools import groupby

from capsnet.analysis.selection import Pair, matched_pairs
from capsnet.analysis.verdicts import Noise, pooled
from capsnet.records.record import Record
from capsnet.report.tables.pairs import PairsRow, comparing, errors
from capsnet.report.tables.paper_tables import Runs
from capsnet.report.tables.runs_table import error_counts, steps
from capsnet.report.tables.table import Column, Table

RELEASED, TEXT = "released", "text"


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
    """Pair runs that differ in nothing but the recipe, `text` first, by seed."""

    def wanted(text: Record, released: Record) -> bool:
        recipes = text.recipe, released.recipe
        return recipes == (TEXT, RELEASED) and text.experiment == released.experiment

    return matched_pairs(runs, wanted)


def counts(records: Sequence[Record]) -> str:
    """Return the errors of each run on its own test set, of how many examples."""
    return error_counts([record.tests["test"] for record in records])


def trained_on(record: Record) -> str:
    """Return how many examples of what."""
    return f"{record.training_examples:,} {record.source}"


RECIPE_COLUMNS: list[Column[RecipesRow]] = [
    Column("experiment", lambda row: row.records[0].experiment, "text"),
    Column("trained on", lambda row: trained_on(row.records[0]), "text"),
    Column("steps", lambda row: steps(row.records[::2]), "text"),
    Column("released, errors", lambda row: counts(row.records[1::2])),
    Column("text, errors", lambda row: counts(row.records[::2])),
    *comparing(
        "text lower by, % points (seeds)", "right alone: text, released (p of all seeds)", "images"
    ),
]
