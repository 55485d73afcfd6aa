"""1,797 real handwritten digits that need no download: the UCI ones that scikit-learn ships.

They stand in for MNIST in the demo and are never mixed up with it: their source is `uci-digits`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capsnet.data import storage
from capsnet.data.specification import DataSpec
from capsnet.data.storage import Images, Labels

TEST = 500
ABOUT = {
    "name": "digits",
    "source": "uci-digits",
    "about": "UCI optical digits (Alpaydin, Kaynak), the 1,797 of scikit-learn, 8x8 enlarged to a "
    "20x20 box in 28x28; not MNIST",
    "split": f"stratified, {TEST} test digits, fixed",
}


def prepare(folder: Path) -> None:
    """Enlarge, split and store the digits in `folder`, in a 20×20 box of 28×28, as MNIST's are."""
    border = (0, 0), (4, 4), (4, 4)
    train, test = ((np.pad(images, border), labels) for images, labels in splits(20))
    storage.write_images(folder, ABOUT, train, test)


def splits(side: int) -> list[tuple[Images, Labels]]:
    """Return training and test digits, enlarged to uint8 [n, side, side], and labels int64 [n].

    Ink is 255. The split is the same for every size: no digit is in both.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw, labels = load_digits(return_X_y=True)
    images = np.stack([_enlarged(digit, side) for digit in raw.reshape(-1, 8, 8)])
    train, test = train_test_split(
        np.arange(len(labels)), test_size=TEST, stratify=labels, random_state=0
    )
    labels = labels.astype(np.int64)
    return [(images[part], labels[part]) for part in (train, test)]


def _enlarged(digit: NDArray[np.float64], side: int) -> Images:
    """Enlarge 8×8 in 0…16 to side×side in 0…255."""
    grey = Image.fromarray(np.round(digit * (255 / 16)).astype(np.uint8))
    return np.asarray(grey.resize((side, side), Image.Resampling.BICUBIC))


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
