"""Rows of pairs of runs that see the same test examples, and the columns that compare them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean

from capsnet.analysis.answers import Contrast, contrast, in_general
from capsnet.analysis.numbers import at_equal_error, numbers
from capsnet.analysis.selection import Pair, noise
from capsnet.analysis.verdicts import Noise, between
from capsnet.records.record import Record
from capsnet.report.tables.paper_tables import Runs, signed
from capsnet.report.tables.table import Column, Result, Row, with_sign


@dataclass(frozen=True, eq=False)
class PairsRow(Row):
    """Pairs of runs, in each the one first that should err less on `test`; maybe no pairs yet."""

    pairs: Sequence[Pair]
    runs: Runs
    test: str

    @property
    def paths(self) -> list[Path]:
        """Return the runs, pair by pair."""
        return [path for pair in self.pairs for path in pair]

    @property
    def records(self) -> list[Record]:
        """Return their records."""
        return [self.runs[path] for path in self.paths]

    @property
    def results(self) -> list[Result]:
        """Return the runs, and their errors on the test set."""
        return [(record, record.tests[self.test]) for record in self.records]

    @cached_property
    def noise(self) -> Noise | None:
        """Return how noisy seeds are."""
        return noise(self.runs, self.records[0], self.test)

    @cached_property
    def compared(self) -> tuple[str, str]:
        """Return the interval over seeds and digits; who is right alone by pair, and one p."""
        if not self.pairs:
            return "–", "–"
        general, alone = compared(contrast(self.runs, self.pairs, self.test), self.noise)
        at_stop = at_equal_error(self.paths, self.test) is not None
        return ("–", f"{alone} at the stop") if at_stop else (general, alone)


def errors(runs: Runs, pairs: Sequence[Pair], test: str) -> tuple[list[float], list[float]]:
    """Return the test errors in percent of the first and of the second of each pair."""
    every = numbers(runs, [path for pair in pairs for path in pair], test)
    return every[::2], every[1::2]


def gain(row: PairsRow) -> str:
    """Return the mean difference in percentage points, and of several seeds its interval."""
    if not row.pairs:
        return "–"
    better, worse = errors(row.runs, row.pairs, row.test)
    if row.noise is None or len(better) < 2:
        return with_sign(mean(worse) - mean(better))
    return signed(between(better, worse, row.noise))


def compared(found: Contrast | None, spread: Noise | None) -> tuple[str, str]:
    """Write a contrast of pairs. A p that float64 cannot hold is tiny."""
    if found is None:
        return "–", "–"
    both = None if spread is None else Noise(2**0.5 * spread.sd, spread.freedom)
    interval = " to ".join(map(with_sign, in_general(found.differences, both)))
    each = ", ".join(f"{test.only_first:,} / {test.only_second:,}" for test in found.pairs)
    return interval, f"{each} ({f'{found.p:.2g}' if found.p else '< 1e-300'})"


def comparing(lower: str, alone: str, shown: str) -> list[Column[PairsRow]]:
    """Make the columns that compare the pairs, with the names that depend on them."""
    return [
        Column(lower, gain),
        Column(f"{shown} in general (seeds and {shown})", lambda row: row.compared[0]),
        Column(alone, lambda row: row.compared[1]),
        Column("seeds", lambda row: f"{len(row.pairs)}"),
    ]
