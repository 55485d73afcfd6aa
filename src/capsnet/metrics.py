"""What counts as right."""

from jaxtyping import Bool, Float, Int
from torch import Tensor


def correct(
    scores: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch digits"]
) -> Bool[Tensor, "batch"]:
    """Whether the `digits` highest scores are exactly the digits of `labels`, in any order.

    One digit: the longest capsule is the true one [P]. Two: both have to be right [P] [C].
    """
    predicted = scores.topk(labels.shape[1], dim=1).indices
    return (predicted.sort(dim=1).values == labels.sort(dim=1).values).all(dim=1)
