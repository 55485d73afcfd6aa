"""Stereo pairs of handwritten digits, without a download: 2×48×48, five classes.

They stand in for smallNORB and are never mixed up with it: their source is `uci-digits-stereo`. The
pixels are real, the UCI digits 0 to 4 on patches of scikit-learn's photographs; the disparity is
made: the digit is shifted one way in the left eye and the other way in the right eye, against a
background that both eyes see alike.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from capsnet.data import digits, photographs, storage
from capsnet.data.counter_rng import integers
from capsnet.data.options import add_seed
from capsnet.data.specification import DataSpec

CLASSES = tuple("01234")
ABOUT = (
    "stereo pairs of UCI optical digits (Alpaydin, Kaynak), those of 0 to 4 of scikit-learn's "
    "1,797, 44x44 in 96x96 on grey patches of its two photographs, subsampled to 48x48; real "
    "pixels, made disparity: the digit shifted by 2 to 6 of the 96 pixels, to one side in the left "
    f"eye and to the other in the right eye; not smallNORB; {photographs.CREDITS}"
)


def prepare(folder: Path, seed: int = 0) -> None:
    """Store the digits 0 to 4 of `digits.splits`, as pairs drawn from `seed`, in `folder`."""

    def draw(ink: storage.Images, photos: storage.Images, part: int) -> storage.Images:
        return pairs(ink, grey(photos), seed, part)

    kept = [(ink, labels, labels < len(CLASSES)) for ink, labels in digits.splits(44)]
    few = [(ink[known], labels[known]) for ink, labels, known in kept]
    train, test = photographs.on_parts(few, draw)
    about = SPEC.manifest | {"about": ABOUT, "copies": photographs.COPIES, "seed": seed}
    storage.write_images(folder, about, train, test)


def grey(photos: UInt8[np.ndarray, "n 3 height width"]) -> UInt8[np.ndarray, "n 1 height width"]:
    """Return the mean of the three channels, rounded."""
    return photos.mean(1, keepdims=True).round().astype(np.uint8)


def pairs(
    ink: UInt8[np.ndarray, "n 44 44"],
    photos: UInt8[np.ndarray, "photographs 1 height width"],
    *keys: Any,
) -> UInt8[np.ndarray, "n 2 48 48"]:
    """Lay each digit in one grey over a patch; pair i is a function of the digit and (keys, i).

    Channel 0 is the left eye. The contrast reaches `photographs.FLOOR` in both.
    """
    shifted = both_eyes(ink, random_shifts(*keys, np.arange(len(ink))))

    def draw(indices: np.ndarray, attempt: int) -> tuple[np.ndarray, Float[np.ndarray, "n"]]:
        key, opacity = (*keys, indices, attempt), shifted[indices].astype(np.int32)
        patches = photographs.random_patches(photos, 96, *key)[..., ::2, ::2]
        level = integers(0, 256, *key, 3)[:, None, None, None]
        images = ((patches * (255 - opacity) + level * opacity + 127) // 255).astype(np.uint8)
        return images, photographs.contrast(images, patches, opacity).min(1)

    return photographs.legible(draw, len(ink))


def random_shifts(*keys: Any) -> Int[np.ndarray, "n"]:
    """Draw −6 … −2 or 2 … 6 pixels of 96, for each tuple of keys."""
    return integers(2, 7, *keys, 4) * (2 * integers(0, 2, *keys, 5) - 1)


def both_eyes(
    ink: UInt8[np.ndarray, "n 44 44"], shifts: Int[np.ndarray, "n"]
) -> UInt8[np.ndarray, "n 2 48 48"]:
    """Shift each digit in 96×96, to the right in the left eye, and keep every second pixel.

    In 48×48, the right eye shows it `shifts` pixels to the left of where the left eye does: a
    positive shift places the digit before the background, a negative one behind it.
    """
    framed = np.pad(ink[:, ::2], ((0, 0), (13, 13), (32, 32)))  # 6 more to shift by
    eyes = np.stack([shifts, -shifts], axis=1)[:, :, None]
    columns = np.arange(6, 102, 2) - eyes
    return np.take_along_axis(framed[:, None], columns[:, :, None], axis=3)


SPEC = DataSpec(
    name="stereodigits",
    source="uci-digits-stereo",
    title="UCI digits in stereo",
    channels=2,
    height=48,
    width=48,
    class_names=CLASSES,
    prepare=prepare,
    stand_in=True,
    add_options=add_seed,
)
