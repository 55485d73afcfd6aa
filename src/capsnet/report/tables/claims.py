"""The paper's claims, seed by seed: two models, the same test examples, one verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean

from capsnet import paper
from capsnet.paper import Claim
from capsnet.records.record import Record
from capsnet.report.analysis.answers import Contrast, contrast, in_general
from capsnet.report.analysis.numbers import at_equal_error, numbers
from capsnet.report.analysis.selection import (
    Pair,
    code,
    exclusion_reason,
    looked,
    matched_pairs,
    noise,
)
from capsnet.report.analysis.verdicts import Difference, Noise, between, claim_verdicts
from capsnet.report.tables.paper_tables import Runs, qualified, steps
from capsnet.report.tables.table import Column, Result, Row, Table


@dataclass(frozen=True, eq=False)
class ClaimRow(Row):
    """A claim, and the pairs of runs of one recipe that test it; no pairs where there are none.

    `rows` are all rows of the table: the claims of one recipe are one family of tests.
    """

    claim: Claim
    pairs: Sequence[Pair]
    runs: Runs
    rows: Sequence["ClaimRow"]

    @property
    def paths(self) -> list[Path]:
        """Return the runs, each better one before the worse."""
        return [path for pair in self.pairs for path in pair]

    @property
    def records(self) -> list[Record]:
        """Return their records."""
        return [self.runs[path] for path in self.paths]

    @property
    def results(self) -> list[Result]:
        """Return the runs, and their errors on the claim's test set."""
        return [(record, record.tests[self.claim.test]) for record in self.records]

    @property
    def recipe(self) -> str:
        """Return the variant of the better model."""
        return self.records[0].variant if self.pairs else "–"

    @cached_property
    def noise(self) -> Noise | None:
        """Return how noisy seeds are."""
        return noise(self.runs, self.records[0], self.claim.test)

    @cached_property
    def seen(self) -> list[Pair]:
        """Return the pairs of the seeds that the plan looks at."""
        seeds = looked({better: self.runs[better] for better, _ in self.pairs})
        return [pair for pair in self.pairs if pair[0] in seeds]

    @cached_property
    def difference(self) -> Difference | None:
        """The seeds' difference at the plan's look; None before it, or where pairs cannot speak."""
        if not self.seen or exclusion_reason(self.records) is not None or self.noise is None:
            return None
        return between(*errors(self.runs, self.seen, self.claim.test), self.noise)

    @cached_property
    def compared(self) -> tuple[str, str]:
        """Return the two cells that compare the models example by example."""
        if not self.pairs:
            return "–", "–"
        found = compared(contrast(self.runs, self.pairs, self.claim.test), self.noise)
        at_stop = at_equal_error(self.paths, self.claim.test) is not None
        return ("–", f"{found[1]} at the stop") if at_stop else found


def claims_table(runs: Runs, claims: Sequence[Claim]) -> Table[ClaimRow]:
    """Tabulate each claim and each recipe that both of its models were run with.

    Differences are in percentage points, with 95 % intervals: over other seeds, and over other
    seeds and digits (of one pair over digits alone).
    """
    rows: list[ClaimRow] = []
    for claim in claims:
        rows += [ClaimRow(claim, found, runs, rows) for found in by_recipe(claim, runs)]
    return Table("Claims", CLAIM_COLUMNS, rows, lead=GAIN)


def by_recipe(claim: Claim, runs: Runs) -> list[list[Pair]]:
    """The pairs of each recipe; one empty list if there are none."""
    found = pairs(claim, runs)
    recipes = sorted({runs[better].variant for better, _ in found})
    return [[pair for pair in found if runs[pair[0]].variant == name] for name in recipes] or [[]]


def pairs(claim: Claim, runs: Runs) -> list[Pair]:
    """Runs of both models that differ in nothing but the model, in the order of their seeds.

    Of several schedules, the longest that both were run with.
    """

    def wanted(better: Record, worse: Record) -> bool:
        models = better.experiment, worse.experiment
        recipes = better.recipe == worse.recipe or not worse.capsules
        return models == (claim.better, claim.worse) and recipes

    found = matched_pairs(runs, wanted)
    longest = max((runs[better].steps_planned for better, _ in found), default=0)
    return [pair for pair in found if runs[pair[0]].steps_planned == longest]


def errors(runs: Runs, found: Sequence[Pair], test: str) -> tuple[list[float], list[float]]:
    """Test errors in percent of the better model and of the worse, seed by seed."""
    every = numbers(runs, [path for pair in found for path in pair], test)
    return every[::2], every[1::2]


def gain(row: ClaimRow) -> str:
    """Return the gain of the better model over the worse."""
    if not row.pairs:
        return "–"
    return gain_in_words(*errors(row.runs, row.pairs, row.claim.test), row.noise)


def gain_in_words(better: Sequence[float], worse: Sequence[float], spread: Noise | None) -> str:
    """The mean difference, and of several seeds its interval."""
    if spread is None or len(better) < 2:
        return f"{mean(worse) - mean(better):+.2f}"
    found = between(better, worse, spread)
    return "{:+.2f} ({:+.2f} to {:+.2f})".format(float(found.value), *found.interval())


def compared(found: Contrast | None, spread: Noise | None) -> tuple[str, str]:
    """The interval over seeds and digits; who is right alone, pair by pair, and one p.

    What float64 cannot hold is tiny.
    """
    if found is None:
        return "–", "–"
    both = None if spread is None else Noise(2**0.5 * spread.sd, spread.freedom)
    interval = "{:+.2f} to {:+.2f}".format(*in_general(found.differences, both))
    each = ", ".join(f"{test.only_first:,} / {test.only_second:,}" for test in found.pairs)
    return interval, f"{each} ({f'{found.p:.2g}' if found.p else '< 1e-300'})"


def shared(row: ClaimRow) -> str:
    """Say in what the runs of a claim agree, and name their commits where those differ."""
    if not row.pairs:
        return "–"
    commits = sorted({one.commit[:7] if one.commit else "unknown" for one in row.records})
    same = "data, seed, schedule"
    if len(commits) < 2 and len({code(record) for record in row.records}) < 2:
        return f"{same}, code"
    return f"{same}; commits {', '.join(commits)}"


def verdict(row: ClaimRow) -> str:
    """Give the verdict of a row's pairs on its claim, by the rules of the analysis plan."""
    if (why := exclusion_reason(row.records)) is not None:
        return f"none: {why}"
    if row.difference is None:
        return "not enough runs"
    done = {one.claim: one.difference for one in row.rows if one.recipe == row.recipe}
    differences = [done.get(claim) for claim in paper.CLAIMS]
    words = claim_verdicts(differences, [claim.difference for claim in paper.CLAIMS])
    seen = [path for pair in row.seen for path in pair]
    word = words[paper.CLAIMS.index(row.claim)]
    return f"{word} ({qualified(row.runs, seen, row.claim.test)})"


GAIN = "error lower by, % points (seeds)"
CLAIM_COLUMNS: list[Column[ClaimRow]] = [
    Column("claim", lambda row: row.claim.words, "text"),
    Column("verdict", verdict, "text"),
    Column(GAIN, gain),
    Column("digits in general (seeds and digits)", lambda row: row.compared[0]),
    Column("right alone: the better, the other (p of all seeds)", lambda row: row.compared[1]),
    Column("seeds", lambda row: f"{len(row.pairs)}"),
    Column("recipe", lambda row: row.recipe, "text"),
    Column("steps", lambda row: steps(row.records) if row.pairs else "–", "text"),
    Column("pairs share", shared, "text"),
]
