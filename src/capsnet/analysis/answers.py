"""Errors example by example: over seeds and digits, and one network against another."""

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from capsnet.analysis.paired_tests import McNemar, chi_square, mcnemar
from capsnet.analysis.selection import Pair
from capsnet.analysis.verdicts import Noise
from capsnet.records.clusters import Sums, sums
from capsnet.records.record import Record, read_arrays


class Answers(NamedTuple):
    """A number for each example, such as 1 for a wrong answer, and its sums by partner.

    x [n]; example i shows digit i mod `digits`, or is of `groups`[i] of range(digits). partners
    [2, digits] as `clusters.sums` takes them, None where examples show one digit, or where they
    were not kept.
    """

    x: NDArray[np.number]
    digits: int
    partners: NDArray[np.number] | None
    groups: NDArray[np.integer] | None = None

    def __sub__(self, other: "Answers") -> "Answers":
        """Subtract example by example."""
        return self._with(other, np.subtract)

    def plus(self, other: "Answers") -> "Answers":
        """Add example by example."""
        return self._with(other, np.add)

    def over(self, number: int) -> "Answers":
        """Divide by `number`."""
        partners = self.partners
        divided = None if partners is None else np.stack([partners[0] / number, partners[1]])
        return self._replace(x=self.x / number, partners=divided)

    def sums(self) -> Sums:
        """Sum over what examples share."""
        return sums(self.x, self.digits, self.partners, self.groups)

    def _with(self, other: "Answers", function: np.ufunc) -> "Answers":
        partners = None
        if self.partners is not None and other.partners is not None:
            both = function(self.partners[0], other.partners[0]), self.partners[1]
            partners = np.stack(both)
        return self._replace(x=function(self.x, other.x), partners=partners)


def answers(path: Path, record: Record, test: str) -> Answers | None:
    """Return which examples of `test` were answered wrongly; None where that was not kept."""
    arrays, outcome = read_arrays(path), record.tests[test]
    groups = arrays.get(f"group.{test}")
    if f"wrong.{test}" not in arrays or (outcome.grouped and groups is None):
        return None
    wrong = np.unpackbits(arrays[f"wrong.{test}"])[: outcome.total].astype(np.int8)
    partners = arrays.get(f"by_partner.{test}")
    kept = None if partners is None else partners.astype(np.int64)
    return Answers(wrong, outcome.num_distinct or outcome.total, kept, groups)


def in_general(seeds: Sequence[Answers], noise: Noise | None) -> tuple[float, float]:
    """Return the 95 % interval, in percent, of the mean of x over other seeds and other digits.

    Crossed: V = V_seeds + V_digits − V_cells. V_seeds is that of `noise`, in percentage points;
    V_digits that of the mean over seeds; V_cells what both count, from what is left of x when seeds
    and digits have had their means. Of one seed, or without `noise`: V_digits alone.
    """
    from scipy.stats import t

    mean = reduce(Answers.plus, seeds).over(len(seeds))
    digits, freedom = mean.sums().variance(), float(mean.digits - 1)
    total = digits
    if noise is not None and len(seeds) > 1:
        between = float(noise.sd / 100) ** 2 / len(seeds)
        cells = sum((one - mean).sums().variance() for one in seeds)
        digits = max(0.0, digits - cells / (len(seeds) * (len(seeds) - 1)))
        total = between + digits
        freedom = total**2 / (between**2 / noise.freedom + digits**2 / (mean.digits - 1))
    half = float(t.ppf(0.975, freedom)) * total**0.5
    return 100 * (mean.sums().mean - half), 100 * (mean.sums().mean + half)


class Contrast(NamedTuple):
    """Two models on the same examples, seed by seed, and one p of no difference over all seeds."""

    pairs: list[McNemar]
    differences: list[Answers]  # wrong of the second less wrong of the first
    p: float


def contrast(runs: Mapping[Path, Record], found: Sequence[Pair], test: str) -> Contrast | None:
    """Contrast pairs of runs; None where not all have kept their answers.

    p is McNemar's of one seed; of several, chi-square over digits, of the sum over seeds.
    """
    kept = [[answers(path, runs[path], test) for path in pair] for pair in found]
    both = [(one, other) for one, other in kept if one is not None and other is not None]
    if not both or len(both) < len(kept):
        return None
    each = [_mcnemar(*pair, runs[found[0][0]].tests[test].num_distinct) for pair in both]
    differences = [other - one for one, other in both]
    p = each[0].p if len(each) == 1 else chi_square(reduce(Answers.plus, differences).sums())
    return Contrast(each, differences, p)


def _mcnemar(first: Answers, second: Answers, digits: int | None) -> McNemar:
    one, other = (np.packbits(some.x.astype(bool)) for some in (first, second))
    both = _both(first.partners, second.partners)
    return mcnemar(one, other, digits, both, first.groups)


def _both(one: NDArray | None, other: NDArray | None) -> tuple[NDArray, NDArray] | None:
    return None if one is None or other is None else (one, other)
