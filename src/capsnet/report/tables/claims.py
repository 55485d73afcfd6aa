"""The paper's claims, seed by seed: two models, the same test examples, one verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from capsnet import paper
from capsnet.analysis import plan
from capsnet.analysis.selection import (
    Pair,
    code,
    looked,
    matched_pairs,
    pair_groups,
    reached,
)
from capsnet.analysis.verdicts import Difference, between, claim_verdicts
from capsnet.paper import Claim, Comparison
from capsnet.records.record import Record
from capsnet.records.runs import Run
from capsnet.report.tables.pairs import PairsRow, comparing, split_pairs
from capsnet.report.tables.paper_tables import STEPS, if_run, qualified, verdict_limits
from capsnet.report.tables.rows import Runs
from capsnet.report.tables.table import Column, Table


@dataclass(frozen=True, eq=False)
class ClaimRow(PairsRow):
    """A claim, and the pairs of runs of one recipe that test it: the better model first.

    `rows` are all rows of the table: the claims of one recipe are one family of tests.
    """

    claim: Claim
    rows: Sequence["ClaimRow"]

    @property
    def recipe(self) -> str | None:
        """Return the variant of the better model."""
        return self.records[0].variant if self.runs else None

    @cached_property
    def seen(self) -> Runs:
        """Return the pairs of the seeds that the plan looks at, one after another."""
        pairs = [*zip(*split_pairs(self.runs), strict=True)]
        seeds = looked(better for better, worse in pairs if reached(worse.record))
        return [run for pair in pairs if pair[0] in seeds for run in pair]

    @property
    def averaged(self) -> Runs:
        """Return the pairs that the plan looks at, else all."""
        return self.seen or self.runs

    @cached_property
    def difference(self) -> Difference | None:
        """Return the seeds' difference at the plan's look; None before it or without a verdict."""
        if not self.seen or self.excluded is not None or self.noise is None:
            return None
        return between(*split_pairs(self.errors), self.noise)


def claims_table(runs: Runs, claims: Sequence[Claim]) -> Table[ClaimRow]:
    """Tabulate each claim, and each recipe, data and code that both of its models were run with.

    Differences are in percentage points, with 95 % intervals: over other seeds, and over other
    seeds and digits (of one pair over digits alone).
    """
    rows: list[ClaimRow] = []
    for claim in claims:
        rows += [ClaimRow(runs, found, claim.test, claim, rows) for found in matched(claim, runs)]
    return Table("Claims", CLAIM_COLUMNS, rows, lead=GAIN)


def matched(claim: Comparison, runs: Runs) -> list[list[Run]]:
    """List the pairs of each group of runs one after another; one empty list if there are none."""
    groups = pair_groups(pairs(claim, runs))
    groups.sort(key=lambda group: group[0][0].record.variant)
    return [[run for pair in group for run in pair] for group in groups] or [[]]


def pairs(claim: Comparison, runs: Runs) -> list[Pair]:
    """Pair runs that differ in nothing but the model, in the order of their seeds.

    Of several schedules, the longest that both were run with under a recipe.
    """

    def wanted(better: Record, worse: Record) -> bool:
        models = better.experiment, worse.experiment
        recipes = better.recipe == worse.recipe or not worse.capsules
        return models == (claim.better, claim.worse) and recipes

    found = matched_pairs(runs, wanted)
    longest = {pair[0].record.variant: _steps(pair) for pair in sorted(found, key=_steps)}
    return [pair for pair in found if _steps(pair) == longest[pair[0].record.variant]]


def _steps(pair: Pair) -> int:
    return pair[0].record.steps_planned


def shared(row: ClaimRow) -> str:
    """Say in what the runs of a claim agree, and name their commits where those differ."""
    commits = sorted({one.commit[:7] if one.commit else "unknown" for one in row.records})
    same = "data, seed, schedule"
    if len(commits) < 2 and len({code(record) for record in row.records}) < 2:
        return f"{same}, code"
    return f"{same}; commits {', '.join(commits)}"


def verdict(row: ClaimRow, *quotes: str) -> str:
    """Return the verdict of a row's pairs on its claim, by the rules of the analysis plan.

    `quotes` follow its limits.
    """
    if row.excluded is not None:
        return f"none: {row.excluded}"
    if row.difference is None:
        return "not enough runs"
    family = (one for one in row.rows if one.recipe == row.recipe and one.difference is not None)
    done = {one.claim: one.difference for one in (*family, row)}
    differences = [done.get(claim) for claim in paper.CLAIMS]
    words = claim_verdicts(differences, [claim.difference for claim in paper.CLAIMS])
    limits = verdict_limits(row.seen, row.test)
    return qualified(words[paper.CLAIMS.index(row.claim)], [*limits, *quotes])


GAIN = "error lower by, % points (seeds)"
CLAIM_COLUMNS: list[Column[ClaimRow]] = [
    Column("claim", lambda row: row.claim.words, "text"),
    Column("verdict", lambda row: verdict(row, plan.quoted()), "text"),
    *comparing(GAIN, "right alone: the better, the other (p of all seeds)", "digits"),
    Column("recipe", lambda row: row.recipe, "text"),
    STEPS,
    Column("pairs share", if_run(shared), "text"),
]
