"""Correct answers and confusion counts."""

from jaxtyping import Bool, Float, Int
from torch import Tensor


def predicted(
    scores: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch labels"]
) -> Int[Tensor, "batch labels"]:
    """Return the classes of the highest scores, as many as `labels` has: one [P], two [P] [C]."""
    return scores.topk(labels.shape[1], dim=1).indices


def correct(
    scores: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch labels"]
) -> Bool[Tensor, "batch"]:
    """Tell whether the predicted classes are exactly those of `labels`, in any order.

    One label: the longest capsule is the true one [P]. Two: both have to be right [P] [C].
    """
    answers = predicted(scores, labels)
    return (answers.sort(dim=1).values == labels.sort(dim=1).values).all(dim=1)


def confusion(
    scores: Float[Tensor, "batch classes"], labels: Int[Tensor, "batch labels"]
) -> Float[Tensor, "classes classes"]:
    """Count the examples that show class i (row) for which class j (column) was predicted.

    A class that was found counts on the diagonal, one that was missed in the column of the class
    predicted instead. When both of two were missed, it is unknown which was taken for which: each
    counts half in either column. So a row sums to the number of examples of its class, and the
    off-diagonal entries sum to the number of missed classes: for single labels, the errors [D].
    """
    there, answered = (
        scores.new_zeros(scores.shape).scatter(1, classes, 1)
        for classes in (labels, predicted(scores, labels))
    )
    found = there * answered
    missed, instead = there - found, answered - found
    shares = instead / instead.sum(1, keepdim=True).clamp(min=1)
    # A matrix product, but not by `@`: under autocast that would count in bf16.
    return found.sum(0).diag() + (missed[:, :, None] * shares[:, None]).sum(0)
