"""The equations of the paper, against the oracle, by hand and by finite differences."""

from collections.abc import Callable, Collection
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck
from torch.utils._python_dispatch import TorchDispatchMode

from capsnet.functional import (
    Balance,
    agreement,
    couplings,
    dynamic_routing,
    lengths,
    margin_loss,
    reconstruction_loss,
    routing_trace,
    squash,
    weighted_votes,
)
from helpers import oracle

FEW = settings(deadline=None, max_examples=12, derandomize=True)
assert_equal = partial(torch.testing.assert_close, rtol=0.0, atol=1e-12)
size = st.integers(1, 4)
seeds = st.integers(0, 2**31)


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def double(values: Any) -> Tensor:
    """Not through single precision, where 0.9 and 3/5 would be rounded."""
    return torch.tensor(values, dtype=torch.float64)


def routing_inputs(
    batch: int = 2, inputs: int = 5, outputs: int = 3, in_dim: int = 2, out_dim: int = 4
) -> tuple[Tensor, Tensor, Tensor]:
    """u, weight and bias, large enough that the logits move away from 0."""
    return (
        normal(batch, inputs, in_dim, seed=1),
        normal(inputs, outputs, in_dim, out_dim, seed=2),
        normal(outputs, out_dim, seed=3),
    )


def assert_equals_oracle(ours: Tensor, expected: oracle.Array | float) -> None:
    assert_equal(ours, double(expected))


# Squash: Eq. 1


@FEW
@given(shape=st.lists(size, min_size=1, max_size=4), scale=st.floats(1e-3, 1e3), seed=seeds)
def test_squash_equals_the_oracle(shape: list[int], scale: float, seed: int) -> None:
    s = normal(*shape, seed=seed, scale=scale)
    assert_equals_oracle(squash(s), oracle.squash(s.numpy()))


def test_squash_of_3_4_is_15_and_20_over_26() -> None:
    # ‖(3, 4)‖ = 5, so the new length is 25/26 and the unit vector (3/5, 4/5).
    assert_equal(squash(double([3.0, 4.0])), double([15 / 26, 20 / 26]))


def test_squash_keeps_the_direction() -> None:
    s = normal(50, 8)
    cosine = torch.cosine_similarity(squash(s), s, dim=-1)
    assert_equal(cosine, torch.ones_like(cosine))


def test_squashed_length_grows_with_the_length_and_stays_below_1() -> None:
    direction = torch.nn.functional.normalize(normal(8), dim=0)
    before = torch.logspace(-4, 4, 200, dtype=torch.float64)
    after = lengths(squash(before[:, None] * direction)).tolist()
    assert all(shorter < longer for shorter, longer in pairwise(after))
    assert after[0] > 0
    assert after[-1] < 1


def test_squash_gradient_is_right() -> None:
    assert gradcheck(squash, normal(3, 2, 4).requires_grad_())


def test_squash_at_zero_has_value_0_and_gradient_0() -> None:
    # s / ‖s‖ is 0 / 0 there: one dead capsule must not turn the whole batch to NaN.
    s = torch.zeros(2, 8)
    s[1] = 1.0
    s.requires_grad_()
    v = squash(s)
    v.sum().backward()
    assert s.grad is not None
    assert v[0].eq(0).all()
    assert s.grad[0].eq(0).all()
    assert s.grad[1].isfinite().all()
    assert s.grad[1].ne(0).all()


def test_squash_at_ten_thousand_is_finite_in_single_precision() -> None:
    s = torch.full((16,), 1e4, requires_grad=True)
    v = squash(s)
    v[0].backward()
    assert s.grad is not None
    # ‖s‖² = 1.6e9, so the length is 1 to single precision and each of 16 equal parts 1/4.
    torch.testing.assert_close(v, torch.full((16,), 0.25), rtol=1e-6, atol=0)
    # There v = s / ‖s‖: ∂v₀/∂s₀ = (1 − 1/16) / ‖s‖ and ∂v₀/∂s₁ = −(1/16) / ‖s‖, ‖s‖ = 4e4.
    expected = torch.full((16,), -1 / 16 / 4e4)
    expected[0] = 15 / 16 / 4e4
    torch.testing.assert_close(s.grad, expected, rtol=1e-3, atol=0)


def test_lengths_are_norms_of_the_last_axis_with_a_finite_gradient_at_zero() -> None:
    v = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    lengths(v).sum().backward()
    assert lengths(v).tolist() == [5.0, 0.0]
    assert v.grad is not None
    # The gradient of a norm is the unit vector (3/5, 4/5); at 0, where there is none, 0.
    torch.testing.assert_close(v.grad, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))


