"""Exact symmetries of routing by agreement, in the reference and in the fast kernels."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from capsnet import functional
from capsnet.data.storage import LabelledImages
from capsnet.functional import lengths, routing_trace
from capsnet.kernels import routing
from capsnet.kernels.networks import FastCapsNet
from capsnet.networks import CapsNet, one_hot
from capsnet.pretrained import load
from test_kernels import routed

PROJECT = Path(__file__).parents[1]
Route = Callable[..., Tensor]
KERNELS = {"reference": functional.dynamic_routing, "fast": routing.dynamic_routing}
ROUTES = {
    f"{kernel} {name}": partial(route, leaky=leaky)
    for kernel, route in KERNELS.items()
    for name, leaky in (("dynamic", False), ("leaky", True))
}
every_route = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
every_number = pytest.mark.parametrize("iterations", [1, 2, 3, 5])
with_and_without_bias = pytest.mark.parametrize("biased", [True, False], ids=["bias", "no bias"])
assert_equal = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)


# Opposite capsules: the network of Peer et al. 2019 (arXiv 1905.08744)


@every_route
@every_number
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_without_a_bias_opposite_capsules_give_opposite_capsules_bit_for_bit(
    route: Route, iterations: int, dtype: torch.dtype
) -> None:
    """Negating is exact in floating point: every sum and every square sees the same roundings."""
    u, weight, _ = (x.to(dtype) for x in routed(37))
    v, opposite = route(u, weight, iterations), route(-u, weight, iterations)
    assert v.abs().min() > 0
    assert opposite.equal(-v)
    assert lengths(opposite).equal(lengths(v))


def test_without_a_bias_opposite_capsules_are_coupled_alike_in_every_iteration() -> None:
    u, weight, _ = routed(37)
    for step, opposite in zip(
        routing_trace(u, weight, 5), routing_trace(-u, weight, 5), strict=True
    ):
        assert opposite.logits.equal(step.logits)
        assert opposite.couplings.equal(step.couplings)


@every_route
@every_number
def test_a_bias_tells_opposite_capsules_apart(route: Route, iterations: int) -> None:
    """Opposite capsules and an opposite bias are mirrored again."""
    u, weight, bias = routed(37)
    v, opposite = (route(x, weight, iterations, bias) for x in (u, -u))
    assert (lengths(opposite) - lengths(v)).abs().max() > 0.01
    assert route(-u, weight, iterations, -bias).equal(-v)


def test_a_bias_of_a_tenth_makes_a_length_of_055_or_045_of_opposite_capsules() -> None:
    """s = ±1 + 0.1 by hand: 1.1² / (1 + 1.1²) = 1.21 / 2.21 and 0.9² / (1 + 0.9²) = 0.81 / 1.81."""
    one = torch.ones(1, 1, 1, dtype=torch.float64)
    weight, bias = one[..., None], 0.1 * one[0]
    assert lengths(functional.dynamic_routing(one, weight, 1, bias)).item() == pytest.approx(
        1.21 / 2.21, rel=1e-12
    )
    assert lengths(functional.dynamic_routing(-one, weight, 1, bias)).item() == pytest.approx(
        0.81 / 1.81, rel=1e-12
    )


TEXT: dict[str, Any] = {
    "routing_bias": False,
    "primary_coupling": False,
    "initialisation": "text",
}


def mirrored(kind: type[CapsNet], **recipe: Any) -> tuple[CapsNet, CapsNet]:
    """Make a network, and one whose primary capsules are the opposites for every image."""
    networks = []
    for _ in range(2):
        torch.manual_seed(0)
        networks.append(kind((1, 20, 20), channels=6, types=2, decoder_hidden=(16, 24), **recipe))
    first, second = networks
    for network in networks:
        network.class_capsules.weight.data.mul_(60)  # lengths as those of a trained network
    for parameter in second.primary.parameters():
        parameter.data.neg_()
    return first, second


@pytest.mark.parametrize("kind", [CapsNet, FastCapsNet])
@torch.no_grad()
def test_scores_under_text_do_not_see_the_sign_of_primary_capsules_and_the_decoder_does(
    kind: type[CapsNet],
) -> None:
    first, second = mirrored(kind, **TEXT)
    images, mask = torch.rand(4, 1, 20, 20), one_hot(torch.tensor([0, 3, 3, 9]), 10)
    assert second.primary_capsules(images).equal(-first.primary_capsules(images))
    assert second.class_scores(images).equal(first.class_scores(images))
    drawn, opposite = (network.reconstruct(network(images), mask) for network in (first, second))
    assert (drawn - opposite).flatten(1).abs().amax(1).gt(1e-3).all()


@pytest.mark.parametrize("kind", [CapsNet, FastCapsNet])
@torch.no_grad()
def test_scores_under_released_see_the_sign_of_primary_capsules(kind: type[CapsNet]) -> None:
    first, second = mirrored(kind)
    images = torch.rand(4, 1, 20, 20)
    assert second.primary_capsules(images).equal(-first.primary_capsules(images))
    scores, opposite = first.class_scores(images), second.class_scores(images)
    assert ((opposite - scores).abs() / scores).max() > 0.05


@pytest.mark.slow
@torch.no_grad()
def test_a_trained_released_network_needs_the_sign_of_primary_capsules(
    mnist: LabelledImages,
) -> None:
    """Its lengths of opposite capsules differ so much that most answers become wrong."""
    network = load(PROJECT / "results/weights/mnist_capsnet_r3_recon")
    assert isinstance(network, CapsNet)
    images = torch.as_tensor(mnist.test_images[:200]).float().view(-1, 1, 28, 28) / 255
    labels = torch.as_tensor(mnist.test_labels[:200]).flatten()
    u = network.primary_capsules(images)
    scores = lengths(network.class_capsules(u)), lengths(network.class_capsules(-u))
    assert [int((one.argmax(1) != labels).sum()) for one in scores] == pytest.approx(
        [0, 136], abs=2
    )


# One iteration: no routing


@pytest.mark.parametrize("classes", [1, 3, 5, 10])
def test_the_couplings_of_one_iteration_are_one_over_the_classes_exactly(classes: int) -> None:
    """The paper's rows of one iteration are the ablation 'no routing' for that reason."""
    u, weight, bias = routed(37, out=classes)
    [plain], [leaky] = (routing_trace(u, weight, 1, bias, leaky) for leaky in (False, True))
    assert plain.couplings.equal(torch.full_like(plain.couplings, 1 / classes))
    assert leaky.couplings.equal(torch.full_like(leaky.couplings, 1 / (classes + 1)))


