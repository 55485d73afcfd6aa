"""The two recipes at equal steps: which learns faster, which ends lower."""

from functools import cached_property
from itertools import chain, groupby

from capsnet.analysis.selection import Pair, matched_pairs, pairing_key
from capsnet.analysis.verdicts import Noise
from capsnet.records.record import Record
from capsnet.report.tables.pairs import PairsRow, comparing
from capsnet.report.tables.rows import Runs
from capsnet.report.tables.runs_table import error_counts, steps
from capsnet.report.tables.table import Column, Table

RELEASED, TEXT = "released", "text"


class RecipesRow(PairsRow):
    """Runs that differ in nothing but the recipe, pair by pair, `text` first."""

    @cached_property
    def noise(self) -> Noise | None:
        """Return how noisy seeds are, of these runs alone."""
        return self.own_noise


def recipes_table(runs: Runs) -> Table[RecipesRow]:
    """Tabulate all that both recipes were run with, by experiment, the shortest schedule first."""

    def alike(pair: Pair) -> tuple[object, ...]:
        one = pair[0].record
        _, *all_but_seed = pairing_key(one)
        return one.experiment, one.steps_planned, *all_but_seed

    grouped = groupby(sorted(matched_pairs(runs, text_and_released), key=alike), alike)
    rows = [RecipesRow(runs, [*chain(*group)], "test") for _, group in grouped]
    return Table("Recipes at equal steps", RECIPE_COLUMNS, rows)


def text_and_released(one: Record, other: Record) -> bool:
    """Tell whether these are runs of one experiment by `text` and by `released`."""
    return (one.recipe, other.recipe, one.experiment) == (TEXT, RELEASED, other.experiment)


def trained_on(row: RecipesRow) -> str:
    """Return how many examples of what."""
    return f"{row.records[0].training_examples:,} {row.records[0].source}"


def counts(row: RecipesRow, place: int) -> str:
    """Return the errors of the first of the pairs or of the second, of how many examples."""
    return error_counts(row.tests[place::2])


RECIPE_COLUMNS: list[Column[RecipesRow]] = [
    Column("experiment", lambda row: row.records[0].experiment, "text"),
    Column("trained on", trained_on, "text"),
    Column("steps", lambda row: steps(row.records[::2]), "text"),
    Column("released, errors", lambda row: counts(row, 1)),
    Column("text, errors", lambda row: counts(row, 0)),
    *comparing(
        "text lower by, % points (seeds)", "right alone: text, released (p of all seeds)", "images"
    ),
]
