"""The explorer's arrays, from a picture through a network; nothing here knows a browser."""

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

Picture = Float[np.ndarray, "height width"]  # ink in [0, 1]


class Move(NamedTuple):
    """A turn about the middle of the frame, clockwise in degrees, then a shift in pixels."""

    turn: float = 0
    right: float = 0
    down: float = 0


STILL = Move()
REACH = Move(40, 5, 5)  # each slider goes from −REACH to REACH
PLACES = 21  # at so many places along it the network is asked


def places(axis: str) -> Float[np.ndarray, "places"]:
    """Along one slider: every 4 degrees, or every half pixel."""
    reach = getattr(REACH, axis)
    return np.linspace(-reach, reach, PLACES)


def transformed(picture: Picture, move: Move) -> Picture:
    """The picture moved, bilinear; nothing comes in from outside. A move of 0 changes no bit."""
    angle = math.radians(move.turn)
    # Where each (row, column) comes from: clockwise on a screen, whose rows count downwards.
    back = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = (np.array(picture.shape) - 1) / 2
    shifted = middle + np.array([move.down, move.right])
    return affine_transform(picture, back, cast(Any, middle - back @ shifted), order=1)


class Seen(NamedTuple):
    """The capsules and scores of a network for a picture.

    `couplings` are c_ij by iteration, type of primary capsule, row, column and class;
    `lengths` those of the class capsules after each iteration; `capsules` the last ones.
    """

    picture: Picture
    capsules: Float[Tensor, "classes dim"]
    lengths: Float[np.ndarray, "iterations classes"]
    couplings: Float[np.ndarray, "iterations types rows columns classes"]


@torch.inference_mode()
def seen(network: CapsNet, picture: Picture) -> Seen:
    """Everything from one forward pass, by the equations of `functional`."""
    layer = network.class_capsules
    u = network.primary_capsules(_batch(picture[None]))
    steps = network.routing.trace(u, layer.weight, layer.iterations, layer.bias)
    types = network.primary.conv.out_channels // network.primary.dim
    side = math.isqrt(u.shape[1] // types)
    couplings = torch.stack([step.couplings[0] for step in steps])
    return Seen(
        picture,
        steps[-1].v[0],
        torch.stack([lengths(step.v[0]) for step in steps]).numpy(),
        couplings.unflatten(1, (types, side, side)).numpy(),
    )


def answer(scores: Float[np.ndarray, "classes"], digits: int) -> list[int]:
    """The `digits` longest capsules, the longest first [P]."""
    return np.argsort(-scores, kind="stable")[:digits].tolist()


def reconstructed(
    scores: Float[np.ndarray, "classes"], labels: list[int], chosen: int | None
) -> list[int]:
    """Whose capsules are drawn: the longest ones, or `chosen` instead of the last of them.

    As many as there are labels. Where the answer is right its order is that of the labels, so that
    each digit of a pair keeps its colour.
    """
    found = answer(scores, max(1, len(set(labels))))
    found = labels if sorted(found) == sorted(labels) else found
    return found if chosen is None or chosen in found else [*found[:-1], chosen]


@torch.inference_mode()
def reconstruction(
    network: CapsNet,
    capsules: Float[Tensor, "classes dim"],
    digit: int,
    offsets: Float[np.ndarray, "dim"],
) -> UInt8[np.ndarray, "height width"]:
    """The decoder's picture of `digit`, `offsets` added to the numbers of its capsule."""
    nudged = capsules.clone()
    nudged[digit] += torch.from_numpy(offsets).to(capsules)
    return to_uint8(draw(network, nudged[None], torch.tensor([digit])))[0].numpy()


@torch.inference_mode()
def ends(
    network: CapsNet, capsules: Float[Tensor, "classes dim"], digit: int
) -> UInt8[np.ndarray, "dim 2 height width"]:
    """The decoder's pictures with each number of the capsule moved by −0.25 and by +0.25 [P]."""
    return perturb(network, capsules[None].clone(), digit)[:, [0, -1]].numpy()


class Followed(NamedTuple):
    """A network's answers along one slider: inputs [places, h, w], capsules of each."""

    inputs: Float[np.ndarray, "places height width"]
    capsules: Float[Tensor, "places classes dim"]


@torch.inference_mode()
def following(network: CapsNet, picture: Picture, move: Move, axis: str) -> Followed:
    """The picture at all places of slider `axis`, the other two sliders left where they are."""
    moves = [move._replace(**{axis: float(place)}) for place in places(axis)]
    inputs = np.stack([transformed(picture, one) for one in moves])
    return Followed(inputs, network(_batch(inputs)))


@torch.inference_mode()
def strip(
    network: CapsNet, capsules: Float[Tensor, "n classes dim"], digit: int
) -> UInt8[np.ndarray, "n height width"]:
    """The decoder's picture of `digit` from each."""
    return to_uint8(draw(network, capsules, torch.full((len(capsules),), digit))).numpy()


def followers(numbers: Float[np.ndarray, "places dim"], count: int) -> Int[np.ndarray, "count"]:
    """The dimensions that change most along a slider, those that change most first."""
    return np.argsort(-np.ptp(numbers, axis=0), kind="stable")[:count]


def ink(picture: UInt8[np.ndarray, "height width"]) -> Picture:
    """0 … 255 as the network takes it."""
    return picture.astype(np.float32) / 255


def _batch(pictures: Float[np.ndarray, "n height width"]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures, np.float32))[:, None]
