"""Data prepared once for all tests, by the code that users run."""

import os

# Kernels for GPUs are interpreted here; Triton looks when it is imported, by torchvision at last.
os.environ["TRITON_INTERPRET"] = "1"

from pathlib import Path

import pytest
import torch

from capsnet.data.mnist import MIRROR
from capsnet.data.prepared import Digits, read_digits
from capsnet.prepare import prepare

# Networks this small are fastest on one thread, and tests may run beside one another.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that holds the UCI digits."""
    root = tmp_path_factory.mktemp("data")
    prepare("digits", root / "digits")
    return root


@pytest.fixture(scope="session")
def digits(data_root: Path) -> Digits:
    return read_digits(data_root / "digits")


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """Real MNIST, where CAPSNET_MNIST_MIRROR says where to get it."""
    if MIRROR not in os.environ:
        pytest.skip(f"real MNIST is not here: {MIRROR} is not set")
    folder = tmp_path_factory.mktemp("data") / "mnist"
    prepare("mnist", folder)
    return read_digits(folder)
