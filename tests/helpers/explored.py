"""Runs for the explorer to open: weights that nobody has trained, on small data."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from capsnet.data.loading import load_dataset
from capsnet.data.storage import write_images
from capsnet.records.weights import save_weights
from capsnet.training.build_network import build_network
from helpers.running import command, tiny, wait_for

CLASSES, HEIGHT, WIDTH = 43, 32, 36
NAMES = ["<speed & limit>", *(f"sign {number}" for number in range(1, CLASSES))]
SIGNS = ("data.source=signs", "model.decoder=true")


def untrained(root: Path, folder: Path, *overrides: str, experiment: str) -> None:
    """Write untrained weights and their configuration as a finished run leaves them."""
    run = tiny(root, *overrides, experiment=experiment)
    info = load_dataset(run).info
    save_weights(build_network(run, info), run, info, folder)


def prepare_signs(root: Path) -> np.ndarray:
    """Prepare 43 classes of coloured noise, wider than tall; return the test images."""
    random = np.random.default_rng(0)
    labels = np.arange(2 * CLASSES) % CLASSES
    train, test = random.integers(0, 256, (2, len(labels), 3, HEIGHT, WIDTH), np.uint8)
    about = {"name": "signs", "source": "signs", "class_names": NAMES}
    write_images(root / "signs", about, (train, labels), (test, labels))
    return test


def open_signs(root: Path, folder: Path) -> None:
    """Leave a run on `prepare_signs`."""
    untrained(root, folder, *SIGNS, experiment="mnist_capsnet_r3_recon")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextmanager
def serving(
    folder: Path, port: int, *checkpoint: str, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """Start the explorer in `folder` and wait until it serves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_CURRENT_TEST")  # NiceGUI would take itself for the one tested
        process = command("explorer", *checkpoint, "--port", str(port), cwd=folder, **environment)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == f"Capsule explorer: http://127.0.0.1:{port} (Ctrl-C ends it)\n"
        wait_for(lambda: answers(port), process)
        yield process
    finally:
        process.kill()
        process.communicate()


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
