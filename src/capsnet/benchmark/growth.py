"""Time and memory by batch, input and iterations, with votes stored and never stored."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from capsnet.benchmark.implementations import Implementation
from capsnet.benchmark.runner import Candidate

POINTS = {  # one is varied at a time; the others are the paper's on MNIST
    "batch": (32, 64, 128, 256, 512, 1024),
    "side": (28, 36, 40, 64),
    "iterations": (1, 2, 3, 5, 10),
}
PATHS = ("textbook", "fast")


def points() -> Iterator[tuple[str, int]]:
    """List what is varied, and its values."""
    for varied, values in POINTS.items():
        yield from ((varied, value) for value in values)


def candidates(varied: str, value: int, device: str = "cpu") -> dict[str, Candidate]:
    """Return both implementations at one point, without the decoder, which is the same for both."""
    options: Any = {"decoder": False, "device": device, varied: value}
    return {path: Candidate(partial(Implementation, path, **options)) for path in PATHS}
