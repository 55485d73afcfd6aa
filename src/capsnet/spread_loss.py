"""Spread loss of 'Matrix Capsules with EM Routing' (2018): marks as in em_routing.py."""

import math

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import relu

from capsnet.functional import Balance


def spread_margin(step: int) -> float:
    """m = 0.2 + 0.79 · sigmoid(min(10, step / 50,000 − 4)): [O], [R]; [P] says linear, to 0.9."""
    return 0.2 + 0.79 / (1 + math.exp(-min(10, step / 50_000 - 4)))


def spread_loss(
    activations: Float[Tensor, "batch classes"],
    targets: Int[Tensor, "batch"],
    margin: float,
    balance: Balance = "text",
) -> Float[Tensor, ""]:
    """L = Σ_{i≠t} max(0, m − (a_t − a_i))², mean over the batch [P].

    'released' takes the mean over batch and classes, the true one included: for 5 classes a fifth
    of 'text' [R].
    """
    true = activations.gather(1, targets[:, None])
    gaps = relu(margin - (true - activations)).square().scatter(1, targets[:, None], 0.0)
    return gaps.mean() if balance == "released" else gaps.sum(1).mean()
