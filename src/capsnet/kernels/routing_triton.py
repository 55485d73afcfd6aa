"""Routing by agreement on a GPU: votes that live in registers only, in Triton.

As in `kernels.routing`, an iteration is a function of V, the sum of all outputs before it:

    c_ij = softmax_j(û_{j|i} · V_j)    s_j = Σ_i c_ij û_{j|i}.   [leaky: one more logit, 0]

A program takes a tile of examples and walks over a run of capsules below. For each it makes the
votes û_i = u_i W_i by one small matrix product, uses them and forgets them; the gradient makes them
again. What programs have in common (s over capsules, the gradient of W over examples) is summed
afterwards, in a fixed order. That order depends on the number of multiprocessors of the GPU, which
sets the length of the runs: on one kind of GPU the same input gives the same bits.

Tensors lie as in `functional`: u [batch, in, in_dim], W [in, out, in_dim, out_dim], and s, v, V
[batch, out, out_dim]. In a program the capsules above and their dimensions are one axis of columns,
each padded to a power of two.
"""

# Triton's own types are too narrow for what its compiler takes.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOperatorIssue=false

from functools import cache
from math import ceil
from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from capsnet.functional import squash
from capsnet.kernels.second_gradients import refuse_second_gradients

EXAMPLES = 32  # of a tile
WARPS = 8  # of a program: with these no register spills on a Hopper GPU
ROUTE, VOTES = 1, 2  # programs of a kernel whose registers fit into one multiprocessor
INTERPRETED = 4  # multiprocessors that are assumed where there is no GPU
WAVES = 8  # how many wave counts are tried, from the fewest possible


def dynamic_routing(
    u: Float[Tensor, "batch in in_dim"],
    weight: Float[Tensor, "in out in_dim out_dim"],
    iterations: int,
    bias: Float[Tensor, "out out_dim"] | None = None,
    leaky: bool = False,
) -> Float[Tensor, "batch out out_dim"]:
    """Compute values and gradients of `functional.dynamic_routing`, to rounding [D].

    On a GPU, or anywhere under TRITON_INTERPRET=1. Raises ValueError when `iterations` is below 1.
    """
    if iterations < 1:
        raise ValueError(f"routing needs at least 1 iteration, got {iterations}")
    u, weight, offset = u.contiguous(), weight.contiguous(), 0 if bias is None else bias
    first = torch.einsum("bid,ijde->bje", u, weight) / (weight.shape[1] + leaky)
    v = total = squash(first + offset)
    for _ in range(iterations - 1):
        v = squash(_Agreed.apply(total, u, weight, leaky) + offset)
        total = total + v
    return v


class _Agreed(torch.autograd.Function):
    """s of an iteration, from the sum V of the outputs before it."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, u: Tensor, weight: Tensor, leaky: bool) -> Tensor:
        total, (grid, sizes) = total.contiguous(), _sizes(u, weight, ROUTE)
        ctx.save_for_backward(total, u, weight)
        ctx.leaky = leaky
        s = total.new_empty(grid[1], *total.shape)
        _route[grid](s, total, u, weight, LEAKY=leaky, **sizes)
        return s.sum(0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Differentiate s = Σ c û and b = û · V, in which grad s and V play the same part.

        The leak's coupling feeds no output, so the softmax's gradient has the same form with it.
        """
        refuse_second_gradients()
        total, u, weight = ctx.saved_tensors
        grid, sizes = _sizes(u, weight, ROUTE)
        known = grads[0].contiguous(), total, u, weight
        grad_total = total.new_empty(grid[1], *total.shape)
        c, grad_b = u.new_empty(2, *u.shape[:2], weight.shape[1])
        _route_backward[grid](grad_total, c, grad_b, *known, LEAKY=ctx.leaky, **sizes)
        grad_u, grad_weight = torch.empty_like(u), weight.new_empty(grid[0], *weight.shape)
        grid, sizes = _sizes(u, weight, VOTES)
        _votes_backward[grid](grad_u, grad_weight, c, grad_b, *known, **sizes)
        return grad_total.sum(0), grad_u, grad_weight.sum(0), None


