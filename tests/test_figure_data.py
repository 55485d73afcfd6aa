"""The arrays behind the figures: against the oracle, and against the decoder itself."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from capsnet.data.examples import UnshiftedImages
from capsnet.evaluation.figure_data import (
    OFFSETS,
    figure_arrays,
    first_of_both,
    perturbed,
    reconstruct,
    reconstruction_targets,
    routing_arrays,
    to_uint8,
)
from capsnet.networks import CapsNet, routing_changes
from helpers import oracle


def small(**changes: object) -> CapsNet:
    torch.manual_seed(0)
    options = {"image": (1, 28, 28), "channels": 3, "types": 2, "decoder_hidden": (16, 16)}
    return CapsNet(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]


@pytest.fixture
def split() -> UnshiftedImages:
    """30 noisy digits of classes 0, 1, 2 in turn."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (30, 1, 28, 28), generator=generator, dtype=torch.uint8)
    return UnshiftedImages(images, torch.arange(30) % 3)


def drawn(network: CapsNet, capsules: torch.Tensor, digits: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return to_uint8(network.reconstruct(capsules, one_hot(digits, 10).float()))


def test_routing_changes_are_the_oracle_s() -> None:
    network = small().double()
    images = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    with torch.no_grad():
        u = network.primary(network.conv1(images).relu())
        changes = routing_changes(network, images, iterations=4)
    weight, bias = network.class_capsules.weight, network.class_capsules.bias
    assert bias is not None
    told = [array.detach().numpy() for array in (u, weight, bias)]
    steps = oracle.routing(told[0], told[1], 5, told[2])  # its logits are those before each step
    moved = [np.abs(b.logits - a.logits).mean() for a, b in itertools.pairwise(steps)]
    assert changes.tolist() == pytest.approx(moved, rel=1e-10)
    assert len(routing_changes(network, images)) == network.class_capsules.iterations


def test_lengths_and_couplings_are_the_oracle_s() -> None:
    network = small().double()
    images = torch.rand(2, 1, 28, 28, dtype=torch.float64)
    told = routing_arrays(network, images)
    with torch.no_grad():
        u = network.primary(network.conv1(images).relu())
    weight, bias = network.class_capsules.weight, network.class_capsules.bias
    assert bias is not None
    u, weight, bias = (array.detach().numpy() for array in (u, weight, bias))
    last = oracle.routing(u, weight, 3, bias)[-1]
    assert np.allclose(told["lengths"], np.linalg.norm(last.v, axis=-1), atol=1e-10)
    counts, _ = np.histogram(last.couplings, 50, (0, 1))
    assert told["couplings"].tolist() == counts.tolist()


def test_the_first_right_and_the_first_wrong_ones_are_shown() -> None:
    wrong = torch.zeros(50, dtype=torch.bool)
    wrong[[0, 3, 20, 21, 22, 23, 24, 25]] = True
    expected = [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 0, 3, 20, 21, 22, 23]
    assert first_of_both(wrong).tolist() == expected
    assert first_of_both(torch.zeros(4, dtype=torch.bool)).tolist() == [0, 1, 2, 3]


def test_a_forced_digit_is_neither_there_nor_predicted() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.5, 0.7, 0.2], [0.1, 0.2, 0.3, 0.4, 0.5]])
    one = reconstruction_targets(scores, torch.tensor([[0], [0]]))
    assert one.tolist() == [[[0], [0], [3]], [[0], [4], [3]]]
    two = reconstruction_targets(scores, torch.tensor([[0, 3], [0, 1]]))
    assert two[:, 0].tolist() == [[0, 3], [0, 1]]
    assert two[:, 1].tolist() == [[0, 3], [4, 3]]
    assert two[:, 2].tolist() == [[0, 2], [0, 2]]  # the first digit stays, the last is replaced
    of_two = reconstruction_targets(
        torch.tensor([[0.9, 0.1], [0.2, 0.7]]), torch.tensor([[1], [1]])
    )
    assert of_two.tolist() == [[[1], [0], [0]], [[1], [1], [0]]]  # none is neither


def test_shown_reconstructions_are_the_decoder_s(split: UnshiftedImages) -> None:
    network = small()
    indices = torch.tensor([4, 7, 20])
    told = reconstruct(network, split, indices)
    assert torch.equal(told.images, split.images[indices, 0])
    assert torch.equal(told.parts[:, 0], told.images)
    with torch.no_grad():
        capsules = network(split.images[indices].float() / 255)
    assert told.targets[:, 0, 0].tolist() == [1, 1, 2]
    assert torch.equal(told.targets[:, 1, 0], capsules.norm(dim=-1).argmax(1))
    for kind in range(3):
        expected = drawn(network, capsules, told.targets[:, kind, 0])
        assert torch.equal(told.reconstructions[:, kind, 0], expected)


def test_perturbations_move_one_dimension_of_one_capsule(split: UnshiftedImages) -> None:
    network = small()
    images = split.images.float() / 255
    told = perturbed(network, images, split.labels)
    assert told.shape == (3, 16, 11, 28, 28)
    assert OFFSETS.tolist() == pytest.approx([k / 20 - 0.25 for k in range(11)])
    for digit in range(3):  # the first of each class are examples 0, 1 and 2
        with torch.no_grad():
            capsules = network(images[digit : digit + 1])
        for dim, step in ((0, 0), (5, 5), (15, 10)):
            other = capsules.clone()
            other[0, digit, dim] += step / 20 - 0.25
            difference = drawn(network, other, torch.tensor([digit]))[0].int()
            difference -= told[digit, dim, step].int()
            assert difference.abs().max() <= 1  # a batch of another size rounds otherwise
    assert not torch.equal(told[0, 0, 0], told[0, 0, 10])


def test_what_a_network_has_decides_what_is_kept(split: UnshiftedImages) -> None:
    wrong = torch.arange(30) % 5 == 0
    with_decoder = figure_arrays(small(), split, wrong)
    assert with_decoder["targets"].shape == (16, 3, 1)
    assert with_decoder["perturbed"].shape == (3, 16, 11, 28, 28)
    assert np.isfinite(with_decoder["routing_changes"]).all()
    without = figure_arrays(small(decoder=False), split, wrong)
    assert set(without) == {"routing_changes", "lengths", "couplings"}
    assert len(without["routing_changes"]) == 10
