"""Handwritten digits on colour photographs, without a download: 32×32 RGB, ten classes.

They stand in for CIFAR-10 and SVHN and are never mixed up with them: their source is
`uci-digits-on-photographs`. The UCI digits are blended onto patches of scikit-learn's photographs
as MNIST-M's are onto theirs (Ganin and Lempitsky, 2015): |patch − ink|.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from capsnet.data import digits, photographs, storage
from capsnet.data.options import add_seed
from capsnet.data.specification import DataSpec

ABOUT = (
    "UCI optical digits (Alpaydin, Kaynak), the 1,797 of scikit-learn, 20x20, in the middle of RGB "
    "patches of its two photographs, 32x32: |patch - ink|; not CIFAR-10 and not SVHN; "
    f"{photographs.CREDITS}"
)


def prepare(folder: Path, seed: int = 0) -> None:
    """Store the digits of `digits.splits`, on patches drawn from `seed`, in `folder`."""

    def draw(ink: storage.Images, photos: storage.Images, part: int) -> storage.Images:
        return on_photographs(ink, photos, seed, part)

    about = SPEC.manifest | {"about": ABOUT, "copies": photographs.COPIES, "seed": seed}
    train, test = photographs.on_parts(digits.splits(20), draw)
    storage.write_images(folder, about, train, test)


def on_photographs(
    ink: UInt8[np.ndarray, "n 20 20"],
    photos: UInt8[np.ndarray, "photographs 3 height width"],
    *keys: Any,
) -> UInt8[np.ndarray, "n 3 32 32"]:
    """Blend each digit onto a patch; image i is a function of the digit and (keys, i)."""
    padded = np.pad(ink, ((0, 0), (6, 6), (6, 6)))[:, None]

    def draw(indices: np.ndarray, attempt: int) -> tuple[np.ndarray, Float[np.ndarray, "n"]]:
        patches = photographs.random_patches(photos, 32, *keys, indices, attempt)
        images = np.abs(patches.astype(np.int16) - padded[indices]).astype(np.uint8)
        return images, photographs.contrast(images, patches, padded[indices]).mean(1)

    return photographs.legible(draw, len(ink))


SPEC = DataSpec(
    name="photodigits",
    source="uci-digits-on-photographs",
    title="UCI digits on photographs",
    channels=3,
    height=32,
    width=32,
    prepare=prepare,
    stand_in=True,
    add_options=add_seed,
)
