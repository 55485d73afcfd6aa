"""Rows of pairs of runs that see the same test examples, and the columns that compare them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean
from typing import TypeVar

from capsnet.analysis.answers import contrast, in_general
from capsnet.analysis.selection import Pair
from capsnet.analysis.verdicts import Noise, between, pooled
from capsnet.report.tables.paper_tables import if_run, signed
from capsnet.report.tables.rows import RunsRow
from capsnet.report.tables.table import Column, with_sign

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class PairsRow(RunsRow):
    """Pairs of runs as a flat list, which may be empty.

    In each pair, the run that should have the lower error comes first.
    """

    @property
    def pairs(self) -> list[Pair]:
        """Return the runs that means are over in pairs."""
        return list(zip(*split_pairs(self.averaged), strict=True))

    @property
    def own_noise(self) -> Noise | None:
        """Return how noisy the errors of both models are between seeds."""
        return pooled(split_pairs(self.errors))

    @cached_property
    def compared(self) -> tuple[str | None, str | None]:
        """Return the interval over seeds and digits; who is right alone by pair, and one p.

        A p that float64 cannot hold is tiny.
        """
        found = contrast(self.pairs, self.test)
        if found is None:
            return None, None
        spread = self.noise
        both = None if spread is None else Noise(2**0.5 * spread.sd, spread.degrees_of_freedom)
        interval = " to ".join(map(with_sign, in_general(found.differences, both)))
        each = ", ".join(f"{test.only_first:,} / {test.only_second:,}" for test in found.pairs)
        alone = f"{each} ({f'{found.p:.2g}' if found.p else '< 1e-300'})"
        return (None, f"{alone} at the stop") if self.at_equal_error else (interval, alone)


def split_pairs(values: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """Split a flat list of pairs into first and second elements."""
    return values[::2], values[1::2]


def gain(row: PairsRow) -> str | None:
    """Return the mean difference in percentage points, and of several seeds its interval."""
    better, worse = split_pairs(row.errors)
    if row.noise is None or len(better) < 2:
        return with_sign(mean(worse) - mean(better))
    return signed(between(better, worse, row.noise))


def comparing(lower: str, alone: str, shown: str) -> list[Column[PairsRow]]:
    """Make the columns that compare the pairs, with the names that depend on them."""
    return [
        Column(lower, if_run(gain)),
        Column(f"{shown} in general (seeds and {shown})", lambda row: row.compared[0]),
        Column(alone, lambda row: row.compared[1]),
        Column("seeds", lambda row: f"{len(row.pairs)}"),
    ]
