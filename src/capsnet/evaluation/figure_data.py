"""The arrays of a trained network that the paper's figures show; `report.figures` draws them."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from capsnet.data.examples import Split
from capsnet.functional import agreement, lengths, routing_trace
from capsnet.layers import full_precision
from capsnet.metrics import predicted
from capsnet.networks import CapsNet, one_hot

RIGHT, WRONG = 10, 6  # how many examples of either kind figures 3 and 5 choose from
OFFSETS = torch.arange(-5, 6) / 20  # [P] figure 4: −0.25 to 0.25 in steps of 0.05
MNIST = (1, 28, 28)  # of what size figure 4 is
ITERATIONS = 10  # [P] figure A.1, right


class Shown(NamedTuple):
    """Test examples and what the decoder makes of them: [P] figures 3 and 5.

    images uint8 [n, height, width]; parts uint8 [n, digits, height, width], the digits alone;
    targets [n, 3, digits], whose capsules were drawn: those of the true digits, of the predicted
    ones, and of a digit that is not there beside what there is; reconstructions uint8
    [n, 3, digits, height, width].
    """

    images: Tensor
    parts: Tensor
    targets: Tensor
    reconstructions: Tensor


def illustrations(network: CapsNet, test: Split, wrong: Tensor) -> dict[str, NDArray[Any]]:
    """All of it by name, of a test set; `wrong` [n] says which of its examples are.

    What `routed` gives, for figure A.1. With a decoder, the fields of Shown, of the examples
    `chosen`: figures 3 and 5. On MNIST, `perturbed` uint8 [classes, dim, offsets, height, width] of
    the first of the first 1,000 examples of each class: figure 4.
    """
    device = network.class_capsules.weight.device
    here = test.to(device)
    some = here.examples(torch.arange(min(len(wrong), 1000), device=device), None)
    drawn = routed(network, some.images[:128])
    if network.decoder is not None:
        drawn |= shown(network, here, chosen(wrong))._asdict()
        if some.images.shape[1:] == MNIST:
            drawn["perturbed"] = perturbed(network, some.images, some.labels[:, 0])
    return {name: array.numpy() for name, array in drawn.items()}


@torch.inference_mode()
def routed(
    network: CapsNet, images: Float[Tensor, "batch channels height width"]
) -> dict[str, Tensor]:
    """Trace the routing of some examples, on the CPU.

    `routing_changes` [10] as `routing_changes` gives them; `lengths` [batch, classes] of the
    capsules; `couplings` int64 [50], how many c_ij of the last iteration lie in each fiftieth of
    [0, 1].
    """
    layer = network.class_capsules
    u = network.primary_capsules(images)
    with full_precision(u):
        last = routing_trace(u, layer.weight, layer.iterations, layer.bias)[-1]
    return {
        "routing_changes": routing_changes(network, images, ITERATIONS).cpu(),
        "lengths": lengths(last.v).cpu(),
        "couplings": last.couplings.float().histc(50, 0, 1).long().cpu(),
    }


def chosen(wrong: Tensor) -> Int[Tensor, "n"]:
    """The first right and the first wrong ones of a test set, so that nobody picks the pretty."""
    right = (~wrong).nonzero()[:RIGHT, 0]
    return torch.cat([right, wrong.nonzero()[:WRONG, 0]])


@torch.inference_mode()
def shown(network: CapsNet, split: Split, indices: Int[Tensor, "n"]) -> Shown:
    """Examples `indices` of `split` and their reconstructions, on the CPU."""
    device = network.class_capsules.weight.device
    examples = split.to(device).examples(indices.to(device), None)
    capsules = network(examples.images)
    targets = forced(lengths(capsules), examples.labels)
    drawn = torch.stack([draw(network, capsules, digit) for digit in targets.flatten(1).unbind(1)])
    return Shown(
        grey(examples.images[:, 0]),
        grey(examples.parts[:, :, 0]),
        targets.cpu(),
        grey(drawn.movedim(0, 1).unflatten(1, targets.shape[1:])),
    )


def forced(
    scores: Float[Tensor, "n classes"], labels: Int[Tensor, "n digits"]
) -> Int[Tensor, "n 3 digits"]:
    """True digits, predicted ones, and the true ones with the last replaced by an absent one.

    The absent one is the digit with the longest capsule that is neither true nor predicted.
    """
    answers = predicted(scores, labels)
    known = one_hot(labels, scores.shape[1]) + one_hot(answers, scores.shape[1])
    absent = scores.masked_fill(known > 0, -1).argmax(1, keepdim=True)
    return torch.stack([labels, answers, torch.cat([labels[:, :-1], absent], 1)], 1)


def draw(
    network: CapsNet, capsules: Float[Tensor, "n classes dim"], digit: Int[Tensor, "n"]
) -> Float[Tensor, "n height width"]:
    """The decoder's picture of one digit of each example."""
    return network.reconstruct(capsules, one_hot(digit, capsules.shape[1]))[:, 0]


@torch.inference_mode()
def perturbed(
    network: CapsNet,
    images: Float[Tensor, "n channels height width"],
    labels: Int[Tensor, "n"],
) -> UInt8[Tensor, "classes dim offsets height width"]:
    """For the first example of each class in order: its capsule's dimensions moved one at a time.

    [P] figure 4: each row one dimension, −0.25 to 0.25 in steps of 0.05.
    """
    firsts = [int((labels == digit).nonzero()[0, 0]) for digit in labels.unique()]
    capsules = network(images[firsts])
    drawn = [
        moved(network, capsules[place : place + 1], int(labels[example]))
        for place, example in enumerate(firsts)
    ]
    return torch.stack(drawn)


def moved(
    network: CapsNet, capsules: Float[Tensor, "1 classes dim"], digit: int
) -> UInt8[Tensor, "dim offsets height width"]:
    """The decoder's pictures of `digit` with each dimension of its capsule moved by OFFSETS."""
    dim, steps = capsules.shape[2], len(OFFSETS)
    moves = torch.eye(dim)[:, None] * OFFSETS[:, None]
    many = capsules.repeat(dim * steps, 1, 1)
    many[:, digit] += moves.flatten(0, 1).to(capsules.device)
    drawn = draw(network, many, torch.full((len(many),), digit, device=capsules.device))
    return grey(drawn.unflatten(0, (dim, steps)))


def routing_changes(
    network: CapsNet,
    images: Float[Tensor, "batch channels height width"],
    iterations: int | None = None,
) -> Float[Tensor, "iterations"]:
    """Mean |Δb_ij| of each routing iteration, over `images`, i and j: [P] figure A.1.

    Of as many `iterations` as the network has, unless told.
    """
    layer = network.class_capsules
    u = network.primary_capsules(images)
    with full_precision(u):
        trace = routing_trace(u, layer.weight, iterations or layer.iterations, layer.bias)
        return torch.stack([agreement(u, layer.weight, step.v).abs().mean() for step in trace])


def grey(pictures: Tensor) -> UInt8[Tensor, "..."]:
    """[0, 1] → 0 … 255, on the CPU."""
    return (pictures * 255).round().to(torch.uint8).cpu()
