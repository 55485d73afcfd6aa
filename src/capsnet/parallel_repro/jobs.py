"""Stages as processes: each a `dvc repro -s` on its device, under a guard."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from capsnet.parallel_repro import guard
from capsnet.parallel_repro.schedule import Needs, State, cut_off, startable
from capsnet.parallel_repro.stages import Stage

GRACE = 20.0  # seconds between asking the stages to end and killing them
TICK = 0.2  # seconds between two looks at the processes


class Job:
    """A stage's processes: a group of their own that dies when this process does."""

    def __init__(self, stage: Stage, root: Path, environment: dict[str, str]):
        # Without --wait-for-lock, a stage whose DVC does not get the lock within three seconds of
        # the stage's end has run in vain.
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "-s", stage.name]
        stage.log.parent.mkdir(parents=True, exist_ok=True)
        with stage.log.open("wb") as log:
            self.guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, *command],
                cwd=root,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self.guard.stdout is not None
        self.group = int(self.guard.stdout.readline())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the stage."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, number)

    def ended(self) -> int | None:
        """Return the exit code, once nothing of the stage is left."""
        code = self.guard.poll()
        if code is not None:
            with self.guard:  # closes the pipes
                if code < 0:  # the guard was killed, and guarded nothing
                    self.signal(signal.SIGKILL)
        return code


class Pipeline:
    """Stages, devices, and what runs where.

    `slots` names a device once for every stage that may run on it at a time.
    """

    def __init__(self, stages: list[Stage], needs: Needs, root: Path, slots: list[str]):
        self.stages = {stage.name: stage for stage in stages}
        self.needs, self.root, self.num_slots = needs, root, len(slots)
        self.free = list(slots)
        self.jobs: dict[str, Job] = {}

    def named(self, *states: State) -> list[Stage]:
        """Return the stages in one of these states."""
        return [stage for stage in self.stages.values() if stage.state in states]

    def over(self) -> bool:
        """Tell whether nothing runs or can still run."""
        return not self.named(State.RUNNING, State.WAITING)

    def step(self) -> None:
        """Settle what has ended, start what may start."""
        self.settle()
        for name in cut_off(self.needs, self._states()):
            self.stages[name].state = State.NOT_RUN
        now = time.monotonic()
        held = {name for name, stage in self.stages.items() if stage.not_before > now}
        for name in startable(self.needs, self._states(), self.num_slots, held):
            self.start(self.stages[name])

    def settle(self) -> None:
        """Look at all that runs, and free the devices of what has ended."""
        for name, job in list(self.jobs.items()):
            stage, code = self.stages[name], job.ended()
            if code is None:
                stage.refresh()
            else:
                del self.jobs[name]
                stage.end(code)
                self.free.append(stage.device)

    def start(self, stage: Stage) -> None:
        """Run the stage on the device that has the most free slots."""
        stage.device, stage.began = max(self.free, key=self.free.count), time.monotonic()
        self.free.remove(stage.device)
        stage.state, stage.line = State.RUNNING, ""
        self.jobs[stage.name] = Job(stage, self.root, environment(stage.device, self.num_slots))

    def stop(self, impatient: Callable[[], bool], show: Callable[[], None]) -> None:
        """Ask what runs to end; kill what is still there after a while."""
        deadline = time.monotonic() + GRACE
        stopped = [self.stages[name] for name in self.jobs]
        self._signal(signal.SIGINT)
        while self.jobs:
            if impatient() or time.monotonic() > deadline:
                self._signal(signal.SIGKILL)
            time.sleep(TICK)
            self.settle()
            show()
        for stage in stopped:
            if stage.state != State.DONE:
                stage.state = State.STOPPED

    def _signal(self, number: signal.Signals) -> None:
        for job in self.jobs.values():
            job.signal(number)

    def _states(self) -> dict[str, State]:
        return {name: stage.state for name, stage in self.stages.items()}


def environment(device: str, num_slots: int) -> dict[str, str]:
    """Build the environment of a stage on `device`, one of `num_slots` that share the cores."""
    mine = dict(os.environ)
    if num_slots > 1:
        mine.setdefault("OMP_NUM_THREADS", str(max(1, cores() // num_slots)))
    # The stages say `python`: this one, also where its environment is not activated.
    mine["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{mine.get('PATH', os.defpath)}"
    return mine | {"CUDA_VISIBLE_DEVICES": device, "PYTHONUNBUFFERED": "1"}


def cores() -> int:
    """Count the cores that this process may use, where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
