"""Strokes of a mouse or a finger as a digit of MNIST's format.

MNIST's digits were scaled into a 20×20 box, their shape kept, and laid into 28×28 so that their
centre of mass is in the middle (LeCun's description of the set). The same is done here to the
strokes, before they become pixels, so that lines are as thick as MNIST's however large they were
drawn.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

Point = tuple[float, float]  # (right, down), in any unit

SIDE, BOX = 28, 20
PEN = 2.6  # pixels; MNIST's lines are two to three wide [?]
FINE = 8  # so many times finer than pixels is drawn, for soft edges


def digit(strokes: Sequence[Sequence[Point]]) -> UInt8[np.ndarray, "28 28"]:
    """Render the strokes as MNIST's digits were; without any, an empty frame."""
    if not any(strokes):
        return np.zeros((SIDE, SIDE), np.uint8)
    boxed = _boxed(strokes)
    shift = _off_centre(_drawn(boxed))
    return _drawn([line + shift for line in boxed])


def framed(
    picture: UInt8[np.ndarray, "*channels rows columns"], height: int, width: int
) -> UInt8[np.ndarray, "*channels height width"]:
    """Put a picture in the middle of a frame, its rim cut off where the frame is smaller."""
    more = height - picture.shape[-2], width - picture.shape[-1]
    rims = [(max(one, 0) // 2, -(-max(one, 0) // 2)) for one in more]
    padded = np.pad(picture, [(0, 0)] * (picture.ndim - 2) + rims)
    top, left = (max(-one, 0) // 2 for one in more)
    return padded[..., top : top + height, left : left + width]


def _boxed(strokes: Sequence[Sequence[Point]]) -> list[Float[np.ndarray, "points 2"]]:
    """Put the strokes in the middle of the frame, as large as the box allows."""
    lines = [np.array(stroke, float) for stroke in strokes if stroke]
    points = np.concatenate(lines)
    low, high = points.min(0), points.max(0)
    # A dot stays a dot: it has no size that could fill the box.
    scale = (BOX - PEN) / max(high - low) if (high > low).any() else 1.0
    return [(line - (low + high) / 2) * scale + SIDE / 2 for line in lines]


def _off_centre(picture: UInt8[np.ndarray, "28 28"]) -> Float[np.ndarray, "2"]:
    """Return how far (right, down) the centre of mass has to move."""
    places = np.arange(SIDE) + 0.5
    across, along = picture.sum(0, dtype=float), picture.sum(1, dtype=float)
    mass = np.array([across @ places, along @ places]) / picture.sum(dtype=float)
    return SIDE / 2 - mass


def _drawn(lines: Sequence[Float[np.ndarray, "points 2"]]) -> UInt8[np.ndarray, "28 28"]:
    """Round lines, PEN wide, positions in pixels from the upper left corner."""
    canvas = Image.new("L", (SIDE * FINE, SIDE * FINE))
    pen, radius = ImageDraw.Draw(canvas), PEN * FINE / 2
    for line in lines:
        points = [(right, down) for right, down in line * FINE]
        pen.line(points, fill=255, width=round(PEN * FINE))
        for right, down in points:
            pen.ellipse((right - radius, down - radius, right + radius, down + radius), fill=255)
    return np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX))
