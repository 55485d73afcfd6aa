"""Pairs of experiments that answer readers' questions, seed by seed; without verdicts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean

from capsnet import paper
from capsnet.analysis.verdicts import Noise
from capsnet.paper import Comparison
from capsnet.report.tables.claims import matched
from capsnet.report.tables.pairs import PairsRow, comparing
from capsnet.report.tables.paper_tables import if_run
from capsnet.report.tables.rows import Runs
from capsnet.report.tables.runs_table import steps
from capsnet.report.tables.table import Column, Table


@dataclass(frozen=True, eq=False)
class ComparisonRow(PairsRow):
    """A question, and the pairs of runs of one recipe that answer it."""

    comparison: Comparison

    @cached_property
    def noise(self) -> Noise | None:
        """Return how noisy the paper's rows are; of an ablation, the two that are compared."""
        reported = all(paper.reported(one.experiment) for one in self.records)
        return super().noise if reported else self.own_noise


def comparisons_table(runs: Runs, comparisons: Sequence[Comparison]) -> Table[ComparisonRow]:
    """Tabulate each question and each recipe that both of its networks were run with.

    Differences are in percentage points, with 95 % intervals: over other seeds, and over other
    seeds and digits.
    """
    rows = [
        ComparisonRow(runs, found, one.test, one)
        for one in comparisons
        for found in matched(one, runs)
    ]
    return Table("Questions, seed by seed", COLUMNS, rows)


def _mean(place: int) -> Callable[[ComparisonRow], str | None]:
    """Return the mean error of the first of the pairs, or of the second."""
    return if_run(lambda row: f"{mean(row.errors[place::2]):.2f}")


def trained(row: ComparisonRow) -> str:
    """Write recipe, schedule and steps."""
    if not row.runs:
        return "not yet run"
    first = row.records[0]
    return f"{first.variant}, {first.schedule}, {steps(row.records)}"


COLUMNS: list[Column[ComparisonRow]] = [
    Column("first vs. second", lambda row: row.comparison.words, "text"),
    Column("first %", _mean(0)),
    Column("second %", _mean(1)),
    *comparing(
        "first lower by, % points (seeds)",
        "right alone: the first, the second (p of all seeds)",
        "digits",
    ),
    Column("recipe, schedule, steps", trained, "text"),
]
