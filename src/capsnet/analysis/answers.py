"""Errors example by example: over seeds and digits, and one network against another."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2, t

from capsnet.analysis.selection import Pair
from capsnet.analysis.verdicts import Noise
from capsnet.records.clusters import Sums, sums
from capsnet.records.runs import Run


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
        partners = None
        if self.partners is not None and other.partners is not None:
            partners = np.stack([self.partners[0] - other.partners[0], self.partners[1]])
        return self._replace(x=self.x - other.x, partners=partners)

    def sums(self) -> Sums:
        """Sum over what examples share."""
        return sums(self.x, self.digits, self.partners, self.groups)

    @property
    def distinct(self) -> bool:
        """Tell whether each example shows a digit of its own, and that alone."""
        return self.digits == len(self.x) and self.groups is None and self.partners is None


def mean_of(every: Sequence[Answers]) -> Answers:
    """Average example by example."""
    kept = [one.partners for one in every if one.partners is not None]
    partners = np.mean(kept, axis=0) if len(kept) == len(every) else None
    return every[0]._replace(x=np.mean([one.x for one in every], axis=0), partners=partners)


def answers(run: Run, test: str) -> Answers | None:
    """Return which examples of `test` were answered wrongly; None where that was not kept."""
    arrays, outcome = run.arrays, run.record.tests[test]
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
    mean = mean_of(seeds)
    digits, freedom = mean.sums().variance(), float(mean.digits - 1)
    total = digits
    if noise is not None and len(seeds) > 1:
        between = float(noise.sd / 100) ** 2 / len(seeds)
        cells = sum((one - mean).sums().variance() for one in seeds)
        digits = max(0.0, digits - cells / (len(seeds) * (len(seeds) - 1)))
        total = between + digits
        freedom = total**2 / (between**2 / noise.degrees_of_freedom + digits**2 / (mean.digits - 1))
    half = float(t.ppf(0.975, freedom)) * total**0.5
    return 100 * (mean.sums().mean - half), 100 * (mean.sums().mean + half)


class McNemar(NamedTuple):
    """Two models on the same examples: how many only one of them gets right, and p."""

    only_first: int
    only_second: int
    p: float


def mcnemar(apart: Answers) -> McNemar:
    """Test, two-sided, the wrong answers of the second model less those of the first.

    Uses the exact test where each example shows a different digit, else `chi_square`.
    """
    only_first, only_second = int((apart.x > 0).sum()), int((apart.x < 0).sum())
    if not apart.distinct:
        return McNemar(only_first, only_second, chi_square(apart.sums()))
    either = only_first + only_second
    p = float(binomtest(only_first, either).pvalue) if either else 1.0
    return McNemar(only_first, only_second, p)


def chi_square(differences: Sums) -> float:
    """Return p of no difference on average: χ² = (Σ x)² / `spread`, one degree of freedom.

    Where examples show the same digits, or are of the same groups, that is the test of Durkalski et
    al. (2003) for clusters. The spread is not centred, which makes up for there being few groups:
    with 25, p = 0.050 is 0.048 by Student's t of the groups' sums, and smaller p are cautious.
    """
    spread = differences.spread()
    return float(chi2.sf(float(differences.by_base.sum()) ** 2 / spread, 1)) if spread else 1.0


class Contrast(NamedTuple):
    """Two models on the same examples, seed by seed, and one p of no difference over all seeds."""

    pairs: list[McNemar]
    differences: list[Answers]  # wrong of the second less wrong of the first
    p: float


def contrast(found: Sequence[Pair], test: str) -> Contrast | None:
    """Contrast pairs of runs; None where not all have kept their answers.

    p is McNemar's of one seed; of several, chi-square over digits, of the mean over seeds.
    """
    kept = [[answers(run, test) for run in pair] for pair in found]
    differences = [two - one for one, two in kept if one is not None and two is not None]
    if not differences or len(differences) < len(kept):
        return None
    each = [mcnemar(apart) for apart in differences]
    p = each[0].p if len(each) == 1 else chi_square(mean_of(differences).sums())
    return Contrast(each, differences, p)
