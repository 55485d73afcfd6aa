"""1,797 real handwritten digits that need no download: the UCI ones that scikit-learn ships.

They stand in for MNIST in the demo and are never mixed up with it: their source is `uci-digits`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capsnet.data import storage
from capsnet.data.specification import DataSpec

TEST = 500
ABOUT = {
    "name": "digits",
    "source": "uci-digits",
    "about": "UCI optical digits (Alpaydin, Kaynak), the 1,797 of scikit-learn, 8x8 enlarged to a "
    "20x20 box in 28x28; not MNIST",
    "split": f"stratified, {TEST} test digits, fixed",
}


def prepare(folder: Path) -> None:
    """Enlarge, split and store the digits in `folder`."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw, labels = load_digits(return_X_y=True)
    images = np.stack([_enlarged(digit) for digit in raw.reshape(-1, 8, 8)])
    train, test = train_test_split(
        np.arange(len(labels)), test_size=TEST, stratify=labels, random_state=0
    )
    labels = labels.astype(np.int64)
    parts = ((images[part], labels[part]) for part in (train, test))
    storage.write_images(folder, ABOUT, *parts)


def _enlarged(digit: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Enlarge 8×8 in 0…16 to 28×28 in 0…255: a 20×20 box in the middle, as MNIST has it."""
    grey = Image.fromarray(np.round(digit * (255 / 16)).astype(np.uint8))
    box = np.asarray(grey.resize((20, 20), Image.Resampling.BICUBIC))
    return np.pad(box, 4)


SPEC = DataSpec(
    name="digits",
    source="uci-digits",
    title="UCI digits",
    channels=1,
    height=28,
    width=28,
    prepare=prepare,
    stand_in=True,
)
