"""Networks and routings with one part changed, against the same part written out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from capsnet import registry
from capsnet.compose import composed
from capsnet.data.examples import Examples
from capsnet.data.loading import dataset_info
from capsnet.functional import reconstruction_loss
from capsnet.networks import (
    Baseline,
    CapsNet,
    MnistBaseline,
    MnistBaselineWithDecoder,
    parameter_count,
)
from capsnet.routing import DYNAMIC, Routing
from capsnet.routing_ablations import DETACHED, UNSQUASHED, WRONG_AXIS
from capsnet.training.build_network import build_network
from capsnet.training.factory import build_module
from capsnet.training.module import BaselineModule, Optimisation
from helpers import oracle
from helpers.oracle import Array


@pytest.mark.parametrize(("shared", "own"), [("positions", 32), ("all", 1)])
def test_an_experiment_that_shares_transformations_has_as_few(shared: str, own: int) -> None:
    experiment = f"experiment=mnist_capsnet_shared_{shared}"
    run = composed(experiment)
    with torch.device("meta"):
        network: Any = build_network(run, dataset_info(run.data))
    assert len(network.class_capsules.weight) == own
    narrow = composed(experiment, "model.width=0.03")
    network = build_network(narrow, dataset_info(narrow.data))
    u = network.primary_capsules(torch.rand(2, 1, 28, 28))
    torch.testing.assert_close(network.trace(u)[-1].v, network.class_capsules(u))


def test_the_baseline_under_margin_loss_has_no_other() -> None:
    run = composed("experiment=mnist_baseline_margin", "model.width=0.03")
    images = torch.rand(2, 1, 28, 28)
    shown = Examples(images, torch.tensor([[1], [2]]), images[:, None])
    assert set(build_module(run, dataset_info(run.data)).losses(shown)) == {"margin"}


def inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Four examples of u [4, 5, 3], W [5, 2, 3, 4] and a bias [2, 4]."""
    draw = torch.Generator().manual_seed(seed)
    shapes = ((4, 5, 3), (5, 2, 3, 4), (2, 4))
    u, weight, bias = (torch.randn(one, generator=draw, dtype=torch.float64) for one in shapes)
    return u, weight.requires_grad_(), bias


def by_hand(u: Array, weight: Array, bias: Array, axis: int, squashed: bool) -> list[oracle.Step]:
    """Three iterations for one example, with the softmax over `axis` of b [in, out]."""
    votes = np.stack([[u[i] @ weight[i, j] for j in range(2)] for i in range(5)])
    b, steps = np.zeros((5, 2)), []
    for _ in range(3):
        c = np.exp(b) / np.exp(b).sum(axis=axis, keepdims=True)
        s = sum(c[i][:, None] * votes[i] for i in range(5)) + bias
        v = oracle.squash(s) if squashed else s
        steps.append(oracle.Step(b, c, v))
        b = b + np.array([[votes[i, j] @ v[j] for j in range(2)] for i in range(5)])
    return steps


@pytest.mark.parametrize(
    ("routing", "axis", "squashed"), [(WRONG_AXIS, 0, True), (UNSQUASHED, 1, False)]
)
def test_a_wrong_axis_and_no_squash_equal_loops(
    routing: Routing, axis: int, squashed: bool
) -> None:
    u, weight, bias = inputs()
    for example in range(len(u)):
        one = u[example].numpy(), weight.detach().numpy(), bias.numpy()
        expected = by_hand(*one, axis, squashed)
        traced = routing.trace(u[example : example + 1], weight, 3, bias)
        for step, wanted in zip(traced, expected, strict=True):
            for found, value in zip(step, wanted, strict=True):
                np.testing.assert_allclose(found[0].detach().numpy(), value, rtol=1e-12, atol=1e-12)
    assert torch.equal(routing.route(u, weight, 3, bias), routing.trace(u, weight, 3, bias)[-1].v)


def test_the_columns_of_a_wrong_axis_sum_to_1_and_its_rows_do_not() -> None:
    c = WRONG_AXIS.trace(*inputs()[:2], 2, None)[-1].couplings
    assert torch.allclose(c.sum(1), torch.ones(4, 2, dtype=torch.float64))
    assert (c.sum(2) - 1).abs().max() > 0.1


def test_detached_couplings_change_no_value_but_the_gradient() -> None:
    u, weight, bias = inputs()
    found = DETACHED.route(u, weight, 3, bias)
    assert torch.equal(found, DYNAMIC.route(u, weight, 3, bias))
    (gradient,) = torch.autograd.grad(found.square().sum(), weight)
    c = DYNAMIC.trace(u, weight, 3, bias)[-1].couplings.detach()  # constants
    s = torch.einsum("bij,bid,ijde->bje", c, u, weight) + bias
    norm = s.norm(dim=-1, keepdim=True)
    v = norm.square() / (1 + norm.square()) * s / norm
    (expected,) = torch.autograd.grad(v.square().sum(), weight)
    assert torch.allclose(gradient, expected, rtol=1e-10, atol=1e-12)
    whole = torch.autograd.grad(DYNAMIC.route(u, weight, 3, bias).square().sum(), weight)[0]
    assert (gradient - whole).norm() > 0.01 * whole.norm()


