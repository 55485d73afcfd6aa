"""Paired tests on examples; intervals are in `results`."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, chi2


class McNemar(NamedTuple):
    """Two models on the same examples: how many only one of them gets right, and p."""

    only_first: int
    only_second: int
    p: float


def mcnemar(
    first: NDArray[np.uint8], second: NDArray[np.uint8], digits: int | None = None
) -> McNemar:
    """Two-sided, from what each gets wrong, as packed bits of the same examples.

    The exact test of examples that all show another digit; where example i shows digit i mod
    `digits`, that of Durkalski et al. (2003) for clusters, χ² = (Σ d)² / Σ d² with 1 degree of
    freedom, d a digit's difference of errors. Padding bits are 0 in both, so that they count for
    neither. Raises ValueError when the numbers of examples differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} bytes are not the same examples")
    wrongs = (np.unpackbits(packed).astype(np.int8) for packed in (first, second))
    apart = np.subtract(*wrongs)
    only_second, only_first = int((apart > 0).sum()), int((apart < 0).sum())
    p = _exact(only_first, only_second) if digits is None else _clustered(apart, digits)
    return McNemar(only_first, only_second, p)


def _exact(only_first: int, only_second: int) -> float:
    apart = only_first + only_second
    return float(binomtest(only_first, apart).pvalue) if apart else 1.0


def _clustered(apart: NDArray[np.int8], digits: int) -> float:
    whole = len(apart) // digits * digits  # what is packed ends with up to seven bits of padding
    d = apart[:whole].reshape(-1, digits).sum(0, dtype=np.int64)
    squares = int((d**2).sum())
    return float(chi2.sf(int(d.sum()) ** 2 / squares, 1)) if squares else 1.0
