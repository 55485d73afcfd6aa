"""The equations of the paper, as pure functions.

Symbols, as in the paper: u_i is the output of capsule i of the layer below, W_ij its transformation
matrix for capsule j above, û_{j|i} = u_i W_ij its vote, b_ij the routing logits, c_ij the coupling
coefficients, s_j the total input of capsule j and v_j its output.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import relu

Balance = Literal["released", "text"]

M_PLUS, M_MINUS, LAMBDA = 0.9, 0.1, 0.5  # [P] section 3
RECONSTRUCTION_WEIGHT = 0.0005  # [P] section 4.1


def squash(s: Float[Tensor, "*capsules dim"]) -> Float[Tensor, "*capsules dim"]:
    """v = (‖s‖² / (1 + ‖s‖²)) · s / ‖s‖, over the last axis: [P] Eq. 1.

    The direction stays and the length falls into [0, 1). At s = 0 both the value and the
    gradient are 0, the limits of the formula [D].
    """
    norm = torch.linalg.vector_norm(s, dim=-1, keepdim=True)
    return s * (norm / (1 + norm.square()))


def lengths(v: Float[Tensor, "*capsules dim"]) -> Float[Tensor, "*capsules"]:
    """Return ‖v‖, the probability that the capsule's entity is there: [P] section 2."""
    return torch.linalg.vector_norm(v, dim=-1)


def couplings(b: Float[Tensor, "batch in out"], leaky: bool) -> Float[Tensor, "batch in out"]:
    """c_i = softmax(b_i) over the capsules **above**: [P] Eq. 3. Each row sums to 1.

    Leaky routing adds one more, always-zero logit to the softmax, 'none of the above', so that
    each row sums to less than 1: [P] section 7, [C].
    """
    if not leaky:
        return b.softmax(dim=-1)
    none_of_the_above = b.new_zeros(*b.shape[:-1], 1)
    return torch.cat([b, none_of_the_above], dim=-1).softmax(dim=-1)[..., :-1]


def weighted_votes(
    c: Float[Tensor, "batch in out"],
    u: Float[Tensor, "batch in in_dim"],
    weight: Float[Tensor, "in out in_dim out_dim"],
) -> Float[Tensor, "batch out out_dim"]:
    """s_j = Σ_i c_ij û_{j|i}: [P] Eq. 2, as (c_ij u_i) W_ij, so that no vote is ever stored [D]."""
    return torch.einsum("bijd,ijde->bje", torch.einsum("bij,bid->bijd", c, u), weight)


def agreement(
    u: Float[Tensor, "batch in in_dim"],
    weight: Float[Tensor, "in out in_dim out_dim"],
    v: Float[Tensor, "batch out out_dim"],
) -> Float[Tensor, "batch in out"]:
    """û_{j|i} · v_j: [P] section 2, as u_i · (W_ij v_j), so that no vote is ever stored [D]."""
    return torch.einsum("bid,bijd->bij", u, torch.einsum("ijde,bje->bijd", weight, v))


class RoutingStep(NamedTuple):
    """One routing iteration: logits b and couplings c [batch, in, out], v [batch, out, dim]."""

    logits: Tensor
    couplings: Tensor
    v: Tensor


def routing_steps(
    u: Float[Tensor, "batch in in_dim"],
    weight: Float[Tensor, "in out in_dim out_dim"],
    iterations: int,
    bias: Float[Tensor, "out out_dim"] | None,
    couple: Callable[[Tensor], Tensor],
    nonlinearity: Callable[[Tensor], Tensor] = squash,
) -> Iterator[RoutingStep]:
    """Carry out Procedure 1 of the paper, an iteration at a time.

    `couple` computes the couplings from the logits, both [batch, in, out], and `nonlinearity` the
    capsules from s_j, both [batch, out, out_dim]. Raises ValueError when `iterations` is below 1.
    """
    if iterations < 1:
        raise ValueError(f"routing needs at least 1 iteration, got {iterations}")
    b = u.new_zeros(u.shape[0], *weight.shape[:2])
    for iteration in range(iterations):
        c = couple(b)
        s = weighted_votes(c, u, weight)
        v = nonlinearity(s if bias is None else s + bias)
        yield RoutingStep(b, c, v)
        if iteration + 1 < iterations:
            b = b + agreement(u, weight, v)


def dynamic_routing(
    u: Float[Tensor, "batch in in_dim"],
    weight: Float[Tensor, "in out in_dim out_dim"],
    iterations: int,
    bias: Float[Tensor, "out out_dim"] | None = None,
    leaky: bool = False,
) -> Float[Tensor, "batch out out_dim"]:
    """Route by agreement for `iterations` rounds and return the capsules above, v: [P] Procedure 1.

    Gradients flow through every iteration [C]. The released code adds a trainable `bias` to s_j
    before the squash of each iteration [C]; Eq. 2 of the paper has none. Raises ValueError when
    `iterations` is below 1.
    """
    *_, last = routing_steps(u, weight, iterations, bias, partial(couplings, leaky=leaky))
    return last.v


def routing_trace(
    u: Float[Tensor, "batch in in_dim"],
    weight: Float[Tensor, "in out in_dim out_dim"],
    iterations: int,
    bias: Float[Tensor, "out out_dim"] | None = None,
    leaky: bool = False,
) -> list[RoutingStep]:
    """`dynamic_routing`, iteration by iteration: what figures, the explorer and tests look at.

    Raises ValueError when `iterations` is below 1.
    """
    return list(routing_steps(u, weight, iterations, bias, partial(couplings, leaky=leaky)))


def margin_loss(
    lengths: Float[Tensor, "batch classes"],
    targets: Float[Tensor, "batch classes"],
    balance: Balance = "released",
) -> Float[Tensor, ""]:
    """L_k = T_k max(0, m⁺ − ‖v_k‖)² + λ (1 − T_k) max(0, ‖v_k‖ − m⁻)²: [P] Eq. 4.

    `targets` is multi-hot. 'text' sums over classes and averages over the batch [P]. 'released'
    averages over batch and classes and halves [C]: for 10 classes 1/20 of 'text', so the
    reconstruction loss weighs 20 times as much and the two are different models.
    """
    present = targets * relu(M_PLUS - lengths).square()
    absent = LAMBDA * (1 - targets) * relu(lengths - M_MINUS).square()
    loss = present + absent
    return loss.mean() / 2 if balance == "released" else loss.sum(dim=1).mean()


def reconstruction_loss(
    reconstruction: Float[Tensor, "batch *image"], image: Float[Tensor, "batch *image"]
) -> Float[Tensor, ""]:
    """Return 0.0005 × the sum of squared pixel differences, mean over the batch: [P] 4.1, [C]."""
    return RECONSTRUCTION_WEIGHT * (reconstruction - image).square().flatten(1).sum(1).mean()
