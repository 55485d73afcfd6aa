"""Intervals over seeds and paired tests on examples; `results.wilson` is a single run's."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, t


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean over seeds, by Student's t. Needs two values or more."""
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return mean(values) - half, mean(values) + half


class McNemar(NamedTuple):
    """Two models on the same examples: which only one of them gets right, and the exact p."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> McNemar:
    """The exact test, two-sided, from what each gets wrong, as packed bits of the same examples.

    Padding bits are 0 in both, so that they count for neither. Raises ValueError when the numbers
    of examples differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} bytes are not the same examples")
    only_first, only_second = _ones(second & ~first), _ones(first & ~second)
    apart = only_first + only_second
    p = float(binomtest(only_first, apart).pvalue) if apart else 1.0
    return McNemar(only_first, only_second, p)


def _ones(bits: NDArray[Any]) -> int:
    return int(np.bitwise_count(bits).sum())
