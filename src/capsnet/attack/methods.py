"""FGSM and BIM, adversarial examples by the sign of the gradient, and losses to maximise.

White box, untargeted, in the L∞ ball of radius eps around images in [0, 1].
[FGSM] Goodfellow, Shlens, Szegedy 2014, 1412.6572; [BIM] Kurakin, Goodfellow, Bengio 2016,
1607.02533.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy

from capsnet.errors import UserError
from capsnet.networks import one_hot

Images = Float[Tensor, "batch channels height width"]
Scores = Float[Tensor, "batch classes"]
Gradient = Callable[[Images], Images]  # of the loss that the attacker maximises
Attack = Callable[[Images, Gradient], Images]  # at one eps


def gradient(loss: Callable[[Images], Float[Tensor, ""]], images: Images) -> Images:
    """Return ∂loss/∂images. A loss that sums over the batch gives each image its own gradient.

    Raises UserError where it is not finite.
    """
    with torch.enable_grad():
        moved = images.detach().requires_grad_()
        [found] = torch.autograd.grad(loss(moved), moved)
    if not found.isfinite().all():
        raise UserError("the loss has no finite gradient at some images: no attack can follow it")
    return found


def fgsm(images: Images, gradient: Gradient, eps: float) -> Images:
    """x + eps · sign(∇L(x)), clipped to [0, 1]: [FGSM] section 4. A gradient of 0 moves nothing."""
    return (images + eps * gradient(images).sign()).clamp(0, 1)


def bim(images: Images, gradient: Gradient, eps: float, steps: int, step: float) -> Images:
    """Take `steps` steps of FGSM of size `step`, each clipped to the ball and to [0, 1]: [BIM] 2.2.

    It begins at the images themselves, not at a random point of the ball.
    """
    low, high = (images - eps).clamp(min=0), (images + eps).clamp(max=1)
    moved = images
    for _ in range(steps):
        moved = (moved + step * gradient(moved).sign()).clamp(low, high)
    return moved


def summed_cross_entropy(scores: Scores, labels: Int[Tensor, "batch 1"]) -> Float[Tensor, ""]:
    """Return the cross-entropy of softmax(scores), summed over the batch.

    A CapsNet's scores are lengths below 1: of ten, no softmax of theirs comes near 0 or 1.
    """
    return cross_entropy(scores, labels[:, 0], reduction="sum")


def summed_score_margin(scores: Scores, labels: Int[Tensor, "batch 1"]) -> Float[Tensor, ""]:
    """Return the best wrong score minus the true one, summed over the batch.

    Linear in the scores, so that it cannot saturate; what makes the scores can, as squash does.
    """
    true = one_hot(labels, scores.shape[1]).bool()
    return (scores.masked_fill(true, -torch.inf).amax(1) - scores[true]).sum()
