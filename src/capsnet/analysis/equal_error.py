"""affNIST error at a given clean test error, from the points counted along one training.

Over a part of a training both errors are near to powers of the step, so that the logarithm of one
is a line over that of the other. The slope is taken with the logarithm of the step as instrument:
both logarithms are fitted over it, and the ratio of the two slopes is that of the line. The noise
of the clean error would flatten an ordinary fit of one over the other.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FIT_FACTOR = 2.0  # the fit takes points from 1/FIT_FACTOR to FIT_FACTOR × the step of the crossing
MAX_EXTRAPOLATION = 1.5  # a target farther from all clean errors than this factor gives no estimate
MIN_POINTS = 3  # points altogether; fewer give no estimate

Points = NDArray[np.float64]  # [n, 3]: step, clean error and affNIST error in percent, all above 0


class Estimate(NamedTuple):
    """affNIST error in percent; `extrapolated` if all points are on one side of the target."""

    percent: float
    extrapolated: bool


def points(arrays: dict[str, NDArray[Any]]) -> Points:
    """Return the points in a record's arrays as `ErrorCurve.arrays` gives them, without zeros.

    None, [0, 3], where they were not counted on both test sets.
    """
    if "along.test" not in arrays or "along.affnist" not in arrays:
        return np.empty((0, 3))
    clean, affine = arrays["along.test"], arrays["along.affnist"]
    percents = [100 * one[:, 1] / one[:, 2] for one in (clean, affine)]
    found = np.column_stack([clean[:, 0], *percents]).astype(float)
    return found[(found > 0).all(1)]


def at_clean_error(found: Points, target: float) -> Estimate | None:
    """Estimate the affNIST error where the clean error is `target` percent.

    None with fewer than MIN_POINTS points, where the clean error does not fall, and for a target
    farther from all points than the factor MAX_EXTRAPOLATION.
    """
    clean = found[:, 1]
    if not len(found):
        return None
    if not clean.min() / MAX_EXTRAPOLATION <= target <= clean.max() * MAX_EXTRAPOLATION:
        return None
    near = nearest(found, target)
    if len(near) < MIN_POINTS:
        return None
    step, falling, affine = (np.log(near) - (middle := np.log(near).mean(0))).T
    fall = step @ falling
    if fall >= 0:
        return None
    line = middle[2] + (step @ affine) / fall * (np.log(target) - middle[1])
    above = clean > target
    return Estimate(float(np.exp(line)), bool(above.all() or not above.any()))


def nearest(found: Points, target: float) -> Points:
    """Choose the points around the step at which the clean error crosses `target`.

    It crosses after as many points as are above it, which a single point that strays moves by one
    at most; where it never does, at the last point or at the first.
    """
    crossed = int((found[:, 1] > target).sum())
    steps = found[:, 0]
    apart = steps / steps[min(crossed, len(steps) - 1)]
    return found[(apart >= 1 / FIT_FACTOR) & (apart <= FIT_FACTOR)]
