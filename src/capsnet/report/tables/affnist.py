"""affNIST error at equal clean test error."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from statistics import mean, stdev

from capsnet import paper
from capsnet.records.record import Outcome, Record, read_arrays
from capsnet.report.analysis.equal_error import Estimate, at_clean_error, points
from capsnet.report.analysis.runs import RunResult
from capsnet.report.analysis.selection import groups
from capsnet.report.tables.paper_rows import Text, steps

TARGETS = (2.0, 1.5, 1.0, paper.CLEAN)  # percent
COLUMNS = (
    "run",
    "recipe",
    *(f"affNIST % at {target:g} % clean" for target in TARGETS),
    "points",
    "at the end: clean %",
    "at the end: affNIST %",
    "steps",
)


def equal_error_table(runs: Mapping[Path, Record]) -> list[Text]:
    """Give a line to each run whose test errors were counted along training, and to their means."""
    counted = {
        path: one
        for path, one in runs.items()
        if "affnist" in one.tests and len(points(read_arrays(path)))
    }
    rows = [_rows(group) for name in _experiments(counted) for group in groups(counted, name)]
    return [COLUMNS, *chain.from_iterable(rows)]


def _experiments(runs: Mapping[Path, Record]) -> list[str]:
    return list(dict.fromkeys(record.experiment for record in runs.values()))


def _rows(group: Mapping[Path, Record]) -> list[Text]:
    """Give a line to each seed, and of several seeds one to their means."""
    found = [RunResult(record, read_arrays(path)) for path, record in group.items()]
    return [*map(_row, found), *([_means(found)] if len(found) > 1 else [])]


def _means(runs: Sequence[RunResult]) -> Text:
    """Average what every run has an estimate of, with the standard deviation between seeds."""
    records = [run.record for run in runs]
    every = [[at_clean_error(points(run.arrays), target) for run in runs] for target in TARGETS]
    ends = [[one.tests[name].error_percent for one in records] for name in ("test", "affnist")]
    who = f"{records[0].experiment}, mean of {len(runs)} seeds"
    clean, affine = (f"{mean(values):.2f} ± {stdev(values):.2f}" for values in ends)
    return who, records[0].variant, *map(_mean, every), "–", clean, affine, steps(records)


def _mean(estimates: Sequence[Estimate | None]) -> str:
    percents = [one.percent for one in estimates if one is not None and not one.extrapolated]
    if len(percents) < len(estimates):
        return "–"
    return f"{mean(percents):.1f} ± {stdev(percents):.1f}"


def _row(run: RunResult) -> Text:
    record, counted = run.record, points(run.arrays)
    estimates = (in_words(at_clean_error(counted, target)) for target in TARGETS)
    ends = (_percent(record.tests[name]) for name in ("test", "affnist"))
    who = f"{record.experiment}, seed {record.seed}"
    return who, record.variant, *estimates, f"{len(counted)}", *ends, steps([record])


def in_words(estimate: Estimate | None) -> str:
    """Give '23.4', with 'extrapolated' where no point lies beyond; '–' without an estimate."""
    if estimate is None:
        return "–"
    return f"{estimate.percent:.1f}" + (" extrapolated" if estimate.extrapolated else "")


def _percent(test: Outcome) -> str:
    return f"{test.error_percent:.2f}"