# Routing: Procedure 1


@FEW
@given(
    batch=size,
    inputs=st.integers(1, 6),
    outputs=size,
    in_dim=size,
    out_dim=size,
    iterations=st.integers(1, 4),
    biased=st.booleans(),
    leaky=st.booleans(),
    seed=seeds,
)
def test_every_routing_iteration_equals_the_oracle(
    batch: int,
    inputs: int,
    outputs: int,
    in_dim: int,
    out_dim: int,
    iterations: int,
    biased: bool,
    leaky: bool,
    seed: int,
) -> None:
    u = normal(batch, inputs, in_dim, seed=seed)
    weight = normal(inputs, outputs, in_dim, out_dim, seed=seed + 1)
    bias = normal(outputs, out_dim, seed=seed + 2) if biased else None
    steps = routing_trace(u, weight, iterations, bias, leaky)
    expected = oracle.routing(
        u.numpy(), weight.numpy(), iterations, None if bias is None else bias.numpy(), leaky
    )
    assert len(steps) == iterations
    for ours, theirs in zip(steps, expected, strict=True):
        assert_equals_oracle(ours.logits, theirs.logits)
        assert_equals_oracle(ours.couplings, theirs.couplings)
        assert_equals_oracle(ours.v, theirs.v)
    assert_equals_oracle(dynamic_routing(u, weight, iterations, bias, leaky), expected[-1].v)


