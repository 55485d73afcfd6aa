"""MNIST: 60,000 training and 10,000 test digits, from torchvision's mirrors or one of yours."""

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capsnet.data import storage
from capsnet.data.download import fetch_from
from capsnet.data.specification import DataSpec

MIRROR = "CAPSNET_MNIST_MIRROR"
ABOUT = {
    "name": "mnist",
    "source": "mnist",
    "about": "MNIST (LeCun, Cortes, Burges): 60,000 training and 10,000 test digits",
}


def prepare(folder: Path) -> None:
    """Fetch the four official files, check their md5s, store them as arrays in `folder`.

    Raises UserError when no mirror gives a file with the right md5.
    """
    from torchvision.datasets import MNIST  # imports torch, which takes seconds

    with storage.building(folder) as scratch:
        raw = scratch / "raw"
        files = {
            name: fetch_from(MIRROR, MNIST.mirrors, name, raw, digest, "MNIST's four gzip files")
            for name, digest in MNIST.resources
        }
        arrays = {
            "train_images": _images(files["train-images-idx3-ubyte.gz"]),
            "train_labels": _labels(files["train-labels-idx1-ubyte.gz"]),
            "test_images": _images(files["t10k-images-idx3-ubyte.gz"]),
            "test_labels": _labels(files["t10k-labels-idx1-ubyte.gz"]),
        }
        for file in files.values():
            file.unlink()
        raw.rmdir()
        storage.write(scratch, ABOUT, arrays)


def _images(path: Path) -> NDArray[np.uint8]:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16).reshape(
        -1, 28, 28
    )


def _labels(path: Path) -> NDArray[np.int64]:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=8).astype(np.int64)


SPEC = DataSpec(name="mnist", title="MNIST", channels=1, height=28, width=28, prepare=prepare)
