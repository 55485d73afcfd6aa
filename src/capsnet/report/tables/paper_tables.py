"""The paper's numbers beside ours, with counts, intervals and a verdict; and ablations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from capsnet import paper
from capsnet.analysis import plan
from capsnet.analysis.answers import answers, in_general
from capsnet.analysis.numbers import at_equal_error, numbers
from capsnet.analysis.selection import (
    groups,
    is_primary,
    is_short,
    looked,
    missing,
    reached,
)
from capsnet.analysis.verdicts import SEEDS, Difference, from_paper, row_verdict
from capsnet.paper import Ablation, PaperResult, PaperTable
from capsnet.records.ensembles import Ensemble, ensemble_of
from capsnet.report.tables.rows import Runs, RunsRow
from capsnet.report.tables.runs_table import error_counts, steps, steps_done
from capsnet.report.tables.table import Column, Table, error_and_interval, mean_sd, span, with_sign

R = TypeVar("R", bound=RunsRow)


@dataclass(frozen=True, eq=False)
class ExperimentRow(RunsRow):
    """A result of the paper or an ablation, and our runs of it under one recipe and schedule."""

    result: PaperResult | Ablation

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval for images in general: of one run its own, else with seeds.

        None where several runs have not kept their answers, and at equal clean error, where the
        errors of single digits are not counted.
        """
        if self.at_equal_error:
            return None
        if len(self.runs) == 1:
            return self.tests[0].interval_percent
        kept = [answers(run, self.test) for run in self.averaged]
        seeds = [one for one in kept if one is not None]
        if len(seeds) < len(kept):
            return None
        low, high = in_general(seeds, self.noise)
        return max(0.0, low), min(100.0, high)


@dataclass(frozen=True, eq=False)
class PaperRow(ExperimentRow):
    """A result of the paper's `table`, and our runs of it under one recipe and schedule."""

    result: PaperResult
    table: PaperTable

    @cached_property
    def seen(self) -> Runs:
        """Return the runs that the plan looks at."""
        return looked(self.runs)

    @property
    def averaged(self) -> Runs:
        """Return the runs that the plan looks at, else all, and all of an ensemble."""
        return self.runs if self.result.ensemble > 1 else self.seen or self.runs

    @cached_property
    def ensemble(self) -> Ensemble | None:
        """Return the ensemble of its runs, where the paper's number is that of one."""
        return ensemble_of(self.runs) if self.result.ensemble > 1 else None

    @property
    def missing_ensemble(self) -> str | None:
        """Say why there is no ensemble like the paper's; None where there is, or none is needed."""
        if self.result.ensemble == 1:
            return None
        if self.ensemble is None:
            return "no ensemble"
        one = self.ensemble
        return None if one.n == self.result.ensemble else f"ensemble {one.size_in_words}"

    @cached_property
    def against(self) -> Difference | None:
        """Subtract the paper's number from ours; None where that says nothing about the paper.

        An ensemble is one trial, taken to vary as much between trainings as a single model [D].
        """
        if not self.seen or self.result.condition or self.excluded is not None:
            return None
        if self.noise is None or self.missing_ensemble is not None:
            return None
        if self.ensemble is not None:
            ours, trials = [self.ensemble.test.error_percent], 1
        else:
            ours, trials = numbers(self.seen, self.test), self.table.trials
        return from_paper(ours, self.result.error_percent, self.noise, trials)


def paper_rows(runs: Runs, table: PaperTable) -> list[PaperRow]:
    """List a row for each result and each recipe and schedule that it was run with, or one."""
    return [
        PaperRow(runs, group, result.test, result, table)
        for result in table.rows
        for group in groups(runs, result.experiment) or [[]]
    ]


def published(row: PaperRow) -> str:
    """Return the paper's error in percent, its sd if given, and the size of an ensemble."""
    spread = f" ± {row.result.sd}" if row.result.sd else ""
    models = f", ensemble of {row.result.ensemble}" if row.result.ensemble > 1 else ""
    return f"{row.result.error_percent}{spread}{models}"


def if_run(value: Callable[[R], str | None]) -> Callable[[R], str | None]:
    """Leave the cell of rows without runs empty."""
    return lambda row: value(row) if row.runs else None


def ours(row: ExperimentRow) -> str:
    """Return mean, sd and number of seeds."""
    number = f" ({len(row.errors)})" if len(row.errors) > 1 else ""
    gaps = ", ".join(map(str, missing(row.records)))
    absent = f", without seed {gaps}" if gaps else ""
    never = [one.seed for one in row.records if not is_short(one) and not reached(one)]
    absent += "".join(f", seed {seed} did not reach its accuracy" for seed in never)
    where = f" at {paper.CLEAN_ERROR_PERCENT} % clean error" if row.at_equal_error else ""
    return f"{mean_sd(row.errors, '.2f', '.3f')}{number}{absent}{where}"


def together(row: PaperRow) -> str | None:
    """Return the error of the ensemble of the runs, its interval, and how many they are."""
    one = row.ensemble
    return one and f"{error_and_interval(one.test)}, {one.size_in_words}"


def so_far(row: PaperRow) -> str | None:
    """Return what `ours` does, and the error of the ensemble where there is one."""
    if not row.runs:
        return None
    if (one := row.ensemble) is None:
        return ours(row)
    return f"{ours(row)}; ensemble {one.size_in_words}: {one.test.error_percent:.2f}"


def counts(row: RunsRow) -> str:
    """Return the errors of each run, of how many examples."""
    errors = error_counts(row.tests)
    return errors + " at the stop" * row.at_equal_error


