"""EM routing of the 2018 paper: golden numbers, the oracle, exact properties, known pitfalls."""

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck
from torch.autograd.graph import saved_tensors_hooks

from capsnet.em_routing import (
    RELEASED,
    RELEASED_CLASSES,
    TEXT,
    EMForm,
    EMStep,
    em_routing,
    em_trace,
    inverse_temperature,
)
from capsnet.spread_loss import spread_loss, spread_margin
from helpers import em_oracle
from test_functional import FEW, LargestTensor, assert_equal, double, normal

PAGE = Path(__file__).parents[1] / "docs/em-routing.md"
FORMS = pytest.mark.parametrize("form", [TEXT, RELEASED], ids=["text", "released"])
STRONG = replace(TEXT, final_lambda=1.0)  # at λ = 0.01 an error in a_j hardly shows


class Case(NamedTuple):
    """The arguments of `em_routing` that are tensors."""

    poses: Tensor
    activations: Tensor
    weight: Tensor
    beta_u: Tensor
    beta_a: Tensor


def case(
    batch: int = 2,
    children: int = 5,
    positions: int = 2,
    types: int = 3,
    rows: int = 2,
    columns: int = 2,
    seed: int = 0,
) -> Case:
    return Case(
        normal(batch, children, rows, rows, seed=seed),
        normal(batch, children, seed=seed + 1).sigmoid(),
        normal(children, positions, types, rows, columns, seed=seed + 2),
        normal(types, seed=seed + 3),
        normal(types, seed=seed + 4),
    )


def from_votes(votes: Tensor, activations: Tensor, beta_u: Tensor, beta_a: Tensor) -> Case:
    """Pass votes [in, types, h] as the weight of poses that are all 1, for a batch of one."""
    poses = votes.new_ones(1, len(votes), 1, 1)
    return Case(poses, activations[None], votes[:, None, :, None], beta_u, beta_a)


def oracle(
    given: Case, iterations: int, form: EMForm, sees: Tensor | None = None
) -> list[list[em_oracle.Step]]:
    """Route every example by the oracle, with parents numbered by position, then type."""
    positions, types = given.weight.shape[1:3]
    votes = np.einsum("birk,iptkc->biptrc", given.poses, given.weight)
    numbers = np.tile(np.arange(types), positions)
    mask = None if sees is None else np.repeat(sees.numpy(), types, axis=1)
    return [
        em_oracle.em_routing(
            votes[n].reshape(votes.shape[1], positions * types, -1),
            given.activations[n].numpy(),
            given.beta_u.numpy()[numbers],
            given.beta_a.numpy()[numbers],
            iterations,
            form.final_lambda,
            form.floor,
            mask,
            None if form.types_compete else numbers,
            form.momentum,
        )
        for n in range(len(votes))
    ]


def assert_follows_the_oracle(
    given: Case, iterations: int, form: EMForm, sees: Tensor | None = None
) -> None:
    steps = em_trace(*given, iterations, form, sees)
    assert len(steps) == iterations
    for n, expected in enumerate(oracle(given, iterations, form, sees)):
        for ours, theirs in zip(steps, expected, strict=True):
            assert_equal(ours.shares[n].flatten(0, 1).mT, double(theirs.shares))
            assert_equal(ours.mean[n].flatten(0, 1).flatten(1), double(theirs.mean))
            assert_equal(ours.variance[n].flatten(0, 1).flatten(1), double(theirs.variance))
            assert_equal(ours.activations[n].flatten(), double(theirs.activations))


# Golden numbers: worked out with a separate NumPy script, before this code was written [D]


def golden() -> Case:
    """V_ijh = sin(1 + 2i + 3j + 5h): 4 children, 3 parents, 16 dimensions."""
    i, j, h = np.meshgrid(np.arange(4), np.arange(3), np.arange(16), indexing="ij")
    votes = double(np.sin(1 + 2 * i + 3 * j + 5 * h))
    return from_votes(
        votes, double([0.9, 0.6, 0.3, 0.1]), double([0.1, 0.2, 0.3]), double([1, 2, 3])
    )


