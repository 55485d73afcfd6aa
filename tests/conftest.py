"""Data prepared once for all tests, by the code that users run."""

import gc
import os

# Kernels for GPUs are interpreted here; Triton looks when it is imported, by torchvision at last.
os.environ["TRITON_INTERPRET"] = "1"
os.environ["CAPSNET_MACHINE"] = "none"  # no settings of the machine that runs the tests
gc.disable()  # until all is imported, which is quicker without

from pathlib import Path
from statistics import mean
from typing import NamedTuple

import pytest
import torch

from capsnet.data.mnist import MIRROR
from capsnet.data.storage import LabelledImages, read_images
from capsnet.prepare import prepare
from capsnet.records.record import Record
from capsnet.train import train
from helpers.offline_wandb import OfflineRun, read_runs
from helpers.running import tiny

# Networks this small are fastest on one thread, and tests may run beside one another.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run files of slow tests first: one that came last would leave the other processes idle."""
    marks: dict[Path, list[bool]] = {}
    for item in items:
        marks.setdefault(item.path, []).append(item.get_closest_marker("slow") is not None)
    items.sort(key=lambda item: -mean(marks[item.path]))


def pytest_collection_finish() -> None:
    """Keep modules out of garbage collection, which would look through torch again and again."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # what modules check for leaks at the end


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that holds the UCI digits."""
    root = tmp_path_factory.mktemp("data")
    prepare("digits", root / "digits")
    return root


@pytest.fixture(scope="session")
def digits(data_root: Path) -> LabelledImages:
    return read_images(data_root / "digits")


@pytest.fixture(scope="session")
def mnist_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with real MNIST, where CAPSNET_MNIST_MIRROR says where to get it."""
    if MIRROR not in os.environ:
        pytest.skip(f"real MNIST is not here: {MIRROR} is not set")
    root = tmp_path_factory.mktemp("data")
    prepare("mnist", root / "mnist")
    return root


@pytest.fixture(scope="session")
def mnist(mnist_root: Path) -> LabelledImages:
    return read_images(mnist_root / "mnist")


class Shown(NamedTuple):
    """A finished run, and its W&B page as its offline file has it."""

    record: Record
    folder: Path
    page: OfflineRun


@pytest.fixture(scope="session")
def shown(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shown]:
    """By experiment: one that validates and draws, one of two digits, and a baseline."""
    prepare("multimnist-digits", data_root / "multimnist-digits", count=3)
    changes = {
        "mnist_capsnet_r3_recon": ("data.holdout=0.2", "schedule.validate_every=30"),
        "multimnist_capsnet_r3_recon": ("schedule.steps=10",),
        "mnist_baseline": ("schedule.steps=10",),
    }
    short = ("schedule.steps=60", "schedule.batch=32", "trainer.log_every=10", "logger=wandb")
    found: dict[str, Shown] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        for experiment, more in changes.items():
            folder = tmp_path_factory.mktemp("shown") / experiment
            record = train(tiny(data_root, *short, *more, experiment=experiment), folder)
            assert record is not None
            [page] = read_runs(folder)
            found[experiment] = Shown(record, folder, page)
    return found
