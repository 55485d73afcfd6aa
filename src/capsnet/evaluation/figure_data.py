"""The arrays of a trained network that the paper's figures show; `report.figures` draws them."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from capsnet.data.examples import Split
from capsnet.functional import lengths
from capsnet.metrics import predicted
from capsnet.networks import CapsNet, one_hot, routing_changes

RIGHT, WRONG = 10, 6  # how many examples of either kind figures 3 and 5 choose from
OFFSETS = torch.arange(-5, 6) / 20  # [P] figure 4: −0.25 to 0.25 in steps of 0.05
CLASSES = 10  # of figure 4, at most
PIXELS = 32 * 32  # of an image of figure 4, at most: larger ones would fill the records
ITERATIONS = 10  # [P] figure A.1, right


class Reconstructions(NamedTuple):
    """Test examples and what the decoder makes of them: [P] figures 3 and 5.

    images uint8 [n, height, width], before standardisation; parts uint8
    [n, labels, height, width], the objects alone; targets [n, 3, labels], the classes whose
    capsules were drawn: the true ones, the predicted ones, and one that is absent beside what is
    present; reconstructions uint8 [n, 3, labels, height, width]. Coloured images have a last axis
    more, see `to_uint8`.
    """

    images: Tensor
    parts: Tensor
    targets: Tensor
    reconstructions: Tensor


def figure_arrays(network: CapsNet, test: Split, wrong: Tensor) -> dict[str, NDArray[Any]]:
    """Compute the arrays of all figures by name; `wrong` [n] marks the test examples that are.

    What `routing_arrays` gives, for figure A.1. With a decoder, the fields of Reconstructions of
    the examples `first_of_both`: figures 3 and 5. Of single objects in images of at most PIXELS,
    `perturbed` uint8 [classes, dim, offsets, height, width] of the first example of each of the
    first CLASSES classes that are among the first 1,000 examples: figure 4.
    """
    device = network.class_capsules.weight.device
    here = test.to(device)
    some = here.examples(torch.arange(min(len(wrong), 1000), device=device), None)
    arrays = routing_arrays(network, some.images[:128])
    if network.decoder is not None:
        arrays |= reconstruct(network, here, first_of_both(wrong))._asdict()
        if some.labels.shape[1] == 1 and some.images[0, 0].numel() <= PIXELS:
            arrays["perturbed"] = perturbed(network, some.images, some.labels[:, 0])
    return {name: array.numpy() for name, array in arrays.items()}


@torch.inference_mode()
def routing_arrays(
    network: CapsNet, images: Float[Tensor, "batch channels height width"]
) -> dict[str, Tensor]:
    """Trace the routing of some examples, on the CPU.

    `routing_changes` [10] as `networks.routing_changes` gives them; `lengths` [batch, classes] of
    the capsules; `couplings` int64 [50], how many c_ij of the last iteration are in each fiftieth
    of [0, 1].
    """
    last = network.trace(network.primary_capsules(images))[-1]
    return {
        "routing_changes": routing_changes(network, images, ITERATIONS).cpu(),
        "lengths": lengths(last.v).cpu(),
        "couplings": last.couplings.float().histc(50, 0, 1).long().cpu(),
    }


def first_of_both(wrong: Tensor) -> Int[Tensor, "n"]:
    """Choose the first right and the first wrong examples of a test set, so that no one picks."""
    right = (~wrong).nonzero()[:RIGHT, 0]
    return torch.cat([right, wrong.nonzero()[:WRONG, 0]])


@torch.inference_mode()
def reconstruct(network: CapsNet, split: Split, indices: Int[Tensor, "n"]) -> Reconstructions:
    """Reconstruct examples `indices` of `split`, on the CPU."""
    device = network.class_capsules.weight.device
    examples = split.to(device).examples(indices.to(device), None)
    capsules = network(examples.images)
    targets = reconstruction_targets(lengths(capsules), examples.labels)
    drawn = torch.stack([draw(network, capsules, one) for one in targets.flatten(1).unbind(1)])
    return Reconstructions(
        to_uint8(examples.pictures),
        to_uint8(examples.parts),
        targets.cpu(),
        to_uint8(drawn.movedim(0, 1).unflatten(1, targets.shape[1:])),
    )


def reconstruction_targets(
    scores: Float[Tensor, "n classes"], labels: Int[Tensor, "n labels"]
) -> Int[Tensor, "n 3 labels"]:
    """Return the true classes, the predicted ones, and the true ones with an absent one last.

    The absent one has the longest capsule of those that are neither true nor predicted; where there
    is none, as of two classes, of those that are not true.
    """
    answers = predicted(scores, labels)
    true = one_hot(labels, scores.shape[1])
    known = true + one_hot(answers, scores.shape[1])
    none = (known > 0).all(1, keepdim=True)
    absent = scores.masked_fill(torch.where(none, true, known) > 0, -1).argmax(1, keepdim=True)
    return torch.stack([labels, answers, torch.cat([labels[:, :-1], absent], 1)], 1)


def draw(
    network: CapsNet, capsules: Float[Tensor, "n classes dim"], classes: Int[Tensor, "n"]
) -> Float[Tensor, "n channels height width"]:
    """Draw one object of each example by the decoder: that of `classes`."""
    return network.reconstruct(capsules, one_hot(classes, capsules.shape[1]))


@torch.inference_mode()
def perturbed(
    network: CapsNet,
    images: Float[Tensor, "n channels height width"],
    labels: Int[Tensor, "n"],
) -> UInt8[Tensor, "classes dim offsets height width *colour"]:
    """Move the dimensions of a capsule one at a time, for the first example of each class.

    [P] figure 4: each row one dimension, −0.25 to 0.25 in steps of 0.05.
    """
    classes = labels.unique()[:CLASSES]
    firsts = [int((labels == one).nonzero()[0, 0]) for one in classes]
    capsules = network(images[firsts])
    drawn = [
        perturb(network, capsules[place : place + 1], int(labels[example]))
        for place, example in enumerate(firsts)
    ]
    return torch.stack(drawn)


def perturb(
    network: CapsNet, capsules: Float[Tensor, "1 classes dim"], which: int
) -> UInt8[Tensor, "dim offsets height width *colour"]:
    """Draw class `which` with each dimension of its capsule moved by OFFSETS."""
    dim, steps = capsules.shape[2], len(OFFSETS)
    moves = torch.eye(dim)[:, None] * OFFSETS[:, None]
    many = capsules.repeat(dim * steps, 1, 1)
    many[:, which] += moves.flatten(0, 1).to(capsules.device)
    drawn = draw(network, many, torch.full((len(many),), which, device=capsules.device))
    return to_uint8(drawn.unflatten(0, (dim, steps)))


def to_uint8(images: Float[Tensor, "*n channels height width"]) -> UInt8[Tensor, "..."]:
    """Turn images in [0, 1] into pixels of 0 … 255 as pictures are shown, on the CPU.

    One channel becomes [*n, height, width], three [*n, height, width, 3]; other channels, as the
    eyes of a stereo pair, are put side by side, so that none is lost.
    """
    pixels = (images * 255).round().to(torch.uint8).cpu()
    match pixels.shape[-3]:
        case 1:
            return pixels.squeeze(-3)
        case 3:
            return pixels.movedim(-3, -1)
        case _:
            return torch.cat(pixels.unbind(-3), dim=-1)
