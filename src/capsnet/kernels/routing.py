"""Routing by agreement without votes: on a CPU a cacheful of capsules at a time, on a GPU all.

The logits are linear in the outputs: with V_j the sum of all v_j so far, b_ij = u_i · (W_ij V_j).
So an iteration is a function of (V, u, W) alone, much like attention,

    c_ij = softmax_j(u_i · (W_ij V_j))    s_j = Σ_i (c_ij u_i) W_ij,   [leaky: one more logit, 0]

two matrix products for each capsule above. Both have a factor of the size of u for every pair
of capsules and every example; it is made, used and forgotten for one slab of capsules below after
the other, and made again for the gradient. In a slab the capsules come last, so that sums over
their dimensions and the softmax over the capsules above vectorise:

    u [slab, batch, in_dim, capsules]    W [slab, out, out_dim, in_dim, capsules]
    c, b [out, batch, capsules]          s, v, V [out, batch, out_dim]
"""

from math import ceil
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from capsnet.functional import squash
from capsnet.kernels.second_gradients import refuse_second_gradients

SLAB = 2**21  # numbers in the largest intermediate of a slab, on a CPU: what stays in its cache


def dynamic_routing(
    u: Float[Tensor, "batch in in_dim"],
    weight: Float[Tensor, "in out in_dim out_dim"],
    iterations: int,
    bias: Float[Tensor, "out out_dim"] | None = None,
    leaky: bool = False,
) -> Float[Tensor, "batch out out_dim"]:
    """Compute values and gradients of `functional.dynamic_routing`, to rounding [D].

    Raises ValueError when `iterations` is below 1.
    """
    if iterations < 1:
        raise ValueError(f"routing needs at least 1 iteration, got {iterations}")
    u, weight = _in_slabs(u, weight)
    offset = 0 if bias is None else bias[:, None]
    v = total = squash(_first_sum(u, weight, leaky) + offset)
    for _ in range(iterations - 1):
        v = squash(_Agreed.apply(total, u, weight, leaky) + offset)
        total = total + v
    return v.transpose(0, 1)


def _in_slabs(u: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """u and W as slabs; what the last one lacks is filled with capsules of zeros."""
    batch, capsules, in_dim = u.shape
    at_once = max(1, SLAB // (2 * batch * weight.shape[1] * in_dim))
    slabs = ceil(capsules / at_once) if u.device.type == "cpu" else 1
    missing = -capsules % slabs
    if missing:  # padding with nothing would copy all the same
        u, weight = pad(u, (0, 0, 0, missing)), pad(weight, (0, 0) * 3 + (0, missing))
    u, weight = u.unflatten(1, (slabs, -1)), weight.unflatten(0, (slabs, -1))
    return u.permute(1, 0, 3, 2).contiguous(), weight.permute(0, 2, 4, 3, 1).contiguous()


def _first_sum(u: Tensor, weight: Tensor, leaky: bool) -> Tensor:
    """Sum the first iteration: logits of 0 make every coupling the same, so W is one matrix."""
    out, out_dim = weight.shape[1:3]
    s = torch.bmm(u.flatten(2), weight.flatten(3).flatten(1, 2).mT).sum(0) / (out + leaky)
    return s.unflatten(1, (out, out_dim)).transpose(0, 1)


def _couplings(b: Tensor, leaky: bool) -> Tensor:
    """Compute `functional.couplings` over the first axis."""
    if not leaky:
        return b.softmax(dim=0)
    return torch.cat([b, torch.zeros_like(b[:1])]).softmax(dim=0)[:-1]


class _Agreed(torch.autograd.Function):
    """s of an iteration, from the sum V of the outputs before it."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, u: Tensor, weight: Tensor, leaky: bool) -> Tensor:
        s, couplings = torch.zeros_like(total), []
        for u_slab, w in zip(u, weight.flatten(3), strict=True):
            wanted = torch.bmm(total, w).unflatten(2, u_slab.shape[1:])  # W V
            c = _couplings(wanted.mul_(u_slab).sum(2), leaky)
            weighted = torch.mul(c[:, :, None], u_slab, out=wanted)
            s.baddbmm_(weighted.flatten(2), w.mT)
            couplings.append(c)
        ctx.save_for_backward(total, u, weight, *couplings)
        return s

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Differentiate s = Σ c u W and b = u W V, in which grad s and V play the same part.

        The leak's coupling feeds no output, so the softmax's gradient has the same form with it.
        """
        refuse_second_gradients()
        (grad,) = grads
        total, u, weight, *couplings = ctx.saved_tensors
        above = torch.cat([grad, total], dim=1)
        grad_total, grad_u, grad_weight = map(torch.empty_like, (total, u, weight))
        grad_total.zero_()
        for k, (u_slab, w, c) in enumerate(zip(u, weight.flatten(3), couplings, strict=True)):
            below = torch.bmm(above, w).unflatten(2, u_slab.shape[1:]).unflatten(1, (2, -1))
            grad_c = (below[:, 0] * u_slab).sum(2)
            grad_b = c * (grad_c - (c * grad_c).sum(0))
            factors = torch.stack([c, grad_b], dim=1)[:, :, :, None]
            torch.sum(factors * below, dim=(0, 1), out=grad_u[k])
            weighted = torch.mul(factors, u_slab, out=below).flatten(1, 2).flatten(2)
            torch.bmm(above.mT, weighted, out=grad_weight[k].view_as(w))
            grad_total.baddbmm_(weighted[:, len(u_slab) :], w.mT)
        return grad_total, grad_u, grad_weight, None
