"""`guard.py COMMAND ...` runs a command that cannot outlive whoever started the guard.

Its stdin is a pipe whose other end the starter alone holds: when that closes, however the starter
ended, everything in the command's process group is killed. The group's number goes to stdout, the
command's output to stderr. Imports little: one guard is started for every stage.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress


def kill_with_the_starter(group: int) -> None:
    """Wait for the end of stdin, then kill the process group."""
    while os.read(0, 1):
        pass
    kill(group)


def kill(group: int) -> None:
    """Kill what is left of the process group."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM where only zombies are left
        os.killpg(group, signal.SIGKILL)


def main() -> int:
    """Run the command to its end; the exit code as a shell gives it, 128 + signal when killed."""
    # A group of its own: the guard survives the killing and reaps the command. DVC takes a zombie
    # for a living holder of its locks, and in a container often nobody else reaps.
    command = subprocess.Popen(
        sys.argv[1:], stdin=subprocess.DEVNULL, stdout=2, stderr=2, process_group=0
    )
    threading.Thread(target=kill_with_the_starter, args=(command.pid,), daemon=True).start()
    with suppress(BrokenPipeError):
        os.write(1, f"{command.pid}\n".encode())
    code = command.wait()
    kill(command.pid)  # a stage's own processes, where its `dvc` was killed
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
