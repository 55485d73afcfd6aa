"""Images that come in groups, such as photographs of one toy, and how many of them are held out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Groups(NamedTuple):
    """Groups of images: `of` int64 [n] is each image's group, `name` a word for one, such as 'toy'.

    Images of one group resemble one another, so that a network's errors on them go together.
    """

    name: str
    of: NDArray[np.int64]


def num_held_out(count: int, share: float, groups: Groups | None) -> int:
    """Count the first of `count` training images that are held out for validation: `share` of them.

    Images of one group stay together. A share that would divide a group is rounded up to the next
    number of first images that divides none.
    """
    wanted = round(share * count)
    if groups is None or not wanted:
        return wanted
    return wanted + int(np.argmax(whole(groups.of)[wanted - 1 :]))


def whole(groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return, for each i, whether images 0 … i contain complete groups only."""
    _, last, inverse = np.unique(groups[::-1], return_index=True, return_inverse=True)
    reach = (len(groups) - 1 - last)[inverse[::-1]]
    return np.maximum.accumulate(reach) == np.arange(len(groups))
