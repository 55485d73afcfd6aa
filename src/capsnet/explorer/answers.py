"""A visitor's question to a network and its answer, worked out as far as it is a new one."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from capsnet.explorer import what
from capsnet.explorer.what import STILL, Followed, Move, Picture, Seen
from capsnet.networks import CapsNet

TILE = 3  # one picture below so many places of a slider


class Stage(IntEnum):
    """The stage from which an answer has to be computed again, or nothing."""

    NONE, NUMBERS, CAPSULE, PICTURE = range(4)


@dataclass(frozen=True)
class Asked:
    """A picture of known digits (none: a drawing), how it is moved, and what is looked at.

    `axis` is the slider along which the network is followed; `chosen` None is the longest capsule;
    `offsets` are added to its numbers.
    """

    picture: Picture
    labels: list[int]
    move: Move = STILL
    axis: str = "turn"
    chosen: int | None = None
    offsets: Float[np.ndarray, "dim"] = field(default_factory=lambda: np.zeros(16))


class Answered(NamedTuple):
    """All that is shown of a picture: `digits` are reconstructed, `digit`'s capsule is examined.

    `ends` are its reconstructions with each number moved by −0.25 and by +0.25.
    """

    asked: Asked
    seen: Seen
    digits: list[int]
    digit: int
    reconstructions: list[UInt8[np.ndarray, "height width"]]
    ends: UInt8[np.ndarray, "dim 2 height width"]


def answered(network: CapsNet, asked: Asked, stage: Stage, last: Answered | None) -> Answered:
    """The answer; what comes before `stage` is taken from the last one."""
    if last is None or stage == Stage.PICTURE:
        seen = what.seen(network, what.transformed(asked.picture, asked.move))
    else:
        seen = last.seen
    scores = seen.lengths[-1]
    digits = what.reconstructed(scores, asked.labels, asked.chosen)
    digit = what.answer(scores, 1)[0] if asked.chosen is None else asked.chosen
    drawn = [
        what.reconstruction(network, seen.capsules, one, asked.offsets * (one == digit))
        for one in digits
    ]
    if last is not None and stage == Stage.NUMBERS:
        return last._replace(asked=asked, reconstructions=drawn)
    return Answered(asked, seen, digits, digit, drawn, what.ends(network, seen.capsules, digit))


class Trail(NamedTuple):
    """The capsule of `digit` along a slider.

    `line` says which slider of which picture; `strip` are its reconstructions at every third place.
    """

    line: tuple[Any, ...]
    digit: int
    followed: Followed
    strip: UInt8[np.ndarray, "tiles height width"]


def trail(network: CapsNet, answer: Answered, last: Trail | None) -> Trail:
    """A move along the slider itself changes nothing there."""
    asked, digit = answer.asked, answer.digit
    line = (id(asked.picture), asked.axis, asked.move._replace(**{asked.axis: 0}))
    if last is not None and last.line == line:
        if last.digit == digit:
            return last
        followed = last.followed
    else:
        followed = what.following(network, asked.picture, asked.move, asked.axis)
    strip = what.strip(network, followed.capsules[TILE // 2 :: TILE], digit)
    return Trail(line, digit, followed, strip)
