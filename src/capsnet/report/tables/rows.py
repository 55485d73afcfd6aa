"""Rows that summarise runs on one test set."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from capsnet.analysis.numbers import at_equal_error, numbers
from capsnet.analysis.selection import noise
from capsnet.analysis.verdicts import Noise
from capsnet.records.record import Outcome, Record
from capsnet.records.runs import Run

Runs = Sequence[Run]


@dataclass(frozen=True, eq=False)
class RunsRow:
    """Some of our `runs` on `test`; `every` run there is tells how noisy seeds are."""

    every: Runs
    runs: Runs
    test: str

    @property
    def records(self) -> list[Record]:
        """Return the records of the runs."""
        return [run.record for run in self.runs]

    @property
    def tests(self) -> list[Outcome]:
        """Return the outcomes of the runs on the test set."""
        return [record.tests[self.test] for record in self.records]

    @cached_property
    def errors(self) -> list[float]:
        """Return the test errors in percent."""
        return numbers(self.runs, self.test)

    @cached_property
    def at_equal_error(self) -> bool:
        """Tell whether these are the errors at the paper's clean error."""
        return at_equal_error(self.runs, self.test) is not None

    @cached_property
    def noise(self) -> Noise | None:
        """Return how noisy seeds are."""
        return noise(self.every, self.records[0], self.test)