@pytest.mark.parametrize("leaky", [False, True], ids=["dynamic", "leaky"])
@pytest.mark.parametrize("route", KERNELS.values(), ids=KERNELS)
def test_one_iteration_is_a_linear_layer_and_a_squash(route: Route, leaky: bool) -> None:
    u, weight, _ = routed(37)
    s = u.flatten(1) @ weight.transpose(1, 2).flatten(0, 1).flatten(1) / (10 + leaky)
    v = functional.squash(s.unflatten(1, (10, 16)))
    assert_equal(route(u, weight, 1, leaky=leaky), v)


# Capsules as a set


@every_route
@every_number
@with_and_without_bias
def test_the_order_of_primary_capsules_does_not_matter(
    route: Route, iterations: int, biased: bool
) -> None:
    u, weight, bias = routed(37)
    shuffled = torch.randperm(37, generator=torch.Generator().manual_seed(0))
    rest = (iterations, bias if biased else None)
    v = route(u, weight, *rest)
    assert_equal(route(u[:, shuffled], weight[shuffled], *rest), v)
    assert (route(u[:, shuffled], weight, *rest) - v).abs().max() > 0.01


@every_route
@every_number
@with_and_without_bias
def test_a_primary_capsule_of_length_0_has_no_effect(
    route: Route, iterations: int, biased: bool
) -> None:
    """It is as if there were none; so is one whose transformations are 0."""
    u, weight, bias = routed(37)
    rest = (iterations, bias if biased else None)
    absent = route(u[:, 1:], weight[1:], *rest)
    silent, deaf = u.clone(), weight.clone()
    silent[:, 0], deaf[0] = 0.0, 0.0
    assert_equal(route(silent, weight, *rest), absent)
    assert_equal(route(u, deaf, *rest), absent)
    assert (route(u, weight, *rest) - absent).abs().max() > 0.01
