"""Ctrl-C, SIGTERM and SIGUSR1 end a training after its step, with a checkpoint written.

SLURM sends SIGTERM to what it preempts or cancels, and SIGUSR1 ahead of a time limit to a job with
`--signal=USR1@90`.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Interrupted(SystemExit):
    """Ends the program with the exit code that a shell gives a signal: 130, 143 or 138."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[int]]:
        """Let the jobs of a sweep, which may be other processes, hand it on."""
        return Interrupted, (int(self.signal),)


class Interruption:
    """Catches signals: while `deferred`, the first is kept in `received`, the second raises.

    At all other times each raises Interrupted where the program is.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self.deferred = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Catch signals inside, if this is the main thread: Python gives them to no other."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def defer(self) -> None:
        """Keep the next signal for the end of the step; Lightning's handler is replaced."""
        self.deferred = True
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handle)

    def resume(self) -> None:
        """Raise from now on, and what was kept at once."""
        self.deferred = False
        if self.received is not None:
            self._stop(self.received)

    def _handle(self, number: int, _: Any) -> None:
        if self.received is not None or not self.deferred:
            self._stop(number)
        self.received = signal.Signals(number)

    def _stop(self, number: int) -> NoReturn:
        print(f"\n{signal.Signals(number).name}: stopped; the same command carries on")
        raise Interrupted(number)
