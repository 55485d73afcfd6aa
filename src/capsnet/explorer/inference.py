"""The explorer's arrays, from a picture through a network. Knows no browser."""

import math
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from scipy.ndimage import affine_transform
from torch import Tensor

from capsnet.evaluation.figure_data import draw, perturb, to_uint8
from capsnet.functional import lengths
from capsnet.networks import CapsNet

Picture = Float[np.ndarray, "channels height width"]  # in [0, 1]
Pixels = UInt8[np.ndarray, "height width *colour"]  # as `to_uint8` lays channels out


class Move(NamedTuple):
    """A turn about the middle of the frame, clockwise in degrees, then a shift in pixels."""

    turn: float = 0
    right: float = 0
    down: float = 0


STILL = Move()
MAX_MOVE = Move(40, 5, 5)  # each slider goes from −MAX_MOVE to MAX_MOVE
PLACES = 21  # of a sweep along a slider


def places(axis: str) -> Float[np.ndarray, "places"]:
    """Return the places of a sweep along a slider: every 4 degrees, or every half pixel."""
    most = getattr(MAX_MOVE, axis)
    return np.linspace(-most, most, PLACES)


def move_picture(picture: Picture, move: Move) -> Picture:
    """Move a picture, bilinear, with zeros outside of it. A move of 0 changes no bit."""
    angle = math.radians(move.turn)
    # Where each (row, column) comes from: clockwise on a screen, whose rows count downwards.
    back = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = (np.array(picture.shape[1:]) - 1) / 2
    offset = cast(Any, middle - back @ (middle + np.array([move.down, move.right])))
    return np.stack([affine_transform(channel, back, offset, order=1) for channel in picture])


class Activations(NamedTuple):
    """The capsules and the routing of a network for a picture.

    `couplings` are c_ij by iteration, type of primary capsule, row, column and class;
    `lengths` those of the class capsules after each iteration; `capsules` the last ones.
    """

    picture: Picture
    capsules: Float[Tensor, "classes dim"]
    lengths: Float[np.ndarray, "iterations classes"]
    couplings: Float[np.ndarray, "iterations types rows columns classes"]


@torch.inference_mode()
def run_network(network: CapsNet, picture: Picture) -> Activations:
    """Compute one forward pass, its routing by the trace of the network's own algorithm."""
    steps = network.trace(network.primary_capsules(_batch(picture[None])))
    couplings = torch.stack([step.couplings[0] for step in steps])
    return Activations(
        picture,
        steps[-1].v[0],
        torch.stack([lengths(step.v[0]) for step in steps]).numpy(),
        couplings.unflatten(1, (capsule_types(network), *network.grid)).numpy(),
    )


def capsule_types(network: CapsNet) -> int:
    """Count the types of primary capsules."""
    return network.primary.conv.out_channels // network.primary.dim


def longest(scores: Float[np.ndarray, "classes"], count: int) -> list[int]:
    """Return the classes of the `count` longest capsules, the longest first [P]."""
    return np.argsort(-scores, kind="stable")[:count].tolist()


def reconstructed_classes(
    scores: Float[np.ndarray, "classes"], labels: list[int], chosen: int | None
) -> list[int]:
    """Return whose capsules are drawn: the longest, or `chosen` instead of the last of them.

    There are as many as labels, and one without labels. Where the answer is right its order is that
    of the labels, so that each of a pair keeps its colour.
    """
    found = longest(scores, max(1, len(set(labels))))
    found = labels if sorted(found) == sorted(labels) else found
    return found if chosen is None or chosen in found else [*found[:-1], chosen]


@torch.inference_mode()
def reconstruct(
    network: CapsNet,
    capsules: Float[Tensor, "classes dim"],
    which: int,
    offsets: Float[np.ndarray, "dim"] | float = 0.0,
) -> Pixels:
    """Draw class `which` by the decoder, `offsets` added to the dimensions of its capsule."""
    changed = capsules.clone()
    changed[which] += torch.as_tensor(offsets).to(capsules)
    return to_uint8(draw(network, changed[None], torch.tensor([which])))[0].numpy()


@torch.inference_mode()
def reconstruct_ends(
    network: CapsNet, capsules: Float[Tensor, "classes dim"], which: int
) -> UInt8[np.ndarray, "dim 2 height width *colour"]:
    """Draw class `which` with each dimension of its capsule moved by −0.25 and by +0.25 [P]."""
    return perturb(network, capsules[None].clone(), which)[:, [0, -1]].numpy()


class Sweep(NamedTuple):
    """Inputs and capsules at all places of one slider."""

    inputs: Float[np.ndarray, "places channels height width"]
    capsules: Float[Tensor, "places classes dim"]


@torch.inference_mode()
def sweep(network: CapsNet, picture: Picture, move: Move, axis: str) -> Sweep:
    """Run the picture at all places of slider `axis`, the other two sliders as in `move`."""
    moves = [move._replace(**{axis: float(place)}) for place in places(axis)]
    inputs = np.stack([move_picture(picture, one) for one in moves])
    return Sweep(inputs, network(_batch(inputs)))


@torch.inference_mode()
def reconstruct_each(
    network: CapsNet, capsules: Float[Tensor, "n classes dim"], which: int
) -> UInt8[np.ndarray, "n height width *colour"]:
    """Draw class `which` from each of the n examples."""
    return to_uint8(draw(network, capsules, torch.full((len(capsules),), which))).numpy()


def most_variable(numbers: Float[np.ndarray, "places dim"], count: int) -> Int[np.ndarray, "count"]:
    """Return the dimensions whose range over the places is largest, the largest first."""
    return np.argsort(-np.ptp(numbers, axis=0), kind="stable")[:count]


def from_uint8(pixels: UInt8[np.ndarray, "channels height width"]) -> Picture:
    """Scale 0 … 255 to [0, 1]."""
    return pixels.astype(np.float32) / 255


def pixels(pictures: Float[np.ndarray, "*n channels height width"]) -> UInt8[np.ndarray, "..."]:
    """Turn pictures in [0, 1] into pixels, laid out as by `to_uint8`."""
    return to_uint8(torch.from_numpy(pictures).clamp(0, 1)).numpy()


def _batch(pictures: Float[np.ndarray, "n channels height width"]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures, np.float32))