GOLDEN = {  # by final λ: a after t = 0 and t = 2; μ, σ² of h = 0 and R of child 0 at t = 2
    0.01: (
        (0.500537, 0.500537, 0.500538),
        (0.501506, 0.501649, 0.502257),
        (0.096788, -0.403038, 0.347859),
        (0.365920, 0.271188, 0.359112),
        (0.165608, 0.321830, 0.512563),
    ),
    1.0: (
        (0.553451, 0.553542, 0.553550),
        (0.645787, 0.659187, 0.711565),
        (0.096357, -0.402500, 0.347340),
        (0.365469, 0.271253, 0.359555),
        (0.164271, 0.321875, 0.513854),
    ),
}


@pytest.mark.parametrize("final", GOLDEN)
def test_golden_numbers(final: float) -> None:
    form = replace(TEXT, final_lambda=final)
    first, _, last = em_trace(*golden(), 3, form)
    ours = (
        *(first.activations[0, 0], last.activations[0, 0]),
        *(last.mean[0, 0, :, 0, 0], last.variance[0, 0, :, 0, 0], last.shares[0, 0, :, 0]),
    )
    [[start, _, end]] = oracle(golden(), 3, form)
    theirs = (start.activations, end.activations, end.mean[:, 0], end.variance[:, 0], end.shares[0])
    for found, checked, expected in zip(ours, theirs, GOLDEN[final], strict=True):
        assert found.tolist() == pytest.approx(expected, abs=6e-7)
        assert checked.tolist() == pytest.approx(expected, abs=6e-7)


def one_child(dtype: torch.dtype = torch.float64) -> Case:
    votes, zero = torch.ones(1, 2, 16, dtype=dtype), torch.zeros(2, dtype=dtype)
    return from_votes(votes, torch.ones(1, dtype=dtype), zero, zero)


def test_the_activation_for_one_child_is_that_of_the_floor() -> None:
    """Pitfall 3: σ² = ε, S = 1/2 and λ_0 = 0.05: logistic(−8 · 0.05 · ½ · ln 0.0005)."""
    _, activations = em_routing(*one_child(), 1, STRONG)
    assert_equal(activations, double(1 / (1 + np.exp(0.2 * np.log(0.0005)))).expand(1, 1, 2))
    assert activations[0, 0, 0].item() == pytest.approx(0.820565, abs=6e-7)


def test_inverse_temperatures() -> None:
    """Pitfall 9: the authors state these three numbers; public versions use a constant."""
    found = [inverse_temperature(t, TEXT.final_lambda) for t in range(3)]
    assert found == pytest.approx([0.0005, 0.000975, 0.00142625], rel=1e-12)


def test_the_released_constants_switch_a_capsule_on_unless_types_compete() -> None:
    """Released: 72 children per parent. Text: each is divided among 32 types [D]."""
    biases = 0.25 * (1 + np.log(2 * np.pi)), -1250.0  # b_σ = b_a = 0.5
    for mass, logit in ((72, 6.6), (72 / 32, -3.25)):
        agreeing = torch.zeros(72, 1, 16).double()
        shares = torch.full((72,), mass / 72).double()
        given = from_votes(agreeing, shares, *(double([bias]) for bias in biases))
        assert em_routing(*given, 3, RELEASED)[1].logit().item() == pytest.approx(logit, abs=0.01)


SPREAD = [
    (0.2, "text", 0.16),
    (0.9, "text", 2.31),
    (0.2, "released", 0.032),
    (0.9, "released", 0.462),
]


@pytest.mark.parametrize(("margin", "balance", "expected"), SPREAD)
def test_spread_loss_by_hand(margin: float, balance: Any, expected: float) -> None:
    """At m = 0.2, a_t = 0.5: 0.7 is 0.4 too high and 0.3 not, as 0.2 is allowed: 0.4² = 0.16."""
    a = double([[0.2, 0.7, 0.1, 0.5, 0.3]])
    assert spread_loss(a, torch.tensor([3]), margin, balance).item() == pytest.approx(expected)


