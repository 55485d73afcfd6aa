"""Pairs of experiments that answer readers' questions, seed by seed; without verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean

from capsnet import paper
from capsnet.analysis.selection import noise
from capsnet.analysis.verdicts import Noise
from capsnet.paper import Comparison
from capsnet.report.tables.claims import by_recipe
from capsnet.report.tables.pairs import PairsRow, comparing, errors
from capsnet.report.tables.paper_tables import Runs
from capsnet.report.tables.runs_table import steps
from capsnet.report.tables.table import Column, Table


@dataclass(frozen=True, eq=False)
class ComparisonRow(PairsRow):
    """A question, and the pairs of runs of one recipe that answer it."""

    comparison: Comparison

    @cached_property
    def noise(self) -> Noise | None:
        """Return how noisy the seeds of the paper's row are, as an ablation's are too few."""
        of_the_paper = [one for one in self.records if paper.reported(one.experiment)]
        return noise(self.runs, of_the_paper[0], self.test) if of_the_paper else None

    @property
    def means(self) -> tuple[str, str]:
        """Write the mean errors of the first and of the second."""
        if not self.pairs:
            return "–", "–"
        first, second = errors(self.runs, self.pairs, self.test)
        return f"{mean(first):.2f}", f"{mean(second):.2f}"

    @property
    def trained(self) -> str:
        """Write recipe, schedule and steps."""
        if not self.pairs:
            return "not yet run"
        first = self.records[0]
        return f"{first.variant}, {first.schedule}, {steps(self.records)}"


def comparisons_table(runs: Runs, comparisons: Sequence[Comparison]) -> Table[ComparisonRow]:
    """Tabulate each question and each recipe that both of its networks were run with.

    Differences are in percentage points, with 95 % intervals: over other seeds, whose noise is that
    of the paper's rows, and over other seeds and digits.
    """
    rows = [
        ComparisonRow(found, runs, one.test, one)
        for one in comparisons
        for found in by_recipe(one, runs)
    ]
    return Table("Questions, seed by seed", COLUMNS, rows, lead=LOWER)


LOWER = "first lower by, % points (seeds)"
COLUMNS: list[Column[ComparisonRow]] = [
    Column("first, not second", lambda row: row.comparison.words, "text"),
    Column("first %", lambda row: row.means[0]),
    Column("second %", lambda row: row.means[1]),
    *comparing(LOWER, "right alone: the first, the second (p of all seeds)", "digits"),
    Column("recipe, schedule, steps", lambda row: row.trained, "text"),
]