@cache
def capsules_per_program(tiles: int, capsules: int, slots: int) -> int:
    """Return how many capsules a program takes so that a launch ends soonest.

    `slots` programs run at the same time, in waves; a launch lasts for its number of waves times
    the capsules of a program. The fewest waves win a tie, since each program stores a partial sum.
    """
    fewest = ceil(tiles / slots)
    runs = {waves: waves * slots // tiles for waves in range(fewest, fewest + WAVES)}
    best = min(runs, key=lambda waves: waves * ceil(capsules / runs[waves]))
    return ceil(capsules / runs[best])


@torch.compiler.assume_constant_result  # so that compiling does not trace it
def _run(batch: int, capsules: int, resident: int, device: torch.device) -> int:
    processors = INTERPRETED
    if device.type == "cuda":
        processors = torch.cuda.get_device_properties(device).multi_processor_count
    return capsules_per_program(ceil(batch / EXAMPLES), capsules, resident * processors)


def _sizes(u: Tensor, weight: Tensor, resident: int) -> tuple[tuple[int, int], dict[str, Any]]:
    """Return the grid (tiles of examples × runs of capsules) and the arguments of a kernel.

    A multiprocessor runs `resident` programs of it at a time.
    """
    capsules, above, below_dim, dim = weight.shape
    run = _run(len(u), capsules, resident, u.device)
    sizes = {
        "batch": len(u),
        "capsules": capsules,
        "run": run,
        "OUT": above,
        "IN_DIM": below_dim,
        "DIM": dim,
        "ROWS": EXAMPLES,
        "OUT2": triton.next_power_of_2(above),
        "IN2": max(16, triton.next_power_of_2(below_dim)),  # the least a product can have
        "DIM2": max(16, triton.next_power_of_2(dim)),
        "num_warps": WARPS,
    }
    return (ceil(len(u) / EXAMPLES), ceil(capsules / run)), sizes


@triton.jit
def _route(
    s,  # [runs, batch, out, out_dim]: of each run of capsules
    total,
    u,
    weight,
    batch,
    capsules,
    run,
    LEAKY: tl.constexpr,
    OUT: tl.constexpr,
    IN_DIM: tl.constexpr,
    DIM: tl.constexpr,
    ROWS: tl.constexpr,
    OUT2: tl.constexpr,
    IN2: tl.constexpr,
    DIM2: tl.constexpr,
):
    above, there = _above(batch, OUT, DIM, ROWS, OUT2, DIM2)
    v = tl.load(total + above, mask=there, other=0.0)
    sum_ = tl.zeros_like(v)
    first = tl.program_id(1) * run
    for i in range(first, min(first + run, capsules)):
        below, seen = _below(i, batch, capsules, IN_DIM, ROWS, IN2)
        kernel, inside = _kernel(i, OUT, IN_DIM, DIM, OUT2, IN2, DIM2)
        votes = _votes(u + below, seen, weight + kernel, inside).reshape(ROWS, OUT2, DIM2)
        c = _couplings(tl.sum(votes * v, 2), LEAKY, OUT, OUT2)
        sum_ += c[:, :, None] * votes
    tl.store(s + tl.program_id(1) * batch * OUT * DIM + above, sum_, mask=there)


@triton.jit
def _route_backward(
    grad_total,  # [runs, batch, out, out_dim]: of each run of capsules
    couplings,  # [batch, in, out], made here once more
    grad_logits,  # [batch, in, out]
    grad,  # of s
    total,
    u,
    weight,
    batch,
    capsules,
    run,
    LEAKY: tl.constexpr,
    OUT: tl.constexpr,
    IN_DIM: tl.constexpr,
    DIM: tl.constexpr,
    ROWS: tl.constexpr,
    OUT2: tl.constexpr,
    IN2: tl.constexpr,
    DIM2: tl.constexpr,
):
    above, there = _above(batch, OUT, DIM, ROWS, OUT2, DIM2)
    v = tl.load(total + above, mask=there, other=0.0)
    grad_s = tl.load(grad + above, mask=there, other=0.0)
    sum_ = tl.zeros_like(v)
    first = tl.program_id(1) * run
    for i in range(first, min(first + run, capsules)):
        below, seen = _below(i, batch, capsules, IN_DIM, ROWS, IN2)
        kernel, inside = _kernel(i, OUT, IN_DIM, DIM, OUT2, IN2, DIM2)
        votes = _votes(u + below, seen, weight + kernel, inside).reshape(ROWS, OUT2, DIM2)
        c = _couplings(tl.sum(votes * v, 2), LEAKY, OUT, OUT2)
        grad_c = tl.sum(votes * grad_s, 2)
        grad_b = c * (grad_c - tl.sum(c * grad_c, 1)[:, None])
        sum_ += grad_b[:, :, None] * votes
        pair, real = _below(i, batch, capsules, OUT, ROWS, OUT2)
        tl.store(couplings + pair, c, mask=real)
        tl.store(grad_logits + pair, grad_b, mask=real)
    tl.store(grad_total + tl.program_id(1) * batch * OUT * DIM + above, sum_, mask=there)


@triton.jit
def _votes_backward(
    grad_u,
    grad_weight,  # [tiles, in, out, in_dim, out_dim]: of each tile of examples
    couplings,
    grad_logits,
    grad,  # of s
    total,
    u,
    weight,
    batch,
    capsules,
    run,
    OUT: tl.constexpr,
    IN_DIM: tl.constexpr,
    DIM: tl.constexpr,
    ROWS: tl.constexpr,
    OUT2: tl.constexpr,
    IN2: tl.constexpr,
    DIM2: tl.constexpr,
):
    above, there = _above(batch, OUT, DIM, ROWS, OUT2, DIM2)
    v = tl.load(total + above, mask=there, other=0.0)
    grad_s = tl.load(grad + above, mask=there, other=0.0)
    first = tl.program_id(1) * run
    tile = tl.program_id(0).to(tl.int64) * capsules * OUT * IN_DIM * DIM
    for i in range(first, min(first + run, capsules)):
        below, seen = _below(i, batch, capsules, IN_DIM, ROWS, IN2)
        kernel, inside = _kernel(i, OUT, IN_DIM, DIM, OUT2, IN2, DIM2)
        pair, real = _below(i, batch, capsules, OUT, ROWS, OUT2)
        c = tl.load(couplings + pair, mask=real, other=0.0)
        grad_b = tl.load(grad_logits + pair, mask=real, other=0.0)
        votes = (c[:, :, None] * grad_s + grad_b[:, :, None] * v).reshape(ROWS, OUT2 * DIM2)
        w_i = tl.load(weight + kernel, mask=inside, other=0.0)
        tl.store(grad_u + below, _product(votes, tl.trans(w_i)), mask=seen)
        u_i = tl.load(u + below, mask=seen, other=0.0)
        tl.store(grad_weight + tile + kernel, _product(tl.trans(u_i), votes), mask=inside)


@triton.jit
def _above(
    batch,
    OUT: tl.constexpr,
    DIM: tl.constexpr,
    ROWS: tl.constexpr,
    OUT2: tl.constexpr,
    DIM2: tl.constexpr,
):
    """Locate [ROWS, OUT2, DIM2] of a tensor [batch, out, out_dim], and mask the padding."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None, None]
    out, dim = tl.arange(0, OUT2)[None, :, None], tl.arange(0, DIM2)[None, None, :]
    return (row * OUT + out) * DIM + dim, (row < batch) & (out < OUT) & (dim < DIM)


@triton.jit
def _below(i, batch, capsules, IN_DIM: tl.constexpr, ROWS: tl.constexpr, IN2: tl.constexpr):
    """Locate u_i [ROWS, IN2]."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    dim = tl.arange(0, IN2)[None, :]
    return (row * capsules + i) * IN_DIM + dim, (row < batch) & (dim < IN_DIM)


@triton.jit
def _kernel(
    i,
    OUT: tl.constexpr,
    IN_DIM: tl.constexpr,
    DIM: tl.constexpr,
    OUT2: tl.constexpr,
    IN2: tl.constexpr,
    DIM2: tl.constexpr,
):
    """Locate W_i [IN2, OUT2 · DIM2]."""
    below, column = tl.arange(0, IN2)[:, None], tl.arange(0, OUT2 * DIM2)[None, :]
    out, dim = column // DIM2, column % DIM2
    where = ((i * OUT + out) * IN_DIM + below) * DIM + dim
    return where, (below < IN_DIM) & (out < OUT) & (dim < DIM)


@triton.jit
def _votes(u, seen, weight, inside):
    """û_i [ROWS, OUT2 · DIM2] = u_i W_i, of what is there."""
    return _product(tl.load(u, mask=seen, other=0.0), tl.load(weight, mask=inside, other=0.0))


@triton.jit
def _product(a, b):
    """a · b, in fp32 as such: what tensor cores make of fp32 does not fit into the registers."""
    return tl.dot(a, b, input_precision="ieee", out_dtype=a.dtype)


@triton.jit
def _couplings(b, LEAKY: tl.constexpr, OUT: tl.constexpr, OUT2: tl.constexpr):
    """Compute `functional.couplings` [ROWS, OUT2]; 0 for capsules above that are padding."""
    b = tl.where(tl.arange(0, OUT2)[None, :] < OUT, b, float("-inf"))
    top = tl.max(b, 1)
    if LEAKY:
        top = tl.maximum(top, 0.0)
    e = tl.exp(b - top[:, None])
    total = tl.sum(e, 1)
    if LEAKY:
        total += tl.exp(-top)
    return e / total[:, None]
