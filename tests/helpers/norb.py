"""Files in the format of smallNORB, which cannot be shipped: its design at a small scale."""

import gzip
import struct
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capsnet.data import storage
from capsnet.data.smallnorb import INSTANCES, STEMS

NUMBERS = {"|u1": 0x1E3D4C55, "<i4": 0x1E3D4C54}


def matrix(array: NDArray[np.generic]) -> bytes:
    """A file as its documentation describes it: at least three sizes, 1 where there is none."""
    sizes = [*array.shape, *[1] * (3 - array.ndim)]
    return struct.pack(f"<II{len(sizes)}i", NUMBERS[array.dtype.str], array.ndim, *sizes) + (
        array.tobytes()
    )


def info(split: str, elevations: tuple[int, ...], azimuths: tuple[int, ...]) -> np.ndarray:
    """Every toy from every viewpoint in one light: pairs in a mixed order, labels cycling."""
    views = [*product(INSTANCES[split], elevations, azimuths)]
    mixed = np.random.default_rng(len(split)).permutation(len(views))
    return np.array([[*views[one], 3] for one in mixed for _ in range(5)], "<i4")


def pictures(count: int, split: str) -> NDArray[np.uint8]:
    """Pixels that tell pair, eye, row and column apart, [count, 2, 96, 96]."""
    pair, eye, row, column = np.ogrid[:count, :2, :96, :96]
    return (pair * 11 + eye * 101 + row * 3 + column * 7 + len(split)).astype(np.uint8)


def arrays(
    elevations: tuple[int, ...] = (0, 2, 3, 8), azimuths: tuple[int, ...] = (0, 4, 6, 28, 30)
) -> dict[str, np.ndarray]:
    """Give the contents of the six files, by split and part."""
    found: dict[str, np.ndarray] = {}
    for split in INSTANCES:
        table = info(split, elevations, azimuths)
        labels = (np.arange(len(table)) % 5).astype("<i4")
        parts = {"dat": pictures(len(table), split), "cat": labels, "info": table}
        found |= {f"{split}-{part}": values for part, values in parts.items()}
    return found


def name(key: str) -> str:
    split, part = key.split("-")
    return f"{STEMS[split]}-{part}.mat.gz"


def write_mirror(folder: Path, files: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Write the six files, and return their md5s by split and part."""
    folder.mkdir()
    for key, values in files.items():
        (folder / name(key)).write_bytes(gzip.compress(matrix(values), 1))
    return {key: storage.md5(folder / name(key)) for key in files}
