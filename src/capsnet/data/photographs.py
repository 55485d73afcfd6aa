"""Backgrounds that need no download: patches of the two photographs that scikit-learn ships.

china.jpg and flower.jpg, 427×640 RGB, both CC BY 2.0. The left 70 % of each are for training, the
right 30 % for testing. Versions of libjpeg decode them to values that differ by a level or so, so
images made of them may differ between machines, as their md5s in the manifest then do.
"""

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import numpy as np
from jaxtyping import Float, Integer, UInt8

from capsnet.data.counter_rng import integers
from capsnet.data.storage import Images, Labels

CREDITS = (
    "photographs: china.jpg by danielbuechele and flower.jpg by vultilion (flickr.com), "
    "CC BY 2.0 (creativecommons.org/licenses/by/2.0), drawn on; their left 70 % for training, the "
    "rest for testing"
)
TRAINING = 0.7  # of the width
COPIES = 4  # of each training digit, on other patches
FLOOR = 64.0  # the least `contrast` of a digit; in stereo, the faintest would have 0.7 without it


def parts() -> list[UInt8[np.ndarray, "photographs 3 height width"]]:
    """Return the parts of the photographs for training and for testing; they share no pixel."""
    from sklearn.datasets import load_sample_images

    photographs = np.stack(load_sample_images().images).transpose(0, 3, 1, 2)
    return np.split(photographs, [round(TRAINING * photographs.shape[3])], axis=3)


def on_parts(
    splits: Iterable[tuple[Images, Labels]], draw: Callable[[Images, Images, int], Images]
) -> list[tuple[Images, Labels]]:
    """Draw training and test digits on their parts of the photographs.

    Training image i shows digit i div COPIES, the test images each digit once. `draw` gives images
    of digits, photographs, and the number of the part: 0 for training, 1 for testing.
    """
    return [
        (draw(ink.repeat(copies, axis=0), photographs, part), labels.repeat(copies))
        for part, ((ink, labels), photographs, copies) in enumerate(
            zip(splits, parts(), (COPIES, 1), strict=True)
        )
    ]


def random_patches(
    photographs: UInt8[np.ndarray, "photographs channels height width"], side: int, *keys: Any
) -> UInt8[np.ndarray, "n channels side side"]:
    """Cut a patch for each tuple of keys; all places of all photographs are equally likely."""
    number, channels, height, width = photographs.shape
    which = integers(0, number, *keys, 0)[:, None, None, None]
    rows = integers(0, height - side + 1, *keys, 1)[:, None] + np.arange(side)
    columns = integers(0, width - side + 1, *keys, 2)[:, None] + np.arange(side)
    channel = np.arange(channels)[:, None, None]
    return photographs[which, channel, rows[:, None, :, None], columns[:, None, None, :]]


def contrast(
    images: UInt8[np.ndarray, "n channels height width"],
    background: UInt8[np.ndarray, "n #channels height width"],
    ink: Integer[np.ndarray, "n #channels height width"],
) -> Float[np.ndarray, "n channels"]:
    """Return the mean distance of image and background, 0…255, over the pixels weighted by ink."""
    distance = np.abs(images.astype(np.int32) - background) * ink
    return distance.sum((2, 3)) / ink.sum((2, 3), dtype=np.int64)


Draw = Callable[
    [np.ndarray, int],
    tuple[UInt8[np.ndarray, "n channels height width"], Float[np.ndarray, "n"]],
]


def legible(draw: Draw, number: int) -> UInt8[np.ndarray, "number channels height width"]:
    """Draw images 0 … number − 1, each again until its contrast reaches FLOOR.

    `draw(indices, attempt)` gives images and their contrasts.
    """
    images, contrasts = draw(np.arange(number), 0)
    for attempt in count(1):
        faint = np.flatnonzero(contrasts < FLOOR)
        if not len(faint):
            break
        images[faint], contrasts[faint] = draw(faint, attempt)
    return images
