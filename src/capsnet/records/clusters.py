"""The variance of a mean over examples that share digits: by digit, group, or pair of digits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.uint32]


@dataclass(frozen=True)
class Sums:
    """A number x for each example (1 for a wrong answer, say), summed over what examples share.

    Example i shows digit i mod `digits`, its base, or is of a group, which then takes the place of
    the digit. `by_base` and `by_partner` float64 [digits] sum x over the examples with that base
    and with that partner; `based` and `partnered` [digits] count these. Examples that show one
    digit have no partners: None.
    """

    n: int
    squares: float  # Σ x²
    by_base: NDArray[np.float64]
    based: NDArray[np.float64]
    by_partner: NDArray[np.float64] | None = None
    partnered: NDArray[np.float64] | None = None

    @property
    def mean(self) -> float:
        """Return the mean of x over all examples."""
        return float(self.by_base.sum()) / self.n

    def centred(self) -> "Sums":
        """Subtract the mean from every x."""
        m = self.mean
        squares, by_base = self.squares - self.n * m**2, self.by_base - m * self.based
        if self.by_partner is None or self.partnered is None:
            return Sums(self.n, squares, by_base, self.based)
        by_partner = self.by_partner - m * self.partnered
        return Sums(self.n, squares, by_base, self.based, by_partner, self.partnered)

    def spread(self) -> float:
        """Return Σ x·x′ over all pairs of examples x and x′ that share a digit, or are the same.

        By digit: Σ_d B_d². By pairs of digits (dyadic): Σ_d (B_d + P_d)² − Σ x², as an example is
        counted both with its base and with its partner.
        """
        if self.by_partner is None:
            return float((self.by_base**2).sum())
        return max(0.0, float(((self.by_base + self.by_partner) ** 2).sum()) - self.squares)

    def variance(self) -> float:
        """Estimate the variance of the mean over other digits, in the unit of x squared."""
        digits = len(self.by_base)
        correction = digits / (digits - 1) if self.by_partner is None else 1.0
        return correction * self.centred().spread() / self.n**2


def partner_counts(wrong: NDArray[np.bool_], partner: NDArray[np.integer], digits: int) -> Counts:
    """Count, for each digit, wrong answers with it as the partner and all such examples.

    wrong [n]; partner [n], the index of each example's second digit. Returns uint32 [2, digits].
    """
    counts = np.bincount(partner[wrong], minlength=digits), np.bincount(partner, minlength=digits)
    return np.stack(counts).astype(np.uint32)


def sums(
    x: NDArray[np.number | np.bool_],
    digits: int,
    partners: NDArray[np.number] | None = None,
    groups: NDArray[np.integer] | None = None,
) -> Sums:
    """Sum x [n]; `partners` [2, digits] holds Σ x by partner and examples by partner.

    Example i shows digit i mod `digits`, or is of group `groups`[i] of range(digits). Raises
    ValueError when n is not a multiple of `digits`, or `groups` has another length.
    """
    squares = float(np.square(x, dtype=np.float64).sum())
    if groups is not None:
        counted = np.bincount(groups, x, digits), np.bincount(groups, minlength=digits)
        return Sums(len(x), squares, *(one.astype(np.float64) for one in counted))
    by_base = x.reshape(-1, digits).sum(0, dtype=np.float64)
    based = np.full(digits, len(x) / digits)
    if partners is None:
        return Sums(len(x), squares, by_base, based)
    by_partner, partnered = partners.astype(np.float64)
    return Sums(len(x), squares, by_base, based, by_partner, partnered)
