"""The rules of docs/analysis-plan.md: what seeds say of the paper's numbers and of its claims.

All errors are in percent and all differences in percentage points. Every function takes arrays of
draws as well as single numbers, so that `simulate` tries the very rules that the tables use.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from capsnet import paper

SEEDS = (0, 1, 2, 3, 4)
LOOKS = (3, 5)  # numbers of seeds after which there is a verdict
ALPHA = 0.0275  # two-sided, at each look: 5 % over both
FLOOR = 0.01 / 12**0.5  # of the sd of seeds: one of 10,000 digits, rounded
MIN_CLAIM_SHARE = 0.5  # share of the paper's difference that a claim's size needs
PRIMARY = "released"
REPRODUCED, HIGHER, LOWER, OPEN = "reproduced", "higher", "lower", "open"
DIRECTION, REFUTED = "direction only", "not reproduced"


class Noise(NamedTuple):
    """The standard deviation between seeds, and its degrees of freedom."""

    sd: float | NDArray[np.float64]
    degrees_of_freedom: int


def pooled(rows: Iterable[ArrayLike]) -> Noise | None:
    """Pool the standard deviations of several rows, each [..., seeds]; at least FLOOR.

    None where no row has two seeds.
    """
    values = [row for row in map(np.asarray, rows) if row.shape[-1] > 1]
    degrees_of_freedom = sum(row.shape[-1] - 1 for row in values)
    if not degrees_of_freedom:
        return None
    squares = sum((row.shape[-1] - 1) * row.var(-1, ddof=1) for row in values)
    return Noise(np.maximum(np.sqrt(squares / degrees_of_freedom), FLOOR), degrees_of_freedom)


@dataclass(frozen=True)
class Difference:
    """An estimated difference with its standard error, and the latter's degrees of freedom."""

    value: float | NDArray[np.float64]
    standard_error: float | NDArray[np.float64]
    degrees_of_freedom: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return Student's interval."""
        half = t.ppf((1 + level) / 2, self.degrees_of_freedom) * self.standard_error
        return float(self.value - half), float(self.value + half)

    def p_above(self, bound: float) -> NDArray[np.float64]:
        """Return the one-sided p of 'at most `bound`': a small one says that it is more."""
        return t.sf((self.value - bound) / self.standard_error, self.degrees_of_freedom)

    def p_below(self, bound: float) -> NDArray[np.float64]:
        """Return the one-sided p of 'at least `bound`'."""
        return t.cdf((self.value - bound) / self.standard_error, self.degrees_of_freedom)


def from_paper(
    ours: ArrayLike, published: ArrayLike, noise: Noise, trials: int = paper.TRIALS
) -> Difference:
    """Subtract the paper's number, the mean of its `trials`, from ours [..., seeds]."""
    values = np.asarray(ours)
    error = noise.sd * (1 / values.shape[-1] + 1 / trials) ** 0.5
    return Difference(values.mean(-1) - published, error, noise.degrees_of_freedom)


def row_verdict(ours: Difference, margin: float, alpha: float = ALPHA) -> NDArray[np.str_]:
    """Reproduced where two one-sided tests put the difference within ± `margin`.

    Else higher or lower where a two-sided test tells it from 0, else open.
    """
    outside = np.maximum(ours.p_above(-margin), ours.p_below(margin))
    words = [
        (outside <= alpha, REPRODUCED),
        (ours.p_above(0) <= alpha / 2, HIGHER),
        (ours.p_below(0) <= alpha / 2, LOWER),
    ]
    return np.select([where for where, _ in words], [word for _, word in words], OPEN)


def between(better: ArrayLike, worse: ArrayLike, noise: Noise) -> Difference:
    """Subtract the errors of the better model from those of the worse, both [..., seeds]."""
    one, other = np.asarray(better), np.asarray(worse)
    error = noise.sd * (1 / one.shape[-1] + 1 / other.shape[-1]) ** 0.5
    return Difference(other.mean(-1) - one.mean(-1), error, noise.degrees_of_freedom)


def claim_verdicts(
    found: Sequence[Difference | None], published: Sequence[float], alpha: float = ALPHA
) -> NDArray[np.str_]:
    """Return a word for each claim, [claims, ...]; None has not been run and stays open.

    Reproduced when the difference is above MIN_CLAIM_SHARE of the paper's, direction only when it
    is above 0, not reproduced when it is below MIN_CLAIM_SHARE of the paper's: each one-sided, at
    alpha / 2, by Holm's procedure over all claims.
    """
    least = [MIN_CLAIM_SHARE * difference for difference in published]
    size = holm([_p_above(*one) for one in zip(found, least, strict=True)], alpha / 2)
    direction = holm([_p_above(one, 0) for one in found], alpha / 2)
    small = [
        1.0 if one is None else one.p_below(bound) for one, bound in zip(found, least, strict=True)
    ]
    refuted = holm(small, alpha / 2)
    return np.select([size, refuted, direction], [REPRODUCED, REFUTED, DIRECTION], OPEN)


def _p_above(one: Difference | None, bound: float) -> ArrayLike:
    return 1.0 if one is None else one.p_above(bound)


def holm(p: Sequence[ArrayLike], alpha: float) -> NDArray[np.bool_]:
    """Say which of several hypotheses Holm's step-down procedure rejects, p [hypotheses, ...]."""
    values = np.stack(np.broadcast_arrays(*p))
    order = values.argsort(0)
    steps = np.arange(len(values), 0, -1).reshape(-1, *[1] * (values.ndim - 1))
    passed = np.logical_and.accumulate(np.take_along_axis(values, order, 0) <= alpha / steps)
    rejected = np.empty_like(passed)
    np.put_along_axis(rejected, order, passed, 0)
    return rejected
