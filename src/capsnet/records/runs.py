"""Finished runs, as analyses and reports take them: a record and the arrays beside it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capsnet.records.record import Record, read_arrays, read_record, record_paths


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: its record and the record's path, compared by identity."""

    record: Record
    path: Path

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Read the arrays beside the record, when first asked for; none where they were not kept.

        Raises UserError when the file is not a whole one.
        """
        return read_arrays(self.path)

    def curve(self, metric: str) -> NDArray[np.float64]:
        """Return a curve [points, 2]: step and value; no points where it was not logged."""
        return self.arrays.get(f"curve.{metric}", np.empty((0, 2)))


def read_runs(folder: Path, pattern: str = "*/*.json") -> list[Run]:
    """Read every run of a profile's `folder`, in the order of the paths of their records."""
    return [Run(read_record(path), path) for path in record_paths(folder, pattern)]
