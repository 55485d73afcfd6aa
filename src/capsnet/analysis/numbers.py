"""The numbers that verdicts rest on: test errors, on affNIST those at the paper's clean error."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from capsnet import paper
from capsnet.analysis.equal_error import Points, at_clean_error, points
from capsnet.records.record import Record, read_arrays


def numbers(runs: Mapping[Path, Record], paths: Sequence[Path], test: str) -> list[float]:
    """Return the error of each run at `paths` on `test`, in percent.

    On affNIST those of `at_equal_error`; where it has none, the errors at the end of training.
    """
    return at_equal_error(paths, test) or [runs[path].tests[test].error_percent for path in paths]


def at_equal_error(paths: Sequence[Path], test: str) -> list[float] | None:
    """Estimate each run's affNIST error where its clean test error was `paper.CLEAN` percent.

    None for other tests, and unless every run has counted its errors on both sides of that.
    """
    if test != "affnist":
        return None
    every = [at_clean_error(points_of(path), paper.CLEAN) for path in paths]
    between = [one.percent for one in every if one is not None and not one.extrapolated]
    return between if len(between) == len(every) else None


def points_of(path: Path) -> Points:
    """Read the points of the record at `path`: once, as long as the file of its arrays stays."""
    arrays = path.with_suffix(".npz")
    if not arrays.is_file():
        return points({})
    stat = arrays.stat()
    return _points(path, (stat.st_ino, stat.st_mtime_ns))


@lru_cache(maxsize=1024)
def _points(path: Path, _version: tuple[int, int]) -> Points:
    return points(read_arrays(path))
