"""EM routing in NumPy, float64, one child and one parent at a time.

Written from Procedure 1 of 'Matrix Capsules with EM Routing' and, for what the released code does
otherwise, from `capsule_em/em_layers.py`. Slow on purpose: every vote is an argument.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Step(NamedTuple):
    """One iteration: R [in, out] of its M-step, μ and σ² [out, h], a [out]."""

    shares: Array
    mean: Array
    variance: Array
    activations: Array


def em_routing(
    votes: Array,
    a: Array,
    beta_u: Array,
    beta_a: Array,
    iterations: int,
    final: float = 0.01,
    floor: float = 0.0,
    sees: NDArray[np.bool_] | None = None,
    types: NDArray[np.int_] | None = None,
    momentum: float = 0.0,
) -> list[Step]:
    """Route votes [in, out, h] of children a [in]; with `types` [out], types do not compete."""
    children, parents, dims = votes.shape
    sees = np.ones((children, parents), bool) if sees is None else sees
    rivals = np.zeros(parents, int) if types is None else types
    r = np.zeros((children, parents))
    for i, j in zip(*np.nonzero(sees), strict=True):
        r[i, j] = 1 / (sees[i].sum() if types is None else len(set(types)))
    mean, variance, activations = np.zeros((parents, dims)), np.zeros((parents, dims)), np.zeros(0)
    steps = []
    for t in range(iterations):
        rate = final * (1 - 0.95 ** (t + 1))
        activations = np.zeros(parents)
        for j in range(parents):
            mass = sum(r[i, j] * a[i] for i in range(children))
            cost = 0.0
            for h in range(dims):
                new = sum(r[i, j] * a[i] * votes[i, j, h] for i in range(children)) / mass
                mean[j, h] = (1 - momentum) * new + momentum * mean[j, h]
                squares = [(votes[i, j, h] - mean[j, h]) ** 2 for i in range(children)]
                variance[j, h] = (r[:, j] * a) @ np.array(squares) / mass + floor
                cost += (beta_u[j] + np.log(np.sqrt(variance[j, h]))) * mass
            activations[j] = 1 / (1 + np.exp(-rate * (beta_a[j] - cost)))
        steps.append(Step(r.copy(), mean.copy(), variance.copy(), activations))
        p = np.zeros((children, parents))
        for i, j in zip(*np.nonzero(sees), strict=True):
            gaussians = np.exp(-((votes[i, j] - mean[j]) ** 2) / (2 * variance[j]))
            p[i, j] = activations[j] * np.prod(gaussians / np.sqrt(2 * np.pi * variance[j]))
        for i, j in zip(*np.nonzero(sees), strict=True):
            r[i, j] = p[i, j] / p[i, rivals == rivals[j]].sum()
    return steps


def spread_loss(activations: Array, target: int, margin: float) -> float:
    """Sum max(0, m − (a_t − a_i))² over the other classes i of one example."""
    gaps = [margin - (activations[target] - activations[i]) for i in range(len(activations))]
    return sum(max(0.0, gap) ** 2 for i, gap in enumerate(gaps) if i != target)
