"""Random numbers as pure functions of their keys: no state, so nothing to save or to race for.

`hash32` and `integers` take Python integers, numpy int64 arrays or torch int64 tensors alike and
give the same numbers for all three, on any device. Keys lie in [0, 2³²).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MASK = 0xFFFFFFFF


def _mix(x: Any) -> Any:
    """Mix the bits of 32-bit integers, by a bijection in which every bit moves every other.

    The constants are those of Chris Wellons' 'lowbias32'. A product may overflow int64; its low
    32 bits, all that is kept, are right even then.
    """
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & _MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & _MASK
    return x ^ (x >> 16)


def hash32(*keys: Any) -> Any:
    """Return 32 random bits for each tuple of keys (keys of different shapes broadcast)."""
    h: Any = 0x9E3779B9
    for key in keys:
        h = _mix(h ^ key)
    return h


def integers(low: int, high: int, *keys: Any) -> Any:
    """Draw uniform integers in [low, high), to within (high − low) / 2³²."""
    return low + (hash32(*keys) * (high - low) >> 32)


def uniform(low: float, high: float, *keys: Any) -> Any:
    """Draw uniform floats in (low, high), 2³² different ones (not for tensors: too coarse)."""
    return low + (high - low) * ((hash32(*keys) + 0.5) / 2**32)


def permuted(position: Any, size: Any, *keys: Any) -> NDArray[np.int64]:
    """Send `position` through a random bijection of range(size), one for each tuple of keys.

    A Feistel network on the next even number of bits, walked until it is back in range: Black and
    Rogaway, 'Ciphers with arbitrary finite domains', 2002. So element 59,999,999 of a shuffled
    60,000,000 costs what element 0 costs. Positions, sizes and keys of different shapes broadcast.
    """
    position, size, key = np.broadcast_arrays(position, size, hash32(*keys))
    bits = np.maximum(1, (_bit_length(size - 1) + 1) // 2)
    image = _feistel(position, bits, key)
    while (outside := image >= size).any():
        image[outside] = _feistel(image[outside], bits[outside], key[outside])
    return image


def _bit_length(x: NDArray[np.int64]) -> NDArray[np.int64]:
    """Apply int.bit_length to each element."""
    return np.frexp(x)[1].astype(np.int64)


def _feistel(
    x: NDArray[np.int64], bits: NDArray[np.int64], key: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Six rounds over two halves of `bits` bits each."""
    mask = (1 << bits) - 1
    left, right = x >> bits, x & mask
    for turn in range(6):
        left, right = right, left ^ (_mix(_mix(key ^ turn) ^ right) & mask)
    return (left << bits) | right
