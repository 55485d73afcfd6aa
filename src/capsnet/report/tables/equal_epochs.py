"""Our runs beside those of public implementations that were trained for as many epochs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from capsnet.analysis.selection import exclude_demo, groups
from capsnet.public_results import PublicResult
from capsnet.report.tables.rows import Runs, RunsRow
from capsnet.report.tables.runs_table import error_counts
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


def _as_long(runs: Runs, public: PublicResult) -> list[list[Path]]:
    """Group our runs of the public result's schedule."""
    real = exclude_demo(runs)
    found = {path: one for path, one in real.items() if one.schedule == public.schedule}
    return groups(found, public.experiment)


def theirs(row: EqualEpochs) -> str:
    """Write the public mean, its sd, the number of trials and whose they are."""
    one = row.public
    return f"{one.error_percent} ± {one.sd} ({one.trials}), {one.whose}"


def ours(row: EqualEpochs) -> str:
    """Write our mean, sd and number of seeds."""
    if not row.paths:
        return "not yet run"
    return f"{mean_sd(row.errors, '.2f', '.3f')} ({len(row.errors)})"


def counts(row: EqualEpochs) -> str | None:
    """Write our errors seed by seed."""
    return error_counts([test for _, test in row.results]) if row.paths else None


def difference(row: EqualEpochs) -> str | None:
    """Subtract their mean from ours, with Welch's 95 % interval where we have two runs."""
    if not row.paths:
        return None
    value = with_sign(mean(row.errors) - row.public.error_percent)
    if len(row.errors) < 2:
        return value
    low, high = map(with_sign, welch(row.errors, row.public))
    return f"{value} ({low} to {high})"


def welch(ours: Sequence[float], public: PublicResult) -> tuple[float, float]:
    """Compute Welch's 95 % interval of our mean minus theirs."""
    from scipy.stats import t

    theirs = public.sd**2 / public.trials
    own = stdev(ours) ** 2 / len(ours)
    freedom = (own + theirs) ** 2 / (own**2 / (len(ours) - 1) + theirs**2 / (public.trials - 1))
    half = float(t.ppf(0.975, freedom)) * (own + theirs) ** 0.5
    middle = mean(ours) - public.error_percent
    return middle - half, middle + half


OURS: Column[EqualEpochs] = Column("ours %", ours)
COLUMNS: list[Column[EqualEpochs]] = [
    Column("experiment", lambda row: row.public.experiment, "text"),
    Column("epochs", lambda row: f"{row.public.epochs}"),
    Column("public %", theirs),
    OURS,
    Column("errors / tests", counts),
    Column("ours minus public, % points", difference),
    Column("recipe", lambda row: row.records[0].variant if row.paths else None, "text"),
]
