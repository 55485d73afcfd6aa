"""Paired tests on examples; intervals are in `records.statistics`."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2

from capsnet.records.clusters import Counts, Sums, sums


class McNemar(NamedTuple):
    """Two models on the same examples: how many only one of them gets right, and p."""

    only_first: int
    only_second: int
    p: float


def mcnemar(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    digits: int | None = None,
    partners: tuple[Counts, Counts] | None = None,
    groups: NDArray[np.integer] | None = None,
) -> McNemar:
    """Two-sided, from what each gets wrong, as packed bits of the same examples.

    The exact test of examples that all show another digit; where example i shows digit i mod
    `digits`, that of Durkalski et al. (2003) for clusters, χ² = (Σ d)² / Σ d² with 1 degree of
    freedom, d a digit's difference of errors. Where examples show a second digit, `partners` are
    the two models' `clusters.partner_counts`, and the denominator is `Sums.spread`. Where examples
    are of `groups` [n] of range(digits), d is a group's difference. Padding bits are 0 in both, so
    that they count for neither. Raises ValueError when the numbers of examples differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} bytes are not the same examples")
    wrongs = (np.unpackbits(packed).astype(np.int8) for packed in (first, second))
    apart = np.subtract(*wrongs)
    only_second, only_first = int((apart > 0).sum()), int((apart < 0).sum())
    if digits is None:
        return McNemar(only_first, only_second, _exact(only_first, only_second))
    # What is packed ends with up to seven bits of padding.
    whole = len(apart) // digits * digits if groups is None else len(groups)
    p = chi_square(sums(apart[:whole], digits, _apart(partners), groups))
    return McNemar(only_first, only_second, p)


def chi_square(differences: Sums) -> float:
    """Return p of no difference on average: χ² = (Σ x)² / `spread`, one degree of freedom.

    The spread is not centred, which makes up for there being few groups: with 25, p = 0.050 is
    0.048 by Student's t of the groups' sums, and smaller p are cautious.
    """
    spread = differences.spread()
    return float(chi2.sf(float(differences.by_base.sum()) ** 2 / spread, 1)) if spread else 1.0


def _exact(only_first: int, only_second: int) -> float:
    apart = only_first + only_second
    return float(binomtest(only_first, apart).pvalue) if apart else 1.0


def _apart(partners: tuple[Counts, Counts] | None) -> NDArray[np.int64] | None:
    """Subtract the wrong answers by partner; how often a digit is partner is the same in both."""
    if partners is None:
        return None
    (first, times), (second, _) = (counts.astype(np.int64) for counts in partners)
    return np.stack([first - second, times])
