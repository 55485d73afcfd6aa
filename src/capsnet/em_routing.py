"""EM routing of the follow-up paper, 'Matrix Capsules with EM Routing' (2018).

Symbols, as there: child i has the pose matrix M_i and the activation a_i, V_ij = M_i W_ij is its
vote for parent j, with the elements h, and R_ij the share of the child that the parent gets; a
parent is a Gaussian of mean μ_j and variance σ²_j. Marks: [P] that paper, [O] its authors' answers
on OpenReview, [R] their TensorFlow code (google-research/google-research, `capsule_em/`, commit
0089511, as read), [D] derived here. docs/em-routing.md has the whole procedure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True, kw_only=True)
class EMForm:
    """The choices in which the published text and the released code differ.

    `types_compete`: the shares of a child sum to 1 over all parents that see it [P]; otherwise over
    the positions of each type, after first shares of 1 / types [R]. `momentum`: the weight of the
    previous mean (0 at first) in μ. `final_lambda`: what the inverse temperature rises to. `floor`:
    what is added to σ²; at 0, a parent with one child has infinite gradients.
    """

    types_compete: bool
    momentum: float
    final_lambda: float
    floor: float = 0.0005  # [R]; [P] names none


TEXT = EMForm(types_compete=True, momentum=0.0, final_lambda=0.01)  # [P] Procedure 1, λ by [O]
# [R]: convolutional capsules. Its λ is 0.01 times a logit of twice Procedure 1's scale [D], with
# β_u = b_σ (1 + ln 2π) / 2 and β_a = −2500 b_a.
RELEASED = EMForm(types_compete=False, momentum=0.1, final_lambda=0.02)
RELEASED_CLASSES = EMForm(types_compete=True, momentum=0.1, final_lambda=0.005)  # [R]: λ / 4


class EMStep(NamedTuple):
    """One iteration: the shares R that its M-step used, and the μ, σ² and a that came out.

    R is [batch, positions, types, in], μ and σ² [batch, positions, types, rows, columns] and a
    [batch, positions, types].
    """

    shares: Tensor
    mean: Tensor
    variance: Tensor
    activations: Tensor


def inverse_temperature(iteration: int, final: float) -> float:
    """λ_t = final · (1 − 0.95^(t+1)), from t = 0 on: [O], [R]."""
    return final * (1 - 0.95 ** (iteration + 1))


def em_routing(
    poses: Float[Tensor, "batch in rows inner"],
    activations: Float[Tensor, "batch in"],
    weight: Float[Tensor, "in positions types inner columns"],
    beta_u: Float[Tensor, "types"],
    beta_a: Float[Tensor, "types"],
    iterations: int,
    form: EMForm = TEXT,
    sees: Bool[Tensor, "in positions"] | None = None,
) -> tuple[
    Float[Tensor, "batch positions types rows columns"], Float[Tensor, "batch positions types"]
]:
    """Return poses μ and activations in [0, 1] of the parents, by Procedure 1 [P].

    `sees` marks the parent positions whose receptive field contains each child; None: all. A child
    that no parent sees is ignored; a parent that no active child reaches has pose 0. Coordinates
    are added to votes by a further column of the poses and row of the weight. Gradients flow
    through every iteration [O]. Raises ValueError when `iterations` is below 1.
    """
    last = em_trace(poses, activations, weight, beta_u, beta_a, iterations, form, sees)[-1]
    return last.mean, last.activations


def em_trace(
    poses: Float[Tensor, "batch in rows inner"],
    activations: Float[Tensor, "batch in"],
    weight: Float[Tensor, "in positions types inner columns"],
    beta_u: Float[Tensor, "types"],
    beta_a: Float[Tensor, "types"],
    iterations: int,
    form: EMForm = TEXT,
    sees: Bool[Tensor, "in positions"] | None = None,
) -> list[EMStep]:
    """Route like `em_routing` and return every iteration."""
    if iterations < 1:
        raise ValueError(f"routing needs at least 1 iteration, got {iterations}")
    seen = (poses.new_ones(weight.shape[:2]) if sees is None else sees).bool().mT[:, None]
    score = poses.new_zeros(len(poses), *weight.shape[1:3], weight.shape[0])
    shares = (
        _shares(score, seen, form) if form.types_compete else score + seen.to(score) / len(beta_u)
    )
    mean = poses.new_zeros(*score.shape[:3], poses.shape[2], weight.shape[4])
    steps: list[EMStep] = []
    for iteration in range(iterations):
        mass = shares * activations[:, None, None]
        mean, variance = _each_parent(partial(_moments, form), poses, weight, mass, mean)
        cost = (beta_u[:, None, None] + variance.log() / 2).sum((3, 4)) * mass.sum(3)
        logit = inverse_temperature(iteration, form.final_lambda) * (beta_a - cost)
        steps.append(EMStep(shares, mean, variance, logit.sigmoid()))
        if iteration + 1 < iterations:
            [density] = _each_parent(_log_density, poses, weight, mean, variance)
            shares = _shares(logsigmoid(logit)[..., None] + density, seen, form)
    return steps


def _each_parent(
    step: Callable[..., tuple[Tensor, ...]], poses: Tensor, weight: Tensor, *parents: Tensor
) -> list[Tensor]:
    """Apply `step` to one parent at a time and stack what it returns.

    The backward pass computes it again, so that votes of one parent alone exist at any time.
    """
    flat = (value.flatten(1, 2).unbind(1) for value in (weight, *parents))
    again = partial(checkpoint, step, poses, use_reentrant=False, preserve_rng_state=False)
    found = zip(*(again(*one) for one in zip(*flat, strict=True)), strict=True)
    return [torch.stack(some, 1).unflatten(1, weight.shape[1:3]) for some in found]


def _votes(poses: Tensor, weight: Tensor) -> Tensor:
    return torch.einsum("birk,ikc->birc", poses, weight)


def _moments(
    form: EMForm, poses: Tensor, weight: Tensor, mass: Tensor, before: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute μ and σ² of one parent: the M-step."""
    votes = _votes(poses, weight)
    total = mass.sum(1, keepdim=True).clamp(min=torch.finfo(mass.dtype).eps)
    part = (mass / total)[..., None, None]
    mean = (1 - form.momentum) * (part * votes).sum(1) + form.momentum * before
    return mean, (part * (votes - mean[:, None]).square()).sum(1) + form.floor


def _log_density(poses: Tensor, weight: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor]:
    """Compute ln N(V_ij; μ_j, σ²_j) for one parent, up to a constant that a softmax cancels."""
    distance = (_votes(poses, weight) - mean[:, None]).square() / variance[:, None]
    return ((distance + variance.log()[:, None]).sum((2, 3)) / -2,)


def _shares(score: Tensor, seen: Tensor, form: EMForm) -> Tensor:
    """Compute R by a softmax over the parents that see a child: the E-step."""
    score = score.masked_fill(~seen, torch.finfo(score.dtype).min)  # −∞ would give orphans NaN
    over_positions_and_types = score.flatten(1, 2).softmax(1).view_as(score)
    return (over_positions_and_types if form.types_compete else score.softmax(1)) * seen
