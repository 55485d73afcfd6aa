"""Runs as a user starts them: composed by Hydra, as commands or within the test process."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest

from capsnet import config
from capsnet.compose import composed

# A network of a few thousand weights: milliseconds a step.
TINY = (
    *("profile=demo", "model.width=0.03"),
    *("trainer.progress=false", "trainer.accelerator=cpu"),
)

DEADLINE = 120  # seconds that nothing here comes near unless it hangs


def tiny(
    root: Path, *overrides: str, experiment: str = "mnist_capsnet_r3_recon"
) -> config.RunConfig:
    return composed(f"experiment={experiment}", *TINY, f"data.root={root}", *overrides)


def command(module: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"capsnet.{module}", *arguments],
        cwd=cwd,
        env={**os.environ, "WANDB_MODE": "offline", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Fail where the process ends before, or the deadline passes."""
    deadline = time.monotonic() + DEADLINE
    while not there():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()[0]
        time.sleep(0.01)


def interrupted_reading(
    path: Path, module: str, *arguments: str, cwd: Path, **environment: str
) -> tuple[int, str]:
    """Exit code and everything printed after Ctrl-C while the command reads the file at `path`.

    The file is a pipe, which makes its reader wait for a writer.
    """
    os.mkfifo(path)
    process = command(module, *arguments, cwd=cwd, **environment)
    while process.poll() is None:
        with suppress(OSError):  # until there is a reader
            writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            process.send_signal(signal.SIGINT)
            process.wait(DEADLINE)
            os.close(writer)
        time.sleep(0.01)
    return shell_code(process), process.communicate()[0]


def interrupted_asking(
    server: socket.socket, module: str, *arguments: str, cwd: Path, **environment: str
) -> tuple[int, str]:
    """Exit code and everything printed after Ctrl-C while the command waits for the server."""
    server.settimeout(DEADLINE)
    process = command(module, *arguments, cwd=cwd, **environment)
    connection, _ = server.accept()
    with connection:
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=DEADLINE)
    return shell_code(process), printed


def output(module: str, *arguments: str, cwd: Path, **environment: str) -> tuple[int, str]:
    """Exit code and everything printed."""
    process = command(module, *arguments, cwd=cwd, **environment)
    printed, _ = process.communicate(timeout=300)
    return shell_code(process), printed


def output_here(module: str, *arguments: str, cwd: Path) -> tuple[int, str]:
    """Exit code and everything printed, as by `output`, without another process.

    For what a command says: its imports would take longer than all that it does.
    """
    main = import_module(f"capsnet.{module}").main
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", [module, *arguments])
        try:
            main()
        except SystemExit as end:
            return cast(int, end.code), printed.getvalue()
    return 0, printed.getvalue()


def shell_code(process: subprocess.Popen[str]) -> int:
    """The exit code as a shell gives it: Python ends some by the signal itself, which is the same.

    Where Ctrl-C met it inside of an `exec`, it kills itself by SIGINT after SystemExit(130).
    """
    return process.returncode if process.returncode >= 0 else 128 - process.returncode