def test_spread_loss_equals_the_oracle_with_right_gradients() -> None:
    a, targets = normal(6, 4).sigmoid().requires_grad_(), torch.tensor([0, 1, 2, 3, 0, 1])
    each = [
        em_oracle.spread_loss(one, target, 0.4)
        for one, target in zip(a.detach().numpy(), targets.tolist(), strict=True)
    ]
    assert_equal(spread_loss(a, targets, 0.4), double(np.mean(each)))
    assert gradcheck(lambda a: spread_loss(a, targets, 0.4), a)


def test_spread_margins() -> None:
    found = [spread_margin(step) for step in (0, 200_000, 400_000, 2_000_000)]
    assert found == pytest.approx([0.214, 0.595, 0.976, 0.99], abs=5e-4)


# Procedure 1


@FORMS
def test_overlapping_receptive_fields_equal_the_oracle(form: EMForm) -> None:
    sees = torch.tensor([[1, 0], [1, 1], [0, 1], [1, 1], [0, 1]]).bool()
    assert_follows_the_oracle(case(), 3, replace(form, final_lambda=1.0), sees)


@FEW
@given(
    children=st.integers(1, 5),
    positions=st.integers(1, 3),
    types=st.integers(1, 3),
    columns=st.integers(1, 3),
    iterations=st.integers(1, 4),
    form=st.sampled_from([STRONG, replace(RELEASED, final_lambda=1.0), RELEASED_CLASSES]),
    hidden=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_every_iteration_equals_the_oracle(
    children: int,
    positions: int,
    types: int,
    columns: int,
    iterations: int,
    form: EMForm,
    hidden: bool,
    seed: int,
) -> None:
    given = case(2, children, positions, types, columns=columns, seed=seed)
    sees = normal(children, positions, seed=seed) > 0
    sees[0] = True  # the oracle divides by the mass of every parent
    assert_follows_the_oracle(given, iterations, form, sees if hidden else None)


def with_stored_votes(
    given: Case, iterations: int, form: EMForm, detached: bool = False
) -> tuple[Tensor, Tensor]:
    """Compute the same by the formulas, every vote stored."""
    poses, a, weight, beta_u, beta_a = given
    votes = torch.einsum("birk,iptkc->biptrc", poses, weight)
    count = weight.shape[2] * (weight.shape[1] if form.types_compete else 1)
    r = torch.ones_like(votes[..., 0, 0]) / count
    mean = activations = torch.zeros_like(votes[:, 0])
    for t in range(iterations):
        mass = r * a[:, :, None, None]
        part = (mass / mass.sum(1, keepdim=True))[..., None, None]
        mean = (1 - form.momentum) * (part * votes).sum(1) + form.momentum * mean
        squares = (votes - mean[:, None]).square()
        variance = (part * squares).sum(1) + form.floor
        cost = (beta_u[:, None, None] + variance.sqrt().log()).sum((3, 4)) * mass.sum(1)
        activations = (inverse_temperature(t, form.final_lambda) * (beta_a - cost)).sigmoid()
        p = (-squares / (2 * variance[:, None])).exp() / variance[:, None].sqrt()
        p = p.prod(5).prod(4) * activations[:, None]
        r = p / p.sum((2, 3) if form.types_compete else 2, keepdim=True)
        r = r.detach() if detached else r
    return mean, activations


def gradients(routing: Callable[[Case], tuple[Tensor, Tensor]]) -> Tensor:
    """Return the gradients of a fixed weighting of both outputs, as one vector."""
    given = Case(*(tensor.requires_grad_() for tensor in case(rows=4, columns=4)))
    mean, activations = routing(given)
    (mean * normal(*mean.shape, seed=8)).sum().backward(retain_graph=True)
    activations.square().sum().backward()
    return torch.cat([tensor.grad.flatten() for tensor in given if tensor.grad is not None])


@FORMS
def test_recomputed_votes_give_the_values_and_gradients_of_stored_ones(form: EMForm) -> None:
    form = replace(form, final_lambda=1.0)
    for ours, plain in zip(
        em_routing(*case(rows=4, columns=4), 3, form),
        with_stored_votes(case(rows=4, columns=4), 3, form),
        strict=True,
    ):
        assert_equal(ours, plain)
    plain = gradients(lambda given: with_stored_votes(given, 3, form))
    assert plain.numel() == 2 * 5 * 17 + 5 * 6 * 16 + 6
    assert_equal(
        gradients(lambda given: em_routing(*given, 3, form)) / plain.norm(), plain / plain.norm()
    )


def test_gradients_are_not_those_of_detached_shares() -> None:
    """Pitfall 11: the authors use no stopped gradient."""
    full = gradients(lambda given: em_routing(*given, 3, STRONG))
    cut = gradients(lambda given: with_stored_votes(given, 3, STRONG, detached=True))
    assert (full - cut).norm() > 0.01 * full.norm()


@FORMS
@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_gradients_are_right(iterations: int, form: EMForm) -> None:
    sees = torch.tensor([[1, 1], [1, 0], [0, 0]]).bool()  # the last child has no parent
    form = replace(form, final_lambda=1.0, floor=0.1)
    given = Case(*(tensor.requires_grad_() for tensor in case(1, 3, 2, 2, 1, 2)))

    def routed(*some: Tensor) -> tuple[Tensor, Tensor]:
        return em_routing(*Case(*some), iterations, form, sees)

    assert gradcheck(routed, (*given,), fast_mode=True)


@FORMS
def test_gradients_are_finite_for_one_child_and_for_none(form: EMForm) -> None:
    """Pitfall 3, in single precision: a floor of σ² and logarithms keep 0 out of every quotient."""
    sees = torch.tensor([[True, False, False], [False, False, False]])
    given = case(1, 2, 3, 2, 4, 4)
    given = Case(*(tensor.float().requires_grad_() for tensor in given))
    for value in em_routing(*given, 3, form, sees):
        assert value.isfinite().all()
        value.sum().backward(retain_graph=True)
    for tensor in given:
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
    for value in em_routing(given.poses, 0 * given.activations, *given[2:], 3, form, sees):
        assert value.isfinite().all()


@pytest.mark.parametrize("iterations", [0, -1])
@pytest.mark.parametrize("route", [em_routing, em_trace])
def test_fewer_than_one_iteration_is_refused(route: Callable[..., Any], iterations: int) -> None:
    with pytest.raises(ValueError, match="routing needs at least 1 iteration"):
        route(*case(), iterations)


# Memory


def largest_tensor(routing: Callable[[Case], tuple[Tensor, Tensor]], given: Case) -> int:
    """Return the largest tensor of the forward and the backward pass."""
    with LargestTensor() as seen:
        sum(value.sum() for value in routing(given)).backward()  # pyright: ignore
    return seen.numel


def saved(routing: Callable[[Case], tuple[Tensor, Tensor]], given: Case) -> int:
    """Return the number of elements that are kept for the backward pass."""
    kept: dict[int, Tensor] = {}  # by address: several operations may save the same memory

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        routing(given)
    return sum(tensor.numel() for tensor in kept.values())


def test_votes_are_never_stored() -> None:
    """Pitfall 12: they exist for one parent at a time, and none is kept for the backward pass."""
    given = Case(*(tensor.requires_grad_() for tensor in case(20, 24, 4, 4, 4, 4)))
    votes = 20 * 24 * 16 * 16
    plain = partial(with_stored_votes, iterations=3, form=TEXT)
    assert largest_tensor(plain, given) >= votes  # the measures do see them
    assert saved(plain, given) > 12 * votes
    assert largest_tensor(lambda given: em_routing(*given, 3), given) < votes / 8
    assert saved(lambda given: em_routing(*given, 3), given) < 0.6 * votes  # shares, μ and σ²


# Exact properties


def assert_same_steps(ours: list[EMStep], theirs: list[EMStep]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        for value, expected in zip(one, other, strict=True):
            assert_equal(value, expected)


@FORMS
def test_the_order_of_children_and_parents_means_nothing(form: EMForm) -> None:
    given = case()
    children, types = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([2, 0, 1])
    moved = Case(
        given.poses[:, children],
        given.activations[:, children],
        given.weight[children][:, :, types].flip(1),
        given.beta_u[types],
        given.beta_a[types],
    )
    steps = em_trace(*moved, 3, form)
    expected = [
        EMStep(shares[..., children], *rest) for shares, *rest in em_trace(*case(), 3, form)
    ]
    assert_same_steps(
        steps, [EMStep(*(value[:, :, types].flip(1) for value in step)) for step in expected]
    )


@FORMS
def test_a_child_that_is_off_or_unseen_counts_like_one_that_is_not_there(form: EMForm) -> None:
    given = case()
    poses, a, weight, *betas = given
    without = em_routing(*Case(poses[:, 1:], a[:, 1:], weight[1:], *betas), 3, form)
    off = given._replace(activations=a * double([0, 1, 1, 1, 1]))
    unseen = torch.tensor([[False] * 2, *[[True] * 2] * 4])
    for ours in (em_routing(*off, 3, form), em_routing(*given, 3, form, unseen)):
        for value, expected in zip(ours, without, strict=True):
            assert_equal(value, expected)


def shifted(given: Case, constants: Tensor) -> Case:
    """Add constants [positions, types, rows, columns] to all votes, by further columns and rows."""
    batch, children, rows, _ = given.poses.shape
    ones = torch.eye(rows).double().expand(batch, children, rows, rows)
    more = torch.cat([given.weight, constants.expand(children, *constants.shape)], 3)
    return given._replace(poses=torch.cat([given.poses, ones], 3), weight=more)


def test_a_constant_in_all_votes_for_a_parent_moves_its_mean_alone() -> None:
    """The released form is not so: its momentum starts at 0 and pulls every mean there."""
    constants = normal(2, 3, 2, 2, seed=9)
    plain = em_trace(*case(), 3, STRONG)
    moved = em_trace(*shifted(case(), constants), 3, STRONG)
    assert_same_steps(moved, [step._replace(mean=step.mean + constants) for step in plain])
    first, *_ = em_trace(*case(), 1, RELEASED)
    pulled, *_ = em_trace(*shifted(case(), constants), 1, RELEASED)
    assert_equal(pulled.mean, first.mean + 0.9 * constants)
    assert (pulled.variance - first.variance).abs().min() > 1e-4


def test_coordinates_are_added_to_votes_by_a_column_of_poses_and_a_row_of_the_weight() -> None:
    """The first two elements of the right-hand column of every vote, by where the child is [P]."""
    given = case(1, 3, 1, 2, 4, 4)
    place = normal(3, 4, seed=7) * torch.tensor([1, 1, 0, 0])
    right = torch.tensor([0, 0, 0, 1]).double().expand(3, 1, 2, 1, 4)
    posed = given._replace(
        poses=torch.cat([given.poses, place[None, :, :, None]], 3),
        weight=torch.cat([given.weight, right], 3),
    )
    votes = torch.einsum("irk,itkc->itrc", given.poses[0], given.weight[:, 0])
    votes[..., 3] += place[:, None]
    flat = from_votes(votes.flatten(2), given.activations[0], *given[3:])
    mean, activations = em_routing(*flat, 3, STRONG)
    ours = em_routing(*posed, 3, STRONG)
    assert_equal(ours[0], mean.view_as(ours[0]))
    assert_equal(ours[1], activations)


@FORMS
def test_opposite_poses_cannot_be_told_apart(form: EMForm) -> None:
    plain, opposite = em_trace(*case(), 3, form), case()
    negated = em_trace(*opposite._replace(poses=-opposite.poses), 3, form)
    assert_same_steps(negated, [step._replace(mean=-step.mean) for step in plain])


@FORMS
def test_signed_permutations_of_pose_rows_pass_through_and_rotations_do_not(form: EMForm) -> None:
    """σ is along the axes, so that invariance to viewpoint is not exact."""
    given, form = case(rows=2), replace(form, final_lambda=1.0)
    mean, activations = em_routing(*given, 3, form)
    turn = double([[0, -1], [1, 0]])
    turned = em_routing(*given._replace(poses=turn @ given.poses), 3, form)
    assert_equal(turned[0], turn @ mean)
    assert_equal(turned[1], activations)
    diagonal = double([[0.6, -0.8], [0.8, 0.6]])
    _, other = em_routing(*given._replace(poses=diagonal @ given.poses), 3, form)
    assert (other - activations).abs().max() > 1e-3


def test_one_iteration_weighs_votes_by_their_childs_activation() -> None:
    given = case()
    votes = torch.einsum("birk,iptkc->biptrc", given.poses, given.weight)
    a = given.activations[:, :, None, None, None, None]
    mean, _ = em_routing(*given, 1)
    assert_equal(mean, (a * votes).sum(1) / a.sum(1))


@FORMS
def test_examples_of_a_batch_do_not_touch(form: EMForm) -> None:
    whole, given = em_routing(*case(), 3, form), case()
    for n in range(2):
        alone = em_routing(given.poses[[n]], given.activations[[n]], *given[2:], 3, form)
        for one, all_of_them in zip(alone, whole, strict=True):
            assert_equal(one[0], all_of_them[n])


# Pitfalls of public versions: the numbers are those of docs/em-routing.md


def receptive_fields(side: int, kernel: int, stride: int) -> Tensor:
    """Return which parents' positions see a child of a square grid: one at a time, no padding."""
    out = (side - kernel) // stride + 1
    sees = torch.zeros(side, side, out, out, dtype=torch.bool)
    for row, column, y, x in np.ndindex(out, out, kernel, kernel):
        sees[row * stride + y, column * stride + x, row, column] = True
    return sees.view(side**2, out**2)


@pytest.mark.parametrize(("side", "stride", "orphans"), [(14, 2, 27), (6, 1, 0)])
def test_the_shares_of_a_child_sum_to_1_over_all_parents_that_see_it(
    side: int, stride: int, orphans: int
) -> None:
    """Pitfall 1: shares over the types of one receptive field count a child up to 9 times."""
    sees = receptive_fields(side, 3, stride)
    given = case(1, len(sees), sees.shape[1], 2, 1, 1)
    seen = sees.any(1).double()[None]
    assert (1 - seen).sum() == orphans
    for step in em_trace(*given, 2, TEXT, sees):
        assert_equal(step.shares.sum((1, 2)), seen)
        assert step.shares.movedim(3, 1)[:, ~sees].eq(0).all()
    first, second = em_trace(*given, 2, RELEASED, sees)
    assert_equal(first.shares, sees.mT[None, :, None].expand_as(first.shares).double() / 2)
    assert_equal(second.shares.sum(1), seen.expand(1, 2, -1))


def test_half_the_activations_give_the_same_means_and_another_activation() -> None:
    """Pitfall 2: where R·a is normalised over the parents again, the children's a cancels."""
    given = case()
    [whole] = em_trace(*given, 1, STRONG)
    [half] = em_trace(*given._replace(activations=given.activations / 2), 1, STRONG)
    assert_equal(half.mean, whole.mean)
    assert_equal(half.variance, whole.variance)
    assert_equal(half.activations.logit() - 0.025 * given.beta_a, whole.activations.logit() / 2)
    assert (half.activations - whole.activations).abs().mean() > 1e-3


def test_every_activation_below_has_a_gradient() -> None:
    """Pitfall 2: where a cancels, so does its gradient."""
    given = case()
    given.activations.requires_grad_()
    em_routing(*given, 2, STRONG)[1].sum().backward()
    assert given.activations.grad is not None
    assert given.activations.grad.abs().min() > 1e-6


def test_a_parent_that_is_off_gets_nothing() -> None:
    """Pitfall 5: R_ij is proportional to a_j p_j, and both parents fit alike."""
    votes = normal(4, 1, 16).expand(4, 2, 16)
    given = from_votes(votes, torch.ones(4).double(), double([0, 0]), double([1000, -1000]))
    _, second = em_trace(*given, 2, STRONG)
    assert_equal(second.shares[0, 0], double([[1.0], [0.0]]).expand(2, 4))


def test_the_activations_of_parents_do_not_sum_to_1() -> None:
    """Pitfall 7: each is a logistic function of its own, no softmax."""
    given = case()
    high = em_routing(*given._replace(beta_a=given.beta_a + 1000), 1, STRONG)[1]
    assert_equal(high, torch.ones_like(high))


def test_the_example_of_the_page_prints_what_the_page_shows() -> None:
    code, shown = re.findall(r"```(?:python|text)\n(.*?)```", PAGE.read_text(), re.DOTALL)[-2:]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    assert printed.getvalue() == shown
