"""affNIST error at equal clean test error."""

from collections.abc import Callable, Iterator, Sequence
from statistics import mean, stdev

from capsnet import paper
from capsnet.analysis.equal_error import Estimate, at_clean_error, points
from capsnet.analysis.numbers import points_of
from capsnet.analysis.selection import groups
from capsnet.records.record import read_arrays
from capsnet.report.runs import RunResult
from capsnet.report.tables.paper_tables import Runs
from capsnet.report.tables.runs_table import steps
from capsnet.report.tables.table import Column, Table

TARGETS = (2.0, 1.5, 1.0, paper.CLEAN)  # percent


Seeds = Sequence[RunResult]  # a row: one run, or the seeds of an experiment, whose means it shows


def equal_error_table(runs: Runs) -> Table[Seeds]:
    """Give a row to each run whose test errors were counted along training, and to their means."""
    return Table("affNIST at equal clean test error", EQUAL_ERROR_COLUMNS, [*_rows(runs)])


def _rows(runs: Runs) -> Iterator[Seeds]:
    counted = {
        path: one for path, one in runs.items() if "affnist" in one.tests and len(points_of(path))
    }
    for experiment in dict.fromkeys(record.experiment for record in counted.values()):
        for group in groups(counted, experiment):
            seeds = [RunResult(record, read_arrays(path)) for path, record in group.items()]
            yield from ([run] for run in seeds)
            yield from [seeds] * (len(seeds) > 1)


def _name(seeds: Seeds) -> str:
    first = seeds[0].record
    which = f"seed {first.seed}" if len(seeds) == 1 else f"mean of {len(seeds)} seeds"
    return f"{first.experiment}, {which}"


def _error_at(target: float) -> Callable[[Seeds], str]:
    """Return the affNIST error at a clean error: of one run as `in_words` does, or the mean."""

    def cell(seeds: Seeds) -> str:
        estimates = [at_clean_error(points(run.arrays), target) for run in seeds]
        return in_words(estimates[0]) if len(seeds) == 1 else _mean(estimates)

    return cell


def _mean(estimates: Sequence[Estimate | None]) -> str:
    """Average what every run has an estimate of, with the standard deviation between seeds."""
    percents = [one.percent for one in estimates if one is not None and not one.extrapolated]
    if len(percents) < len(estimates):
        return "–"
    return f"{mean(percents):.1f} ± {stdev(percents):.1f}"


def in_words(estimate: Estimate | None) -> str:
    """Give '23.4', with 'extrapolated' where no point lies beyond; '–' without an estimate."""
    if estimate is None:
        return "–"
    return f"{estimate.percent:.1f}" + (" extrapolated" if estimate.extrapolated else "")


def _at_end(test: str) -> Callable[[Seeds], str]:
    """Return the error at the end of training, with the standard deviation between seeds."""

    def cell(seeds: Seeds) -> str:
        percents = [run.record.tests[test].error_percent for run in seeds]
        spread = f" ± {stdev(percents):.2f}" if len(percents) > 1 else ""
        return f"{mean(percents):.2f}{spread}"

    return cell


EQUAL_ERROR_COLUMNS: list[Column[Seeds]] = [
    Column("run", _name, "text"),
    Column("recipe", lambda seeds: seeds[0].record.variant, "text"),
    *(Column(f"affNIST % at {target:g} % clean", _error_at(target)) for target in TARGETS),
    Column("points", lambda seeds: f"{len(points(seeds[0].arrays))}" if len(seeds) == 1 else "–"),
    Column("at the end: clean %", _at_end("test")),
    Column("at the end: affNIST %", _at_end("affnist")),
    Column("steps", lambda seeds: steps([run.record for run in seeds]), "text"),
]
