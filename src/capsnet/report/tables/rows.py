"""Rows that summarise runs on one test set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from capsnet.analysis.numbers import at_equal_error, numbers
from capsnet.analysis.selection import noise
from capsnet.analysis.verdicts import Noise
from capsnet.records.record import Record
from capsnet.report.tables.table import Result

Runs = Mapping[Path, Record]


@dataclass(frozen=True, eq=False)
class RunsRow:
    """Those of our `runs` that are at `paths`, on `test`; all of them tell how noisy seeds are."""

    runs: Runs
    paths: Sequence[Path]
    test: str

    @property
    def records(self) -> list[Record]:
        """Return the records at `paths`."""
        return [self.runs[path] for path in self.paths]

    @property
    def results(self) -> list[Result]:
        """Return the runs, and their errors on the test set."""
        return [(record, record.tests[self.test]) for record in self.records]

    @cached_property
    def errors(self) -> list[float]:
        """Return the test errors in percent."""
        return numbers(self.runs, self.paths, self.test)

    @cached_property
    def at_equal_error(self) -> bool:
        """Tell whether these are the errors at the paper's clean error."""
        return at_equal_error(self.paths, self.test) is not None

    @cached_property
    def noise(self) -> Noise | None:
        """Return how noisy seeds are."""
        return noise(self.runs, self.records[0], self.test)