@pytest.mark.parametrize("leaky", [False, True], ids=["plain", "leaky"])
@pytest.mark.parametrize("biased", [False, True], ids=["unbiased", "biased"])
@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_routing_gradient_is_right(iterations: int, biased: bool, leaky: bool) -> None:
    u, weight, bias = (t.requires_grad_() for t in routing_inputs(1, 2, 3, 2, 2))

    def routed(u: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return dynamic_routing(u, weight, iterations, bias if biased else None, leaky)

    assert gradcheck(routed, (u, weight, bias))


def routing_with_stored_votes(
    u: Tensor, weight: Tensor, iterations: int, detached: Collection[int] = ()
) -> Tensor:
    """Procedure 1 with votes and autograd; no gradient through the update of `detached` rounds."""
    votes = (u[:, :, None, None, :] @ weight).squeeze(3)
    b = torch.zeros_like(votes[..., 0])
    v = torch.zeros_like(votes[:, 0])
    for iteration in range(iterations):
        s = (b.softmax(2)[..., None] * votes).sum(1)
        squared = s.square().sum(-1, keepdim=True)
        v = squared / (1 + squared) * s / squared.sqrt()
        update = (votes * v[:, None]).sum(-1)
        b = b + (update.detach() if iteration in detached else update)
    return v


def gradients(routing: Callable[..., Tensor], **settings: Any) -> Tensor:
    """Return the gradients of a fixed weighting of the outputs by u and weight, as one vector."""
    u, weight, _ = routing_inputs()
    u.requires_grad_()
    weight.requires_grad_()
    v = routing(u, weight, iterations=3, **settings)
    (v * normal(*v.shape, seed=4)).sum().backward()
    assert u.grad is not None
    assert weight.grad is not None
    return torch.cat([u.grad.flatten(), weight.grad.flatten()])


def test_gradient_flows_through_all_iterations() -> None:
    full = gradients(routing_with_stored_votes)
    assert_equal(gradients(dynamic_routing), full)


@pytest.mark.parametrize("detached", [(0,), (1,), (0, 1)])
def test_gradient_is_not_that_of_a_routing_with_detached_iterations(
    detached: tuple[int, ...],
) -> None:
    # What many public versions train: a different model. Each detached round alone must be seen.
    difference = gradients(dynamic_routing) - gradients(
        routing_with_stored_votes, detached=detached
    )
    assert difference.norm() > 0.01 * gradients(dynamic_routing).norm()


def test_couplings_sum_to_1_over_the_capsules_above_and_not_over_those_below() -> None:
    u, weight, _ = routing_inputs(batch=2, inputs=5, outputs=3)
    first, *later = (step.couplings for step in routing_trace(u, weight, 3))
    # b = 0: each of 5 inputs gives 1/3 to each output, so an output gets 5/3, not 1.
    assert_equal(first, torch.full_like(first, 1 / 3))
    for c in later:
        assert_equal(c.sum(2), torch.ones(2, 5).double())
        assert (c.sum(1) - 1).abs().max() > 0.1
        assert c.std() > 0.01  # not uniform any more: routing by agreement has moved them


def test_softmax_of_known_logits_runs_along_the_last_axis() -> None:
    # e^(ln 3) = 3 beside e⁰ = 1: shares 3/4 and 1/4; leaky, with one more e⁰: 3/5 and 1/5.
    b = double([[[3.0, 1.0], [1.0, 1.0]]]).log()
    plain = double([[[3 / 4, 1 / 4], [1 / 2, 1 / 2]]])
    leaky = double([[[3 / 5, 1 / 5], [1 / 3, 1 / 3]]])
    assert_equal(couplings(b, leaky=False), plain)
    assert_equal(couplings(b, leaky=True), leaky)


def test_leaky_couplings_sum_below_1_and_start_at_one_over_outputs_plus_1() -> None:
    u, weight, _ = routing_inputs(outputs=3)
    steps = routing_trace(u, weight, 3, leaky=True)
    first = steps[0].couplings
    assert_equal(first, torch.full_like(first, 1 / 4))
    assert all((step.couplings.sum(2) < 1).all() for step in steps)


def test_one_iteration_is_the_squash_of_uniformly_weighted_votes() -> None:
    u, weight, _ = routing_inputs(outputs=3)
    votes = np.einsum("bid,ijde->bije", u.numpy(), weight.numpy())
    assert_equals_oracle(dynamic_routing(u, weight, 1), oracle.squash(votes.sum(1) / 3))


def test_bias_enters_before_the_squash() -> None:
    _, weight, bias = routing_inputs()
    silent = torch.zeros(2, 5, 2, dtype=torch.float64)
    v = dynamic_routing(silent, weight, 1, 100 * bias)
    # Added afterwards, the lengths would be those of the bias: hundreds.
    assert_equals_oracle(v[0], oracle.squash(100 * bias.numpy()))
    assert (lengths(v) < 1).all()


def test_routing_of_silent_capsules_has_a_finite_gradient() -> None:
    _, weight, _ = routing_inputs()
    u = torch.zeros(2, 5, 2, dtype=torch.float64, requires_grad=True)
    weight.requires_grad_()
    v = dynamic_routing(u, weight, 3)
    v.sum().backward()
    assert v.eq(0).all()
    assert u.grad is not None
    assert weight.grad is not None
    assert u.grad.isfinite().all()
    assert weight.grad.isfinite().all()


@pytest.mark.parametrize("iterations", [0, -1])
@pytest.mark.parametrize("route", [dynamic_routing, routing_trace])
def test_fewer_than_one_iteration_is_refused(route: Callable[..., Any], iterations: int) -> None:
    u, weight, _ = routing_inputs()
    with pytest.raises(ValueError, match="routing needs at least 1 iteration"):
        route(u, weight, iterations)


def test_weighted_votes_and_agreement_equal_their_sums_over_stored_votes() -> None:
    u, weight, bias = routing_inputs()
    c, v = normal(2, 5, 3, seed=5), bias.expand(2, 3, 4)
    votes = np.einsum("bid,ijde->bije", u.numpy(), weight.numpy())
    s = (c.numpy()[..., None] * votes).sum(axis=1)
    a = (votes * v.numpy()[:, None]).sum(axis=-1)
    assert_equals_oracle(weighted_votes(c, u, weight), s)
    assert_equals_oracle(agreement(u, weight, v), a)


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements that any operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, Tensor):
                self.numel = max(self.numel, each.numel())
        return result


def largest_tensor(routing: Callable[..., Tensor], u: Tensor, weight: Tensor) -> int:
    """Return the largest tensor of the forward and the backward pass."""
    with LargestTensor() as seen:
        routing(u.requires_grad_(), weight.requires_grad_(), 3).sum().backward()
    return seen.numel


def test_votes_are_never_stored() -> None:
    # The paper's 8 → 16 dimensions; a batch above 8, or W alone would be as large as the votes.
    batch, inputs, outputs, in_dim, out_dim = 20, 6, 3, 8, 16
    u, weight, _ = routing_inputs(batch, inputs, outputs, in_dim, out_dim)
    votes = batch * inputs * outputs * out_dim
    assert largest_tensor(routing_with_stored_votes, u, weight) >= votes  # the measure does see
    assert largest_tensor(dynamic_routing, u, weight) < votes


# Losses: Eq. 4 and section 4.1


@FEW
@given(batch=size, classes=st.integers(1, 12), seed=seeds)
@pytest.mark.parametrize("balance", ["released", "text"])
def test_margin_loss_equals_the_oracle(
    balance: Balance, batch: int, classes: int, seed: int
) -> None:
    norms = normal(batch, classes, seed=seed).sigmoid()
    targets = (normal(batch, classes, seed=seed + 1) > 0).double()
    expected = oracle.margin_loss(norms.numpy(), targets.numpy(), balance)
    assert_equals_oracle(margin_loss(norms, targets, balance), expected)