def test_without_the_squash_primary_capsules_are_the_convolutions_output() -> None:
    network = CapsNet((1, 19, 19), channels=4, types=2, routing=UNSQUASHED, decoder=False)
    images = torch.rand(2, 1, 19, 19, generator=torch.Generator().manual_seed(1))
    convolved = network.primary.conv(network.conv1(images).relu()) / 2  # of 2 types
    s = convolved + network.primary.bias[:, None, None]
    expected = torch.stack([s[:, :8, 0, 0], s[:, :8, 0, 1], s[:, :8, 1, 0]], 1)
    found = network.primary_capsules(images)
    assert torch.allclose(found[:, :3], expected, atol=1e-6)


@pytest.mark.parametrize(("sharing", "own"), [("positions", 2), ("all", 1)])
def test_shared_transformations_equal_copies_and_their_gradients_add_up(
    sharing: str, own: int
) -> None:
    image, sizes = (1, 21, 21), {"channels": 4, "types": 2, "decoder": False}
    torch.manual_seed(0)
    shared = CapsNet(image, sharing=sharing, **sizes)  # pyright: ignore[reportArgumentType]
    copies = CapsNet(image, **sizes)  # pyright: ignore[reportArgumentType]
    weight = shared.class_capsules.weight
    assert weight.shape == (own, 10, 8, 16)
    state = shared.state_dict() | {
        "class_capsules.weight": torch.stack([weight[i * own // 18] for i in range(18)])
    }
    copies.load_state_dict(state)  # 2 types × 3 × 3 positions, ordered by type
    images = torch.rand(3, *image)
    assert torch.equal(shared(images), copies(images))
    for network in (shared, copies):
        network(images)[:, 0].square().sum().backward()
    gradient = copies.class_capsules.weight.grad
    assert gradient is not None
    assert weight.grad is not None
    expected = gradient.unflatten(0, (own, 18 // own)).sum(1)
    assert torch.allclose(weight.grad, expected, rtol=1e-4, atol=1e-7)


def test_sharing_leaves_a_36th_and_a_1152nd_of_the_transformations() -> None:
    with torch.device("meta"):
        sizes = {one: parameter_count(CapsNet(sharing=one)) for one in ("none", "positions", "all")}
    assert sizes["none"] - sizes["positions"] == (1152 - 32) * 10 * 8 * 16
    assert sizes["none"] - sizes["all"] == (1152 - 1) * 10 * 8 * 16


def examples() -> Examples:
    parts = torch.rand(3, 1, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    return Examples(parts[:, 0], torch.tensor([[2], [0], [1]]), parts)


def baseline_with_decoder() -> MnistBaselineWithDecoder:
    torch.manual_seed(3)
    layers = {"channels": (2, 2, 2), "hidden": (8, 7), "dropout": 0.0}
    return MnistBaselineWithDecoder((1, 6, 6), classes=3, **layers)


def test_a_baseline_with_decoder_is_no_sequence_and_keeps_the_names_of_its_weights() -> None:
    network, batch = baseline_with_decoder(), examples()
    assert not isinstance(network, nn.Sequential)
    assert isinstance(network, Baseline)
    assert network.class_scores(batch.images).equal(network(batch.images))
    body = [f"body.{layer}.{kind}" for layer in (0, 2, 4, 7, 9, 12) for kind in ("weight", "bias")]
    decoder = [f"decoder.{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias")]
    assert [*network.state_dict()] == body + decoder


def test_a_baseline_with_decoder_sums_features_and_draws_the_true_class() -> None:
    network, batch = baseline_with_decoder(), examples()
    features = network.features(batch.images)
    assert features.shape == (3, 3, 16)
    logits = torch.stack([features[:, one].sum(1) for one in range(3)], 1)
    assert torch.allclose(network(batch.images), logits, atol=1e-6)
    masked = torch.zeros(3, 48)
    for row, label in enumerate((2, 0, 1)):
        masked[row, 16 * label : 16 * label + 16] = features[row, label]
    drawn = network.decoder(masked)
    losses = BaselineModule(network, Optimisation(), 0).losses(batch)
    assert set(losses) == {"cross_entropy", "reconstruction"}
    assert losses["cross_entropy"].item() == pytest.approx(
        cross_entropy(logits, batch.labels[:, 0]).item(), rel=1e-5
    )
    expected = reconstruction_loss(drawn, batch.images).item()
    assert losses["reconstruction"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("balance", ["released", "text"])
def test_a_baseline_under_margin_loss_takes_sigmoids_for_lengths(balance: str) -> None:
    torch.manual_seed(3)
    network, batch = MnistBaseline((1, 6, 6), (2, 2, 2), (8, 7), 0.0, 3), examples()
    module = BaselineModule(network, Optimisation(), 0, "margin", balance)  # pyright: ignore
    p = 1 / (1 + np.exp(-network(batch.images).detach().double().numpy()))
    total = 0.0
    for row, label in enumerate((2, 0, 1)):
        for one in range(3):
            present = max(0, 0.9 - p[row, one]) ** 2
            total += present if one == label else 0.5 * max(0, p[row, one] - 0.1) ** 2
    expected = total / 18 if balance == "released" else total / 3
    assert module.losses(batch)["margin"].item() == pytest.approx(expected, rel=1e-5)
    assert module.losses(batch).keys() == {"margin"}


def test_ablations_are_routings_by_name() -> None:
    for name, routing in (("detached", DETACHED), ("wrong_axis", WRONG_AXIS)):
        assert registry.load("capsnet.routings", name) is routing
    assert registry.load("capsnet.routings", "unsquashed") is UNSQUASHED
