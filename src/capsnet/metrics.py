"""Correct answers and confusion counts."""

from jaxtyping import Bool, Float, Int
from torch import Tensor


def predicted(
    scores: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch digits"]
) -> Int[Tensor, "batch digits"]:
    """The digits of the highest scores, as many as `labels` has: one [P], or two [P] [C]."""
    return scores.topk(labels.shape[1], dim=1).indices


def correct(
    scores: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch digits"]
) -> Bool[Tensor, "batch"]:
    """Tell whether the predicted digits are exactly the digits of `labels`, in any order.

    One digit: the longest capsule is the true one [P]. Two: both have to be right [P] [C].
    """
    answers = predicted(scores, labels)
    return (answers.sort(dim=1).values == labels.sort(dim=1).values).all(dim=1)


def confusion(
    scores: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch digits"]
) -> Float[Tensor, "classes classes"]:
    """Count the examples that show digit i (row) and were answered with j (column) for it.

    A digit that was found counts on the diagonal, one that was missed in the column of the digit
    that was answered instead. When both of two were missed, nobody can say which was taken for
    which: each counts half in either column. So a row sums to how often its digit was there, and
    what is off the diagonal to the digits missed, which of single digits are the errors [D].
    """
    there, answered = (
        scores.new_zeros(scores.shape).scatter(1, digits, 1)
        for digits in (labels, predicted(scores, labels))
    )
    found = there * answered
    missed, instead = there - found, answered - found
    shares = instead / instead.sum(1, keepdim=True).clamp(min=1)
    # A matrix product, but not by `@`: under autocast that would count in bf16.
    return found.sum(0).diag() + (missed[:, :, None] * shares[:, None]).sum(0)
