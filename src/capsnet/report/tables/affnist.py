"""affNIST error at equal clean test error."""

from collections.abc import Callable, Iterator, Sequence

from capsnet import paper
from capsnet.analysis.equal_error import Estimate, at_clean_error, points
from capsnet.analysis.selection import groups
from capsnet.records.runs import Run
from capsnet.report.tables.rows import Runs
from capsnet.report.tables.runs_table import steps
from capsnet.report.tables.table import Column, Table, mean_sd

TARGETS = (2.0, 1.5, 1.0, paper.CLEAN_ERROR_PERCENT)  # percent

Seeds = Sequence[Run]  # a row: one run, or the seeds of an experiment, whose means it shows


def equal_error_table(runs: Runs) -> Table[Seeds]:
    """Tabulate each run whose test errors were counted along training, and the means of seeds."""
    return Table("affNIST at equal clean test error", EQUAL_ERROR_COLUMNS, [*_rows(runs)])


def _rows(runs: Runs) -> Iterator[Seeds]:
    counted = [run for run in runs if "affnist" in run.record.tests and len(points(run.arrays))]
    for experiment in dict.fromkeys(run.record.experiment for run in counted):
        for seeds in groups(counted, experiment):
            yield from ([run] for run in seeds)
            yield from [seeds] * (len(seeds) > 1)


def _name(seeds: Seeds) -> str:
    first = seeds[0].record
    which = f"seed {first.seed}" if len(seeds) == 1 else f"mean of {len(seeds)} seeds"
    return f"{first.experiment}, {which}"


def _error_at(target: float) -> Callable[[Seeds], str | None]:
    """Return the affNIST error at a clean error: of one run, or the mean where every run has it."""

    def cell(seeds: Seeds) -> str | None:
        estimates = [at_clean_error(points(run.arrays), target) for run in seeds]
        if len(seeds) == 1:
            return in_words(estimates[0])
        known = [one.percent for one in estimates if one is not None and not one.extrapolated]
        return mean_sd(known, ".1f") if len(known) == len(seeds) else None

    return cell


def in_words(estimate: Estimate | None) -> str | None:
    """Return '23.4', with 'extrapolated' where no point lies beyond."""
    return estimate and f"{estimate.percent:.1f}" + " extrapolated" * estimate.extrapolated


def _at_end(test: str) -> Callable[[Seeds], str]:
    """Return the error at the end of training."""
    return lambda seeds: mean_sd([run.record.tests[test].error_percent for run in seeds], ".2f")


def _points(seeds: Seeds) -> str | None:
    """Count the points of one run."""
    return f"{len(points(seeds[0].arrays))}" if len(seeds) == 1 else None


EQUAL_ERROR_COLUMNS: list[Column[Seeds]] = [
    Column("run", _name, "text"),
    Column("recipe", lambda seeds: seeds[0].record.variant, "text"),
    *(Column(f"affNIST % at {target:g} % clean", _error_at(target)) for target in TARGETS),
    Column("points", _points),
    Column("at the end: clean %", _at_end("test")),
    Column("at the end: affNIST %", _at_end("affnist")),
    Column("steps", lambda seeds: steps([run.record for run in seeds]), "text"),
]
