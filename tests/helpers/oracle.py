"""The paper's equations in NumPy, float64, one scalar or one vector at a time.

Written from the paper's text alone, to be read beside it. Slow on purpose: every vote û_{j|i} is
formed and stored, as Procedure 1 says, where `capsnet.functional` never stores one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def squash(s: Array) -> Array:
    """Eq. 1 for each vector of the last axis: (‖s‖² / (1 + ‖s‖²)) times the unit vector s / ‖s‖."""
    v = np.zeros_like(s)
    for where in np.ndindex(*s.shape[:-1]):
        length = np.sqrt(np.sum(s[where] ** 2))
        if length > 0:  # at s = 0 there is no direction, and the length is 0 / 1
            v[where] = length**2 / (1 + length**2) * (s[where] / length)
    return v


def softmax(b: Array) -> Array:
    """Eq. 3 for the logits of one capsule."""
    return np.exp(b) / np.sum(np.exp(b))


class Step(NamedTuple):
    """One iteration: the logits that its softmax saw, its couplings and its output capsules."""

    logits: Array
    couplings: Array
    v: Array


def routing(
    u: Array, weight: Array, iterations: int, bias: Array | None = None, leaky: bool = False
) -> list[Step]:
    """Procedure 1, for u [batch, in, in_dim] and weight [in, out, in_dim, out_dim]."""
    examples = [_route_one(one, weight, iterations, bias, leaky) for one in u]
    return [
        Step(*(np.stack(values) for values in zip(*same_iteration, strict=True)))
        for same_iteration in zip(*examples, strict=True)
    ]


def _route_one(
    u: Array, weight: Array, iterations: int, bias: Array | None, leaky: bool
) -> list[Step]:
    inputs, outputs, _, out_dim = weight.shape
    votes = np.zeros((inputs, outputs, out_dim))
    for i in range(inputs):
        for j in range(outputs):
            votes[i, j] = u[i] @ weight[i, j]

    b = np.zeros((inputs, outputs))  # line 2
    steps = []
    for _ in range(iterations):  # line 3
        c = np.zeros((inputs, outputs))
        for i in range(inputs):  # line 4
            if leaky:  # one more logit, fixed at 0, whose share goes to nobody
                c[i] = softmax(np.append(b[i], 0.0))[:outputs]
            else:
                c[i] = softmax(b[i])
        s = np.zeros((outputs, out_dim))
        for j in range(outputs):  # line 5
            for i in range(inputs):
                s[j] += c[i, j] * votes[i, j]
            if bias is not None:
                s[j] += bias[j]
        v = squash(s)  # line 6
        steps.append(Step(b.copy(), c, v))
        for i in range(inputs):  # line 7
            for j in range(outputs):
                b[i, j] += votes[i, j] @ v[j]
    return steps


def margin_loss(lengths: Array, targets: Array, balance: str) -> float:
    """Eq. 4: 'text' sums the classes, mean over the batch; 'released' halves the mean over all."""
    batch, classes = lengths.shape
    total = 0.0
    for n in range(batch):
        for k in range(classes):
            present = max(0.0, 0.9 - lengths[n, k]) ** 2
            absent = max(0.0, lengths[n, k] - 0.1) ** 2
            total += targets[n, k] * present + 0.5 * (1 - targets[n, k]) * absent
    return {"text": total / batch, "released": total / (batch * classes) / 2}[balance]


def reconstruction_loss(reconstruction: Array, image: Array) -> float:
    """Section 4.1: 0.0005 times the sum of squared differences of an image, mean over images."""
    sums = [np.sum((a - b) ** 2) for a, b in zip(reconstruction, image, strict=True)]
    return 0.0005 * float(np.mean(sums))