@pytest.mark.parametrize(
    ("length", "target", "expected"),
    [
        (0.0, 1, 0.81),  # (0.9 − 0)²
        (0.5, 1, 0.16),  # (0.9 − 0.5)²
        (0.9, 1, 0.0),  # exactly at m⁺
        (1.0, 1, 0.0),  # longer than m⁺ costs nothing
        (0.0, 0, 0.0),  # shorter than m⁻ costs nothing
        (0.1, 0, 0.0),  # exactly at m⁻
        (0.5, 0, 0.08),  # 0.5 × (0.5 − 0.1)²
        (1.0, 0, 0.405),  # 0.5 × (1 − 0.1)²
    ],
)
def test_margin_loss_of_one_capsule_by_hand(length: float, target: int, expected: float) -> None:
    loss = margin_loss(double([[length]]), double([[target]]), "text").item()
    assert loss == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("balance", ["released", "text"])
def test_margin_loss_and_gradient_are_0_when_every_capsule_is_at_its_margin(
    balance: Balance,
) -> None:
    targets = torch.eye(10, dtype=torch.float64)
    norms = torch.where(targets == 1, double(0.9), double(0.1)).requires_grad_()
    loss = margin_loss(norms, targets, balance)
    loss.backward()
    assert loss.item() == 0
    assert norms.grad is not None
    assert norms.grad.eq(0).all()


def test_margin_loss_of_two_digits_counts_both_as_present() -> None:
    norms = torch.full((1, 3), 0.5, dtype=torch.float64)
    targets = double([[1.0, 1.0, 0.0]])
    # Twice (0.9 − 0.5)² = 0.16 and once 0.5 × (0.5 − 0.1)² = 0.08; halved over 3 classes: 0.4/6.
    assert margin_loss(norms, targets, "text").item() == pytest.approx(0.40, rel=1e-12)
    assert margin_loss(norms, targets, "released").item() == pytest.approx(0.40 / 6, rel=1e-12)


def test_text_margin_loss_is_the_mean_over_the_batch() -> None:
    norms = double([[0.5], [1.0]])
    # (0.9 − 0.5)² = 0.16 and 0: their mean.
    assert margin_loss(norms, torch.ones_like(norms), "text").item() == pytest.approx(0.08)


def test_text_margin_loss_is_20_times_the_released_one_for_10_classes() -> None:
    norms = normal(7, 10).sigmoid()
    targets = torch.eye(10)[:7].double()
    text, released = (margin_loss(norms, targets, balance) for balance in ("text", "released"))
    assert text > 0.1
    assert_equal(20 * released, text)


def test_released_is_the_default_balance() -> None:
    norms, targets = normal(3, 10).sigmoid(), torch.eye(10)[:3].double()
    assert margin_loss(norms, targets).equal(margin_loss(norms, targets, "released"))


@pytest.mark.parametrize("balance", ["released", "text"])
def test_margin_loss_gradient_is_right(balance: Balance) -> None:
    norms = normal(3, 4).sigmoid().requires_grad_()
    targets = (normal(3, 4, seed=1) > 0).double()
    assert gradcheck(lambda norms: margin_loss(norms, targets, balance), norms)


@FEW
@given(shape=st.lists(size, min_size=1, max_size=4), seed=seeds)
def test_reconstruction_loss_equals_the_oracle(shape: list[int], seed: int) -> None:
    image, reconstruction = normal(*shape, 2, seed=seed), normal(*shape, 2, seed=seed + 1)
    expected = oracle.reconstruction_loss(reconstruction.numpy(), image.numpy())
    assert_equals_oracle(reconstruction_loss(reconstruction, image), expected)


def test_reconstruction_loss_by_hand() -> None:
    image = torch.zeros(2, 1, 28, 28, dtype=torch.float64)
    reconstruction = image.clone()
    reconstruction[0] = 0.5
    # 784 pixels off by 0.5: 784 × 0.25 = 196, × 0.0005 = 0.098; the second image is perfect, so
    # the mean is half of it. A mean over the pixels would be 784 times smaller.
    assert reconstruction_loss(reconstruction, image).item() == pytest.approx(0.049, rel=1e-12)


def test_reconstruction_loss_gradient_is_right() -> None:
    image, reconstruction = normal(2, 1, 2, 3), normal(2, 1, 2, 3, seed=1).requires_grad_()
    assert gradcheck(
        lambda reconstruction: reconstruction_loss(reconstruction, image), reconstruction
    )
