"""Confidence intervals of error rates."""

from collections.abc import Sequence
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from capsnet.records.clusters import Counts, sums


def wilson(errors: int, total: int) -> tuple[float, float]:
    """Compute the 95 % Wilson interval of errors/total, in percent."""
    from scipy.stats import binomtest

    interval = binomtest(errors, total).proportion_ci(0.95, method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def clustered(
    wrong: NDArray[np.bool_], digits: int, partners: Counts | None = None
) -> tuple[float, float]:
    """Compute Student's 95 % interval, in percent, of the error over other digits like these.

    Of wrong [n]; example i shows digit i mod `digits`. Pictures of one digit err together, so that
    they are worth fewer independent examples than they are. With `partners`, as `partner_counts`
    gives them, so do those that have a digit as base and those that have it as partner; without
    them, an interval of MultiMNIST's counts the base alone and is too narrow.
    """
    from scipy.stats import t

    counted = sums(wrong, digits, partners)
    half = float(t.ppf(0.975, digits - 1)) * counted.variance() ** 0.5
    return max(0.0, 100 * (counted.mean - half)), min(100.0, 100 * (counted.mean + half))


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Compute the mean's 95 % interval by Student's t. Needs two values or more."""
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return mean(values) - half, mean(values) + half
