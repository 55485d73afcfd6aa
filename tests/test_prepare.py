"""Failures while data are fetched: one sentence, nothing left behind, a second try works."""

import errno
import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import URLError

import numpy as np
import pytest
from torchvision.datasets import MNIST

from capsnet.data import download
from capsnet.data.mnist import MIRROR
from capsnet.data.storage import LabelledImages, read_images
from capsnet.errors import UserError
from capsnet.prepare import prepare
from helpers.running import interrupted_asking, output

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@pytest.mark.slow
def test_a_mirror_that_cannot_be_reached(tmp_path: Path) -> None:
    code, printed = output("prepare", "mnist", cwd=tmp_path, **{MIRROR: "http://127.0.0.1:9/"})
    assert code == 1
    assert "http://127.0.0.1:9/ cannot be reached ([Errno 111] Connection refused)" in printed
    assert f"Set {MIRROR} to a URL or a folder" in printed
    assert "Traceback" not in printed
    assert list((tmp_path / "data").iterdir()) == []


def test_a_mirror_that_hangs_up_leaves_the_next_one_to_be_asked(
    mnist: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = Path(os.environ[MIRROR]).absolute()
    monkeypatch.delenv(MIRROR)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(
            MNIST, "mirrors", [f"http://127.0.0.1:{server.getsockname()[1]}/", str(true)]
        )
        hanging_up = Thread(target=hang_up, args=(server, len(FILES)))
        hanging_up.start()
        prepare("mnist", tmp_path / "mnist")
        hanging_up.join()
    assert read_images(tmp_path / "mnist").digest == mnist.digest


def hang_up(server: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = server.accept()
        connection.recv(1)
        connection.close()


def test_a_folder_without_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR, str(tmp_path))
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte\.gz does not exist"):
        prepare("mnist", tmp_path / "mnist")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["truncated", "altered"])
def test_a_harmed_file_then_the_right_one(
    harm: str, mnist: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = Path(os.environ[MIRROR])
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name in FILES:
        (mirror / name).symlink_to((true / name).absolute())
    content = bytearray((true / FILES[2]).read_bytes())
    if harm == "altered":
        content[1000] ^= 1
    (mirror / FILES[2]).unlink()
    (mirror / FILES[2]).write_bytes(content if harm == "altered" else content[:-1])
    monkeypatch.setenv(MIRROR, str(mirror))
    with pytest.raises(UserError, match="truncated or altered file"):
        prepare("mnist", tmp_path / "data" / "mnist")
    assert list((tmp_path / "data").iterdir()) == []
    (mirror / FILES[2]).write_bytes((true / FILES[2]).read_bytes())
    prepare("mnist", tmp_path / "data" / "mnist")
    assert read_images(tmp_path / "data" / "mnist").digest == mnist.digest


def test_mnist_is_mnist(mnist: LabelledImages) -> None:
    assert mnist.source == "mnist"
    assert mnist.train_images.shape == (60_000, 1, 28, 28)
    # The class counts of the official test labels, and its first digits: 7 2 1 0 4.
    assert np.bincount(mnist.test_labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert mnist.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    # The mean grey value that normalisations of MNIST use, 0.1307.
    assert round(float(mnist.train_images.mean()) / 255, 4) == 0.1307


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own that takes 1 MiB. Only root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_told_as_what_it_is(small_disk: Path) -> None:
    (small_disk / "data").mkdir()
    (small_disk / "filler").write_bytes(bytes(900_000))
    code, printed = output("prepare", "digits", cwd=small_disk)
    assert code == 1
    assert printed.startswith(f"error: {small_disk}/data/digits was not prepared: ")
    assert printed.endswith(" MB are free there)\n")
    assert printed.count("\n") == 1
    assert list((small_disk / "data").iterdir()) == []


@pytest.mark.slow
def test_a_disk_that_is_full_is_not_a_mirror_that_is_away(small_disk: Path, mirror: str) -> None:
    code, printed = output("prepare", "mnist", cwd=small_disk, **{MIRROR: mirror})
    assert code == 1
    sentence = "/data/mnist was not prepared: [Errno 28] No space left on device (0.0 MB are free"
    assert f"error: {small_disk}{sentence}" in printed
    assert "mirror" not in printed.lower()
    assert "Traceback" not in printed
    assert list((small_disk / "data").iterdir()) == []


def test_an_error_of_this_disk_is_none_of_the_mirror() -> None:
    path = Path("data/file")
    assert download._of_this_disk(OSError(errno.ENOSPC, "No space left on device"), path)
    assert download._of_this_disk(PermissionError(errno.EACCES, "denied", str(path)), path)
    assert not download._of_this_disk(PermissionError(errno.EACCES, "denied", "mirror/file"), path)
    assert not download._of_this_disk(URLError("refused"), path)
    assert not download._of_this_disk(ConnectionResetError(errno.ECONNRESET, "reset"), path)


@pytest.fixture
def mirror() -> Iterator[str]:
    """The URL of a server whose files are larger than the small disk."""

    class Zeros(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2000000")
            self.end_headers()
            with suppress(OSError):  # the other side stops reading
                self.wfile.write(bytes(2_000_000))

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Zeros) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # which never answers
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        environment = {MIRROR: url}
        code, printed = interrupted_asking(server, "prepare", "mnist", cwd=tmp_path, **environment)
    assert code == 130, printed
    assert "stopped by Ctrl-C\n" in printed
    assert "Traceback" not in printed
    assert list((tmp_path / "data").iterdir()) == []


def test_digits_are_the_same_everywhere(digits: LabelledImages) -> None:
    assert digits.source == "uci-digits"
    content = hashlib.md5(digits.train_images.tobytes()).hexdigest()
    assert content == "470d088921935d11a7d87d09c95ed04f"
    per_class = np.bincount(digits.test_labels)
    assert per_class.sum() == 500
    assert per_class.max() - per_class.min() <= 3  # stratified
    border = digits.train_images.copy()
    border[:, :, 4:24, 4:24] = 0
    assert not border.any()  # a 20×20 box, as MNIST's
