"""CIFAR-10's binary archive: files of its layout by another writer, and files that are none."""

import hashlib
import io
import struct
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from capsnet.data import cifar10
from capsnet.data.storage import read_images
from helpers.preparing import refusal, run

NAMES = [f"cifar-10-batches-bin/{batch}.bin" for batch in (
    "data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch",
)]  # fmt: skip
OFFICIAL = "c32a1d4ab5d03f1284b67883e8d87530"  # as its page gives it


def value(batch: int, image: int, channel: int, row: int, column: int) -> int:
    """A pixel of the made images: every index changes it in its own way."""
    return (31 * batch + 7 * image + 101 * channel + 5 * row + 3 * column) % 256


def batch(number: int, labels: list[int]) -> bytes:
    content = b""
    for image, label in enumerate(labels):
        content += struct.pack("<B", label)
        for channel in range(3):
            for row in range(32):
                content += bytes(value(number, image, channel, row, column) for column in range(32))
    return content


def archive(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:  # pyright: ignore[reportArgumentType,reportCallIssue]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture(scope="module")
def batches() -> dict[str, bytes]:
    """Ten images a batch, one of each class, in another order in each."""
    shuffled = ([(3 * i + number) % 10 for i in range(10)] for number in range(6))
    return {NAMES[number]: batch(number, labels) for number, labels in enumerate(shuffled)}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror's archive, which is not there yet; ten images a batch are the right number."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("CAPSNET_CIFAR10_MIRROR", str(folder))
    monkeypatch.setattr(cifar10, "PER_CLASS", {"train": 5, "test": 1})
    return folder / "cifar-10-binary.tar.gz"


def trust(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "MD5", hashlib.md5(content).hexdigest())


def test_pixels_and_labels_are_where_another_writer_put_them(
    batches: dict[str, bytes], mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {"../outside.txt": b"no", "cifar-10-batches-bin/batches.meta.txt": b"airplane"}
    in_another_order = dict(reversed(batches.items()))
    content = archive(others | in_another_order)
    trust(content, monkeypatch)
    mirror.write_bytes(content)
    before = {*tmp_path.rglob("*")}
    run(tmp_path / "data", "cifar10")
    made = {str(path.relative_to(tmp_path)) for path in {*tmp_path.rglob("*")} - before}
    arrays = {f"{split}_{kind}.npy" for split in ("train", "test") for kind in ("images", "labels")}
    expected = {f"data/cifar10/{name}" for name in {*arrays, "manifest.json"}}
    assert made == {"data", "data/cifar10", *expected}
    images = read_images(tmp_path / "data/cifar10")
    assert images.source == "cifar10"
    assert images.info.image == (3, 32, 32)
    assert images.train_labels.tolist() == [(3 * i + b) % 10 for b in range(5) for i in range(10)]
    assert images.test_labels.tolist() == [(3 * i + 5) % 10 for i in range(10)]
    for place in [(0, 0, 0, 0, 0), (0, 9, 2, 31, 31), (3, 4, 1, 0, 31), (4, 9, 2, 31, 0)]:
        number, image, *pixel = place
        assert images.train_images[10 * number + image, *pixel] == value(*place)
    test = [[[value(5, i, 1, row, column) for column in range(32)] for row in range(32)]
            for i in range(10)]  # fmt: skip
    assert images.test_images[:, 1].tolist() == test


def test_labels_have_the_names_of_batches_meta_txt() -> None:
    # The ten lines of the archive's own file, in its order.
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    assert names.split() == [*cifar10.SPEC.class_names]


@pytest.mark.slow
def test_an_archive_of_full_size_is_read_with_the_official_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = np.zeros((10_000, 3073), np.uint8)
    records[:, 0] = np.arange(10_000) % 10
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
        for name in NAMES:
            member = tarfile.TarInfo(name)
            member.size = 30_730_000  # bytes of an official batch
            tar.addfile(member, io.BytesIO(records.tobytes()))
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(file.getvalue())
    monkeypatch.setenv("CAPSNET_CIFAR10_MIRROR", str(tmp_path))
    trust(file.getvalue(), monkeypatch)
    run(tmp_path / "data", "cifar10")
    images = read_images(tmp_path / "data/cifar10")
    assert len(images.train_images) == 50_000
    assert np.bincount(images.test_labels).tolist() == [1000] * 10


UNOFFICIAL = {
    "empty": (b"", "is an empty file"),
    "a page": (b"\n<!DOCTYPE html><html>Moved</html>", "is an HTML page"),
    "cut": (archive({})[:20], "is a truncated or altered file of 20 bytes"),
    "compressed by another program": (archive({}, "w:xz"), "is a truncated or altered file of "),
}


@pytest.mark.parametrize("fault", UNOFFICIAL)
def test_a_file_that_is_not_the_official_one_is_named_with_both_md5s(
    fault: str, mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, expected = UNOFFICIAL[fault]
    mirror.write_bytes(content)
    line = refusal(tmp_path / "data", capsys, "cifar10")
    found = hashlib.md5(content).hexdigest()
    assert f"could not get cifar-10-binary.tar.gz: {mirror} {expected}" in line
    assert f"(md5 {found}, the right one is {OFFICIAL})" in line
    assert "Set CAPSNET_CIFAR10_MIRROR to a URL or a folder that holds cifar-10-binary" in line


def damaged(batches: dict[str, bytes], fault: str) -> bytes:
    """Make an archive that is not CIFAR-10, whatever its md5."""
    first = NAMES[0]
    match fault:
        case "empty":
            return b""
        case "another format":
            return b"PK\3\4" + bytes(100)
        case "a page":
            return b"<html>"
        case "not compressed":
            return archive(batches, "w")
        case "cut in its compression":
            return archive(batches)[:-2000]
        case "cut in its last member":
            tar = archive(batches, "w:")
            file = io.BytesIO()
            with tarfile.open(fileobj=file, mode="w:gz") as whole:
                assert whole.fileobj is not None
                whole.fileobj.write(tar[:-15_000])
                whole.fileobj = io.BytesIO()  # so that no end is written
            return file.getvalue()
        case "pickles":
            return archive({"cifar-10-batches-py/data_batch_1": b"\x80\x04."})
        case "a batch missing":
            return archive({name: content for name, content in batches.items() if name != first})
        case "a folder as batch":
            file = io.BytesIO(archive({}))
            with tarfile.open(fileobj=file, mode="w:gz") as tar:
                member = tarfile.TarInfo(first)
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            return file.getvalue()
        case "a batch empty":
            return archive(batches | {first: b""})
        case "a byte too few":
            return archive(batches | {first: batches[first][:-1]})
        case "CIFAR-100's two labels":
            return archive(batches | {first: bytes(10 * 3074)})
        case "label 10":
            return archive(batches | {first: b"\x0a" + batches[first][1:]})
        case "an image too few":
            return archive(batches | {first: batches[first][3073:]})
        case "one class twice":
            other = 1 - min(batches[first][0], 1)
            return archive(batches | {first: bytes([other]) + batches[first][1:]})
        case _:
            raise AssertionError(fault)


NO_ARCHIVE = "cifar-10-binary.tar.gz is truncated or no tar.gz archive ("
FIRST = "cifar-10-batches-bin/data_batch_1.bin"
FAULTS = {
    "empty": NO_ARCHIVE,
    "another format": NO_ARCHIVE,
    "a page": NO_ARCHIVE,
    "not compressed": NO_ARCHIVE,
    "cut in its compression": NO_ARCHIVE,
    "cut in its last member": NO_ARCHIVE,
    "pickles": f"lacks {', '.join(NAMES)}: the official one has six batches",
    "a batch missing": f"lacks {FIRST}: the official one has six batches",
    "a folder as batch": f"lacks {', '.join(NAMES)}",
    "a batch empty": f"{FIRST} in cifar-10-binary.tar.gz has 0 bytes, but must have 3,073 an image",
    "a byte too few": "has 30,729 bytes, but must have 3,073 an image",
    "CIFAR-100's two labels": "has 30,740 bytes, but must have 3,073 an image",
    "label 10": f"{FIRST} in cifar-10-binary.tar.gz has a label 10, but labels must be from 0 to 9",
    "an image too few": "has [4, 5, 5, 5, 5, 5, 5, 5, 5, 5] train images of its classes, but must",
    "one class twice": "train images of its classes, but must have 5 each",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_trusted_file_that_is_not_cifar10_is_refused_all_the_same(
    fault: str,
    batches: dict[str, bytes],
    mirror: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = damaged(batches, fault)
    trust(content, monkeypatch)
    mirror.write_bytes(content)
    assert FAULTS[fault] in refusal(tmp_path / "data", capsys, "cifar10")


def test_a_refused_file_leaves_what_was_prepared_before(
    batches: dict[str, bytes],
    mirror: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = archive(batches)
    trust(content, monkeypatch)
    mirror.write_bytes(content)
    run(tmp_path / "data", "cifar10")
    digest = read_images(tmp_path / "data/cifar10").digest
    mirror.write_bytes(content[:-1])
    with pytest.raises(SystemExit, match="1"):
        run(tmp_path / "data", "cifar10")
    assert "truncated or altered file" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["cifar10"]
    assert read_images(tmp_path / "data/cifar10").digest == digest


@pytest.fixture
def server() -> Iterator[str]:
    """The URL of a server that answers with a page, or not found below /none/."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path.startswith("/none/") else 200)
            self.end_headers()
            self.wfile.write(b"<html><body>Please log in</body></html>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as running:
        Thread(target=running.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("", "cifar-10-binary.tar.gz is an HTML page (md5 "),
        ("none/", "cifar-10-binary.tar.gz is not there (HTTP Error 404: Not Found)"),
    ],
)
def test_what_a_server_gives_instead(
    folder: str,
    expected: str,
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CAPSNET_CIFAR10_MIRROR", server + folder)
    assert f"{server}{folder}{expected}" in refusal(tmp_path / "data", capsys, "cifar10")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("missing", "/cifar-10-binary.tar.gz does not exist"),
        ("folder", " cannot be reached ([Errno 21] Is a directory"),
        ("the file itself", "/cifar-10-binary.tar.gz does not exist"),
        ("no URL", " cannot be reached ("),
    ],
)
def test_a_mirror_without_the_file(
    kind: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "cifar-10-binary.tar.gz"
    if kind == "folder":
        file.mkdir()
    if kind == "the file itself":
        file.write_bytes(b"here")
    mirror = {"the file itself": str(file), "no URL": "http://[half/"}.get(kind, str(tmp_path))
    monkeypatch.setenv("CAPSNET_CIFAR10_MIRROR", mirror)
    line = refusal(tmp_path / "data", capsys, "cifar10")
    assert f"could not get cifar-10-binary.tar.gz: {mirror}{expected}" in line
    assert "Set CAPSNET_CIFAR10_MIRROR to a URL or a folder that holds cifar-10-binary" in line
