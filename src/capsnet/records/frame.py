"""All records as one data frame, for notebooks: a line for each record and test set."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path
from typing import Any

import polars as pl

from capsnet.records.record import Record
from capsnet.records.runs import Run


def frame(runs: Iterable[Run], root: Path = Path()) -> pl.DataFrame:
    """Return a line for each run and test set, sorted by `path`, the record's relative to `root`.

    Columns are the fields of a record and of the outcome on `test`; what is nested has the outer
    name before it: `model_width`, `dataset_name`, `identity_code`, `versions_torch`. Errors are
    counts, `error_percent` and the ends of the 95 % interval percent, times seconds. Lists are
    joined by spaces. Null where a record does not have the field.
    """
    lines = [
        {"path": _relative(run.path, root), **dict(_flat(_fields(run.record, test)))}
        for run in sorted(runs, key=attrgetter("path"))
        for test in run.record.tests
    ]
    return pl.DataFrame(lines, infer_schema_length=None)


def _fields(record: Record, test: str) -> dict[str, Any]:
    """Return what the record says, of its test sets only `test`."""
    named = {"experiment": record.experiment, "seed": record.seed, "test": test}
    outcome = asdict(record.tests[test])
    low, high = outcome.pop("interval_percent")
    interval = {
        "error_percent": record.tests[test].error_percent,
        "interval_low": low,
        "interval_high": high,
    }
    rest = {name: value for name, value in asdict(record).items() if name != "tests"}
    return named | outcome | interval | rest


def _flat(values: Mapping[str, Any], outer: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        match value:
            case dict():
                yield from _flat(value, f"{outer}{name}_")
            case list() | tuple():
                yield f"{outer}{name}", " ".join(map(str, value))
            case _:
                yield f"{outer}{name}", value


def _relative(path: Path, root: Path) -> str:
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()