def signed(found: Difference | None) -> str | None:
    """Return a difference in percentage points, and its interval over seeds."""
    if found is None:
        return None
    low, high = map(with_sign, found.interval())
    return f"{with_sign(float(found.value))} ({low} to {high})"


def tested_on(row: ExperimentRow) -> str:
    """Return the test set's source, the recipe, and how many codes trained the runs."""
    codes = len({record.identity.get("code") for record in row.records})
    several = f", {codes} codes" if codes > 1 else ""
    return f"{row.tests[0].source}, {row.records[0].variant}{several}"


def verdict(row: PaperRow, *quotes: str) -> str:
    """Return the verdict of the runs of a row on the paper's number, by the analysis plan.

    `quotes` follow its limits.

    Other digits, narrower networks, shorter schedules, values set by hand, uncommitted code and
    numbers that training was stopped at get no verdict; nor do experiments that are not the
    paper's.
    """
    if not row.runs:
        return "not yet run"
    if row.excluded is not None:
        return f"none: {row.excluded}"
    if row.result.condition:
        return "none: stopped there"
    if row.missing_ensemble is not None:
        return f"none: {row.missing_ensemble}"
    if row.against is None:
        return "not enough runs"
    limits = verdict_limits(row.seen, row.test)
    return qualified(str(row_verdict(row.against, row.table.margin)), [*limits, *quotes])


def verdict_limits(runs: Runs, test: str) -> list[str]:
    """List what limits a verdict on `runs`."""
    seen = [run.record for run in runs]
    limits = {
        "secondary": not all(map(is_primary, seen)),
        "interim": len({one.seed for one in seen}) < len(SEEDS),
        "at the stop": test == "affnist" and at_equal_error(runs, test) is None,
    }
    return [word for word, holds in limits.items() if holds]


def qualified(word: str, limits: Sequence[str]) -> str:
    """Write a verdict's word and, in brackets, its limits."""
    return f"{word} ({', '.join(limits)})" if limits else word


def trained(row: ExperimentRow) -> str:
    """Return the steps done, the schedule and the recipe."""
    first = row.records[0]
    return f"{steps_done(row.records)}, {first.schedule}, {first.variant}"


def general_column(shown: str) -> Column[ExperimentRow]:
    """Make the column of intervals for such digits, toys or images in general."""
    name = f"{shown} in general (seeds and {shown})"
    return Column(name, if_run(lambda row: row.interval and span(row.interval)))


OURS = Column("ours %", if_run(ours))
TOGETHER: Column[PaperRow] = Column("ensemble %", together)
COUNTS: Column[RunsRow] = Column("errors / tests", if_run(counts))
PUBLIC: Column[PaperRow] = Column("public %", lambda row: row.result.public)
TESTED_ON = Column("tested on, recipe", if_run(tested_on), "text")
STEPS: Column[RunsRow] = Column("steps", if_run(lambda row: steps(row.records)), "text")
PAPER_COLUMNS: list[Column[PaperRow]] = [
    Column("row", lambda row: row.result.name, "text"),
    Column("paper %", published),
    OURS,
    Column("verdict", lambda row: verdict(row, plan.quoted()), "text"),
    Column("against the paper (seeds)", lambda row: signed(row.against)),
    COUNTS,
    PUBLIC,
    TESTED_ON,
    STEPS,
]
ABLATION_COLUMNS: list[Column[ExperimentRow]] = [
    Column("experiment", lambda row: row.result.name, "text"),
    *(OURS, COUNTS, general_column("images"), TESTED_ON, STEPS),
]
STATE_COLUMNS: list[Column[PaperRow]] = [
    Column("test error, %", lambda row: f"{row.table.title}: {row.result.name}", "text"),
    Column("paper", published),
    Column("ours so far", so_far),
    Column("steps, schedule, recipe", if_run(trained), "text"),
    Column("verdict", verdict, "text"),
]


def paper_table(runs: Runs, table: PaperTable) -> Table[PaperRow]:
    """Tabulate each of the paper's results and each recipe and schedule that it was run with.

    *Against the paper* is ours minus the paper's, in percentage points, the same test digits
    having been shown to both; *digits in general* is the error in percent. Both are 95 % intervals.
    Where the paper's number is that of an ensemble, *ours* are single models, *ensemble* is theirs
    together with Wilson's interval, and *against the paper* is about that.
    """
    title, columns = f"{table.title}: test error", [*PAPER_COLUMNS]
    columns.insert(columns.index(PUBLIC), general_column(table.shown))
    if any(row.ensemble > 1 for row in table.rows):
        columns.insert(columns.index(OURS) + 1, TOGETHER)
    return Table(title, columns, paper_rows(runs, table), lead=OURS.name)


def state_table(runs: Runs) -> Table[PaperRow]:
    """Tabulate each published result and each recipe and schedule it was run with, in short.

    The results whose number is the condition at which training stops are left out.
    """
    rows = [row for table in paper.TABLES for row in paper_rows(runs, table)]
    return Table("State", STATE_COLUMNS, [row for row in rows if not row.result.condition])


def ablations_table(runs: Runs) -> Table[ExperimentRow]:
    """Tabulate each ablation, recipe and schedule that was run; ablations get no verdict."""
    rows = [
        ExperimentRow(runs, group, one.test, one)
        for one in paper.ABLATIONS
        for group in groups(runs, one.experiment)
    ]
    return Table("Ablations, not in the paper", ABLATION_COLUMNS, rows)
