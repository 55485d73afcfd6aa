"""Commands that cannot go on end in one line, with a shell's exit code, nothing half-written."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from capsnet.errors import UserError, exit_on_user_error
from capsnet.records.record import write_record
from capsnet.training.fingerprint import PACKAGE
from helpers.records import record
from helpers.running import (
    DEADLINE,
    command,
    interrupted_asking,
    interrupted_reading,
    shell_code,
    wait_for,
)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("what is wrong"), 1, "error: what is wrong\n"),
        (PermissionError(13, "Permission denied", "x"), 1, "error: [Errno 13] Permission denied"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C\n"),
        (
            ModuleNotFoundError("No module named 'x'", name="x"),
            1,
            "error: No module named 'x': `pip ",
        ),
    ],
)
def test_an_error_is_a_line_and_an_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, exit_on_user_error():
        raise error
    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(line)


def test_other_errors_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), exit_on_user_error():
        print(1 / int("0"))
    with pytest.raises(ImportError), exit_on_user_error():
        raise ImportError("our own mistake", name="capsnet.nothing")


def test_ctrl_c_is_silent_about_coroutines_that_had_not_begun() -> None:
    script = (
        "import asyncio\n"
        "from capsnet.errors import exit_on_user_error\n"
        "waiting = asyncio.sleep(1)\n"
        "with exit_on_user_error(): raise KeyboardInterrupt\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "stopped by Ctrl-C\n")


@pytest.mark.parametrize("few", [True, False])
def test_a_reader_that_is_gone_ends_it_silently(few: bool) -> None:
    """A few lines wait in a buffer until the program ends; many are written at once."""
    script = (
        "from capsnet.errors import exit_on_user_error\n"
        f"with exit_on_user_error(): [print('line') for _ in range({10 if few else 10**6})]\n"
    )
    assert without_reader([sys.executable, "-c", script], Path.cwd()) == (141, "")


@pytest.mark.slow
def test_a_table_without_reader_is_written_all_the_same(tmp_path: Path) -> None:
    write_record(record(), tmp_path / "results/paper/mnist_capsnet_r3_recon/seed0.json")
    _, printed = without_reader([sys.executable, "-m", "capsnet.report", "table"], tmp_path)
    assert printed == ""
    assert "25 / 10,000" in (tmp_path / "results/paper.md").read_text()


def without_reader(arguments: list[str], folder: Path) -> tuple[int, str]:
    """The exit code and the errors of a command whose output nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(arguments, cwd=folder, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    return done.returncode, done.stderr


@pytest.mark.slow
def test_ctrl_c_while_records_are_read(tmp_path: Path) -> None:
    (tmp_path / "results/paper/mnist_baseline").mkdir(parents=True)
    pipe = tmp_path / "results/paper/mnist_baseline/seed0.json"
    ended = interrupted_reading(pipe, "report", "table", cwd=tmp_path)
    assert ended == (130, "stopped by Ctrl-C\n")
    assert not (tmp_path / "results/paper.md").exists()


@pytest.mark.slow
def test_ctrl_c_while_configurations_are_composed(tmp_path: Path) -> None:
    process = command("compose", "demo", cwd=tmp_path)
    wait_for((tmp_path / "configs" / ".demo.partial").is_dir, process)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=DEADLINE)
    assert (shell_code(process), printed) == (130, "stopped by Ctrl-C\n")
    assert list((tmp_path / "configs").iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_while_a_server_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        account = {"HOME": str(tmp_path), "WANDB_API_KEY": "a" * 40, "WANDB_BASE_URL": url}
        ended = interrupted_asking(server, "tracking.dashboards", cwd=tmp_path, **account)
    assert ended == (130, "stopped by Ctrl-C\n")


def test_ctrl_c_while_the_explorer_reads_its_data(tmp_path: Path) -> None:
    weights = PACKAGE.parents[1] / "results/weights/mnist_capsnet_r3_recon"
    shutil.copytree(weights, tmp_path / "run")
    (tmp_path / "data/mnist").mkdir(parents=True)
    pipe = tmp_path / "data/mnist/manifest.json"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ended = interrupted_reading(pipe, "explorer", "run", "--port", str(port), cwd=tmp_path)
    assert ended == (130, "stopped by Ctrl-C\n")
