"""Prepared folders: whole or not there, and nothing in them changes unnoticed."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from capsnet import prepare as entry
from capsnet.data import affnist, expanded, multimnist, storage
from capsnet.data.storage import LabelledImages
from capsnet.errors import UserError
from capsnet.prepare import prepare

ABOUT = {"name": "numbers", "source": "here"}


def build(folder: Path, value: int = 0) -> None:
    with storage.building(folder) as scratch:
        arrays = {"few": np.full(3, value), "many": np.full((1000, 7), value, np.int8)}
        storage.write(scratch, ABOUT, arrays)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    build(tmp_path / "set", 5)
    manifest, arrays = storage.read(tmp_path / "set")
    assert manifest["source"] == "here"
    assert manifest["shapes"] == {"few": [3], "many": [1000, 7]}
    assert manifest["md5"]["many"] == storage.md5(tmp_path / "set" / "many.npy")
    assert arrays["few"].tolist() == [5, 5, 5]


def test_arrays_stay_on_disk_until_they_are_looked_at(tmp_path: Path) -> None:
    build(tmp_path / "set")
    assert isinstance(storage.read(tmp_path / "set")[1]["many"], np.memmap)


def test_a_second_build_replaces_the_first(tmp_path: Path) -> None:
    build(tmp_path / "set", 1)
    build(tmp_path / "set", 2)
    assert storage.read(tmp_path / "set")[1]["few"][0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_failed_build_leaves_what_was_there(tmp_path: Path) -> None:
    build(tmp_path / "set", 1)
    with pytest.raises(ZeroDivisionError), storage.building(tmp_path / "set") as scratch:
        np.save(scratch / "few.npy", np.zeros(1 // len(ABOUT["name"][7:])))
    assert storage.read(tmp_path / "set")[1]["few"][0] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("module", "few"), [(expanded, {}), (affnist, {"copies": 1}), (multimnist, {"count": 2})]
)
def test_another_seed_draws_other_tables(
    module: Any, few: dict[str, int], digits: LabelledImages, tmp_path: Path
) -> None:
    for seed in (0, 7):
        module.prepare(tmp_path / f"{seed}", digits, seed=seed, **few)
    one, other = (storage.read(tmp_path / f"{seed}")[1] for seed in (0, 7))
    for name in one:
        assert (one[name] != other[name]).mean() > 0.5, name


def test_files_of_somebody_else_are_never_deleted(tmp_path: Path) -> None:
    build(tmp_path / "set", 1)
    (tmp_path / "set/train-images.gz").write_bytes(b"the only copy")
    with pytest.raises(UserError, match=r"set/train-images\.gz was not built .* move it"):
        build(tmp_path / "set", 2)
    assert (tmp_path / "set/train-images.gz").read_bytes() == b"the only copy"
    assert storage.read(tmp_path / "set")[1]["few"][0] == 1


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "large/set").mkdir(parents=True)
    (tmp_path / "set").symlink_to(tmp_path / "large/set")
    build(tmp_path / "set", 3)
    assert (tmp_path / "set").is_symlink()
    assert storage.read(tmp_path / "large/set")[1]["few"][0] == 3


def test_two_builds_of_one_folder_wait_for_each_other(tmp_path: Path) -> None:
    other = Thread(target=build, args=(tmp_path / "set", 2))
    with storage.building(tmp_path / "set") as scratch:
        other.start()
        other.join(0.2)
        assert other.is_alive()
        storage.write(scratch, ABOUT, {"few": np.full(3, 1)})
    other.join()
    assert storage.read(tmp_path / "set")[1]["few"].tolist() == [2, 2, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.slow
@pytest.mark.parametrize("written", ["half", "whole"])
def test_kill_9_leaves_nothing_that_is_trusted(tmp_path: Path, written: str) -> None:
    """Killed with one array on disk, or with all and the manifest but before the last move."""
    script = f"""
