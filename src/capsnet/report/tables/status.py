"""The statements of the paper one by one: what is decided, and which runs would decide the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from capsnet import paper
from capsnet.analysis.remaining import remaining
from capsnet.analysis.selection import is_primary
from capsnet.analysis.verdicts import PRIMARY
from capsnet.paper import Claim
from capsnet.report.tables import claims, paper_tables
from capsnet.report.tables.claims import ClaimRow
from capsnet.report.tables.paper_tables import PaperRow, paper_rows
from capsnet.report.tables.rows import Runs
from capsnet.report.tables.table import Column, Table


@dataclass(frozen=True)
class Statement:
    """A claim or a number of the paper, the verdict so far, and the experiments that decide it."""

    words: str
    verdict: str
    experiments: tuple[str, ...]


def status_table(runs: Runs) -> Table[Statement]:
    """Tabulate the verdict on each claim and number under the primary recipe, and what is missing.

    *Still needed* lists the seeds of the paper's schedule that the plan's next look lacks.
    """
    columns = [
        Column[Statement]("the paper says", lambda row: row.words, "text"),
        Column[Statement]("verdict", lambda row: row.verdict, "text"),
        Column[Statement]("still needed: seeds", partial(needed, runs), "text"),
    ]
    return Table("Decided and open", columns, [*_claims(runs), *_numbers(runs)])


def needed(runs: Runs, row: Statement) -> str:
    """List the experiments and seeds that the next look lacks; 'nothing' after the last look."""
    lacking = {name: remaining(runs, name) for name in row.experiments}
    listed = [f"{name} {', '.join(map(str, seeds))}" for name, seeds in lacking.items() if seeds]
    return "; ".join(listed) or "nothing"


def _claims(runs: Runs) -> Iterator[Statement]:
    """Yield each claim, with its verdict under the primary recipe."""
    rows = claims.claims_table(runs, paper.CLAIMS).rows
    for claim in paper.CLAIMS:
        row = max((row for row in rows if row.claim is claim), key=_claim_rank)
        verdict = claims.verdict(row) if row.recipe == PRIMARY else "not enough runs"
        yield Statement(_sized(claim), verdict, (claim.better, claim.worse))


def _claim_rank(row: ClaimRow) -> tuple[bool, bool, int]:
    """Prefer the primary recipe, then pairs with a verdict, then many."""
    return row.recipe == PRIMARY, row.difference is not None, len(row.pairs)


def _sized(claim: Claim) -> str:
    """State a claim and its size."""
    return f"{claim.words}: by {claim.difference:.2f} points"


def _numbers(runs: Runs) -> Iterator[Statement]:
    """Yield each number of the paper, with its verdict; not those that training is stopped at."""
    every = [row for table in paper.TABLES for row in paper_rows(runs, table)]
    for result in dict.fromkeys(row.result for row in every if not row.result.condition):
        row = max((row for row in every if row.result == result), key=_rank)
        words = f"{row.table.title}: {result.name}: {result.error_percent} %"
        yield Statement(words, paper_tables.verdict(row), (result.experiment,))


def _rank(row: PaperRow) -> tuple[bool, bool, int, int]:
    """Prefer the primary recipe, then runs with a verdict, then the longest schedule, then many."""
    if not row.runs:
        return False, False, 0, 0
    first = row.records[0]
    return is_primary(first), row.against is not None, first.steps_planned, len(row.runs)
