"""Bytes of a split's images, and tests of its randomness."""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chisquare

from capsnet.data.examples import Split

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def grey(split: Split, indices: torch.Tensor, step: int | None = None) -> NDArray[np.uint8]:
    """The images of examples `indices` as they were before they were scaled to [0, 1]."""
    images = split.examples(indices, step).images[:, 0]
    return (images * 255).round().to(torch.uint8).cpu().numpy()


def digest(split: Split, step: int | None = None) -> str:
    """Digest the images and labels of the first 1,000 examples."""
    indices = torch.arange(1000)
    labels = split.examples(indices, step).labels.numpy()
    shown = grey(split, indices, step).tobytes() + labels.tobytes()
    return hashlib.sha256(shown).hexdigest()[:16]


def evenly(values: NDArray[np.integer], low: int, high: int) -> bool:
    """Tell whether integers in [low, high), or tuples, look uniform: chi-square, p > 0.001."""
    values = values.reshape(len(values), -1).astype(np.int64) - low
    assert values.min() >= 0
    assert values.max() < high - low
    cells = np.ravel_multi_index(tuple(values.T), (high - low,) * values.shape[1])
    counts = np.bincount(cells, minlength=(high - low) ** values.shape[1])
    return chisquare(counts).pvalue > 0.001
