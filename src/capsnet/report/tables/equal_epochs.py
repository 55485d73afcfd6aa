"""Our runs beside those of public implementations that were trained for as many epochs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from capsnet.analysis.selection import exclude_demo, groups
from capsnet.analysis.verdicts import Difference
from capsnet.public_results import PublicResult
from capsnet.records.runs import Run
from capsnet.report.tables.paper_tables import COUNTS, if_run, signed
from capsnet.report.tables.rows import Runs, RunsRow
from capsnet.report.tables.table import Column, Table, mean_sd, with_sign


@dataclass(frozen=True, eq=False)
class EqualEpochs(RunsRow):
    """A public result, and our runs of its schedule under one recipe; maybe none yet."""

    public: PublicResult


def equal_epochs_table(runs: Runs, public: Iterable[PublicResult]) -> Table[EqualEpochs]:
    """Tabulate each public result beside our runs of as many epochs.

    The difference, ours minus theirs in percentage points, is given with Welch's 95 % interval.
    """
    rows = [
        EqualEpochs(runs, group, "test", one)
        for one in public
        for group in _as_long(runs, one) or [[]]
    ]
    return Table("At the epochs of public implementations", COLUMNS, rows, lead=OURS.name)


def _as_long(runs: Runs, public: PublicResult) -> list[list[Run]]:
    """Group our runs of the public result's schedule."""
    found = [run for run in exclude_demo(runs) if run.record.schedule == public.schedule]
    return groups(found, public.experiment)


def theirs(row: EqualEpochs) -> str:
    """Write the public mean, its sd, the number of trials and whose they are."""
    one = row.public
    return f"{one.error_percent} ± {one.sd} ({one.trials}), {one.whose}"


def ours(row: EqualEpochs) -> str:
    """Write our mean, sd and number of seeds."""
    if not row.runs:
        return "not yet run"
    return f"{mean_sd(row.errors, '.2f', '.3f')} ({len(row.errors)})"


def difference(row: EqualEpochs) -> str | None:
    """Subtract their mean from ours, with Welch's 95 % interval where we have two runs."""
    if len(row.errors) > 1:
        return signed(welch(row.errors, row.public))
    return with_sign(mean(row.errors) - row.public.error_percent)


def welch(ours: Sequence[float], public: PublicResult) -> Difference:
    """Subtract their mean from ours, with Welch's standard error and degrees of freedom."""
    theirs = public.sd**2 / public.trials
    own = stdev(ours) ** 2 / len(ours)
    degrees_of_freedom = (own + theirs) ** 2 / (
        own**2 / (len(ours) - 1) + theirs**2 / (public.trials - 1)
    )
    return Difference(mean(ours) - public.error_percent, (own + theirs) ** 0.5, degrees_of_freedom)


OURS: Column[EqualEpochs] = Column("ours %", ours)
COLUMNS: list[Column[EqualEpochs]] = [
    Column("experiment", lambda row: row.public.experiment, "text"),
    Column("epochs", lambda row: f"{row.public.epochs}"),
    Column("public %", theirs),
    OURS,
    COUNTS,
    Column("ours minus public, % points", if_run(difference)),
    Column("recipe", if_run(lambda row: row.records[0].variant), "text"),
]
