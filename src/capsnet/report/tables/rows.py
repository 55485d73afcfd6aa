"""Rows that summarise runs on one test set."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from capsnet.analysis.numbers import at_equal_error, at_the_end, numbers
from capsnet.analysis.selection import exclusion_reason, noise
from capsnet.analysis.verdicts import Noise, pooled
from capsnet.records.record import Outcome, Record
from capsnet.records.runs import Run

Runs = Sequence[Run]


@dataclass(frozen=True, eq=False)
class RunsRow:
    """Some of our `runs` on `test`; the noise between seeds is estimated from `every` run."""

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

    @property
    def averaged(self) -> Runs:
        """Return the runs that means are over."""
        return self.runs

    @cached_property
    def excluded(self) -> str | None:
        """Say why these runs get no verdict; None when they may."""
        return exclusion_reason([run.record for run in self.averaged])

    @cached_property
    def errors(self) -> list[float]:
        """Return the test errors in percent."""
        return numbers(self.averaged, self.test)

    @cached_property
    def at_equal_error(self) -> bool:
        """Tell whether these are the errors at the paper's clean error."""
        return at_equal_error(self.averaged, self.test) is not None

    @cached_property
    def noise(self) -> Noise | None:
        """Return how noisy such errors are between seeds: in the paper's rows, else in this one."""
        errors = numbers if self.at_equal_error else at_the_end
        return noise(self.every, self.records[0], self.test, errors) or self.own_noise

    @property
    def own_noise(self) -> Noise | None:
        """Return how noisy the errors of this row are between seeds."""
        return pooled([self.errors])