import time, numpy as np
from pathlib import Path
from capsnet.data import affnist, multimnist, storage
with storage.building(Path("set")) as scratch:
    if "{written}" == "half":
        np.save(scratch / "few.npy", np.zeros(3))
    else:
        storage.write(scratch, {ABOUT}, {{"few": np.zeros(3)}})
    (scratch / "stray").touch()
    print("now", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(UserError, match="holds no prepared data"):
        storage.read(tmp_path / "set")
    build(tmp_path / "set", 4)
    assert storage.read(tmp_path / "set")[1]["few"].tolist() == [4, 4, 4]
    assert {path.name for path in (tmp_path / "set").iterdir()} == {
        "few.npy",
        "many.npy",
        "manifest.json",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_flipped_bit_is_found_and_its_file_named(tmp_path: Path) -> None:
    build(tmp_path / "set")
    path = tmp_path / "set" / "many.npy"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"many\.npy has changed .*: prepare it again"):
        storage.read(tmp_path / "set")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    build(tmp_path / "set")
    (tmp_path / "set" / "few.npy").unlink()
    with pytest.raises(UserError, match=r"few\.npy is missing: prepare it again"):
        storage.read(tmp_path / "set")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"name": "mnist", "md5": {"tr', r"manifest\.json is cut or of another program"),
        (b"", r"manifest\.json is cut"),
        (b"[1, 2]", r"manifest\.json is cut"),
        (b"\xff\xfe", r"manifest\.json is cut"),
        (b'{"md5": [], "source": "mnist"}', r"manifest\.json is cut"),
        (b'{"name": "other"}', "is another data set, without md5"),
        (b'{"md5": {}, "source": "here"}', "is another data set, without train_images"),
    ],
)
def test_a_manifest_that_is_none_names_the_command_that_repairs_it(
    content: bytes, message: str, tmp_path: Path
) -> None:
    build(tmp_path / "digits")
    (tmp_path / "digits" / "manifest.json").write_bytes(content)
    repair = re.escape(f"run `python -m capsnet.prepare digits --root {tmp_path}`")
    with pytest.raises(UserError, match=f"{message}.*: {repair}$") as told:
        storage.read_images(tmp_path / "digits")
    assert "\n" not in str(told.value)
    prepare("digits", tmp_path / "digits")
    assert storage.read_images(tmp_path / "digits").source == "uci-digits"


def test_tables_in_place_of_others_are_named(tmp_path: Path) -> None:
    prepare("digits", tmp_path / "digits")
    prepare("expanded-digits", tmp_path / "expanded-digits")
    shutil.copytree(tmp_path / "expanded-digits", tmp_path / "multimnist-digits")
    digits = storage.read_images(tmp_path / "digits")
    with pytest.raises(UserError, match=r"without holdout: run `.* multimnist-digits --root"):
        multimnist.read(tmp_path / "multimnist-digits", digits)
    shutil.copytree(tmp_path / "digits", tmp_path / "affnist-digits")
    with pytest.raises(UserError, match=r"without digits: run `.* affnist-digits --root"):
        affnist.read(tmp_path / "affnist-digits", digits)


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    with storage.building(tmp_path / "digits") as scratch:
        storage.write(scratch, ABOUT, {"train_images": np.array([{}, {}], dtype=object)})
    with pytest.raises(UserError, match=r"train_images\.npy is not an array of numbers: run "):
        storage.read(tmp_path / "digits")


def test_data_that_may_not_be_read(tmp_path: Path) -> None:
    tmp_path.parent.chmod(0o755)
    build(tmp_path / "set")
    (tmp_path / "set").chmod(0o000)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(UserError, match=r"may not be read: run `chmod -R u\+rX .*set`"):
            storage.read(tmp_path / "set")
    finally:
        os.seteuid(user)
        (tmp_path / "set").chmod(0o755)


def test_nothing_prepared_names_the_folder_and_what_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = f"{tmp_path}/data/digits holds no prepared data: run `python -m capsnet.prepare dig"
    with pytest.raises(UserError, match=re.escape(expected)):
        storage.read(Path("data/digits"))
    with pytest.raises(UserError, match=r"data\.source must be one of mnist, digits, .*, or data"):
        storage.read(Path("data/mine"))


@pytest.fixture
def root(data_root: Path, tmp_path: Path) -> Path:
    shutil.copytree(data_root / "digits", tmp_path / "digits")
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        "multimnist-digits --pairs 3 --max-shift 6 --holdout 300 --seed 7",
        "expanded-digits --seed 7",
        "affnist-digits --copies 2 --seed 7",
    ],
)
def test_each_set_is_made_by_its_command(
    root: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *options = command.split()
    monkeypatch.setattr(sys, "argv", ["prepare", name, "--root", str(root), *options])
    entry.main()
    manifest, _ = storage.read(root / name)
    assert manifest["seed"] == 7
    assert manifest["name"] == name.split("-")[0]
    assert manifest["digits"] == storage.read_images(root / "digits").digest


@pytest.mark.parametrize("name", ["multimnist-mnist", "expanded-mnist", "affnist-mnist"])
def test_digits_that_are_not_there_are_named(root: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"mnist holds no prepared data: run `.* mnist --root .*`"):
        prepare(name, root / name)
    assert not (root / name).exists()


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("nothing", "invalid choice"),
        ("multimnist-digits --max-shift 15", "15 is not between 0 and 14"),
        ("multimnist-digits --pairs none", "argument --pairs"),
        ("expanded-digits --pairs 3", "unrecognized arguments"),
    ],
)
def test_wrong_options_are_refused(
    command: str,
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["prepare", *command.split()])
    with pytest.raises(SystemExit, match="2"):
        entry.main()
    assert complaint in capsys.readouterr().err
