"""The curves of a training, from the CSV files that it left."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COUNTERS = ("epoch", "images_seen")  # which the step says already


def curves(folder: Path) -> dict[str, NDArray[np.float64]]:
    """Read every logged metric by name: [points, 2], the step and the value there.

    A resumed run has one CSV file for each start; what a later one logged again counts.
    """
    logged: dict[str, dict[int, float]] = {}
    for step, name, value in _values(folder / "logs"):
        logged.setdefault(name, {})[step] = value
    for counter in COUNTERS:
        logged.pop(counter, None)
    return {name: np.array(sorted(points.items())) for name, points in logged.items()}


def _values(logs: Path) -> Iterator[tuple[int, str, float]]:
    files = logs.glob("version_*/metrics.csv")
    for path in sorted(files, key=lambda path: int(path.parent.name.split("_")[1])):
        for row in csv.DictReader(_whole_lines(path)):
            step = int(row.pop("step"))
            yield from ((step, name, float(value)) for name, value in row.items() if value)


def _whole_lines(path: Path) -> list[str]:
    """Read the lines that were written to their end: a full disk cuts the last one."""
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
