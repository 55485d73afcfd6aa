"""The numbers that verdicts rest on: test errors, on affNIST those at the paper's clean error."""

from collections.abc import Sequence

from capsnet import paper
from capsnet.analysis.equal_error import at_clean_error, points
from capsnet.records.runs import Run


def numbers(runs: Sequence[Run], test: str) -> list[float]:
    """Return the error of each run on `test`, in percent.

    On affNIST those of `at_equal_error`; where it has none, the errors at the end of training.
    """
    return at_equal_error(runs, test) or at_the_end(runs, test)


def at_the_end(runs: Sequence[Run], test: str) -> list[float]:
    """Return the error of each run on `test` at the end of its training, in percent."""
    return [run.record.tests[test].error_percent for run in runs]


def at_equal_error(runs: Sequence[Run], test: str) -> list[float] | None:
    """Estimate each run's affNIST error where its clean error was `paper.CLEAN_ERROR_PERCENT`.

    None for other tests, and unless every run has counted its errors on both sides of that.
    """
    if test != "affnist":
        return None
    every = [at_clean_error(points(run.arrays), paper.CLEAN_ERROR_PERCENT) for run in runs]
    between = [one.percent for one in every if one is not None and not one.extrapolated]
    return between if len(between) == len(every) else None
