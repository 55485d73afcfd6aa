"""`python -m capsnet.parallel_repro [FILE] [--devices 0,1]`: the stages of a dvc.yaml side by side.

One stage at a time on each device, or --jobs-per-device, each by `dvc repro -s`. The same command
carries on after a failure, Ctrl-C or kill -9: what is finished is skipped, and training resumes
where it was.
"""

import argparse
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from capsnet.errors import INTERRUPTED, UserError, exit_on_user_error
from capsnet.parallel_repro import mps
from capsnet.parallel_repro.display import show_progress
from capsnet.parallel_repro.jobs import TICK, Pipeline, cores
from capsnet.parallel_repro.schedule import State
from capsnet.parallel_repro.stages import load_stages

NO_GPU = "-1"  # as in CUDA_VISIBLE_DEVICES: the stages run on the CPU


def main() -> None:
    """Run the stages that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m capsnet.parallel_repro", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=Path("dvc.yaml"))
    parser.add_argument(
        "--devices",
        help="as in CUDA_VISIBLE_DEVICES; all visible ones if not given, or one for each CPU core",
    )
    parser.add_argument(
        "--jobs-per-device", type=int, default=1, metavar="N", help="stages at a time on each (1)"
    )
    asked = parser.parse_args()
    signals = collect_signals()
    with exit_on_user_error():
        devices = parse_devices(visible_devices() if asked.devices is None else asked.devices)
        stages, needs, root = load_stages(asked.file)
        with exclusive(root):
            slots = slots_of(devices, asked.jobs_per_device)
            warn_without_gpu(len(slots))
            raise SystemExit(run(Pipeline(stages, needs, root, slots), signals))


def run(pipeline: Pipeline, signals: list[int]) -> int:
    """Run all stages, or until a signal arrives; the exit code. Raises UserError if some failed."""
    began = time.monotonic()
    with show_progress(list(pipeline.stages.values())) as show:
        while not (signals or pipeline.over()):
            pipeline.step()
            show()
            time.sleep(TICK)
        interrupted = not pipeline.over()
        if interrupted:
            pipeline.stop(lambda: len(signals) > 1, show)
    if interrupted:
        names = ", ".join(stage.name for stage in pipeline.named(State.STOPPED))
        print(f"stopped: {names or 'nothing ran'}; the same command carries on")
        return INTERRUPTED
    raise_for_failures(pipeline)
    done = pipeline.named(State.DONE)
    ran = sum(not stage.line for stage in done)
    print(f"{len(done)} stages done, {ran} of them run, in {time.monotonic() - began:.0f} s")
    return 0


def raise_for_failures(pipeline: Pipeline) -> None:
    """Raise UserError when a stage failed: which, where to look, and what was not run for it."""
    failed = [
        f"{stage.name} (see {os.path.relpath(stage.log)})" for stage in pipeline.named(State.FAILED)
    ]
    without = [stage.name for stage in pipeline.named(State.NOT_RUN)]
    because = f"; not run because of that: {', '.join(without)}" if without else ""
    if failed:
        raise UserError(f"failed: {', '.join(failed)}{because}; the same command carries on")


def collect_signals() -> list[int]:
    """Return a list that grows by every Ctrl-C or SIGTERM from now on."""
    signals: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signals.append(number))
    return signals


def visible_devices() -> str:
    """List the devices that CUDA shows to a program started here; without a GPU, one per core."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return os.environ["CUDA_VISIBLE_DEVICES"] or NO_GPU
    return ",".join(str(number) for number in range(gpus() or cores()))


def warn_without_gpu(slots: int) -> None:
    """Print that the stages run on the CPU, where there is no GPU."""
    if not gpus():
        print(f"no NVIDIA GPU found: stages run on the CPU, up to {slots} at a time", flush=True)


def gpus() -> int:
    """Count the machine's GPUs that NVIDIA's driver reports."""
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return 0
    return sum(line.startswith("GPU ") for line in listing.splitlines())


def parse_devices(devices: str) -> list[str]:
    """Name each device.

    Raises UserError when there is none, or one twice, or a number that no GPU of the machine has:
    its stages would train on the CPU.
    """
    names = [name.strip() for name in devices.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise UserError(
            f"devices {devices!r}: list each device once, as in --devices 0,1; "
            "for several stages at a time on each there is --jobs-per-device"
        )
    there = gpus()
    if there and (absent := [name for name in names if name.isdecimal() and int(name) >= there]):
        raise UserError(f"devices {devices!r}: there are {there} GPUs, from 0; no {absent[0]}")
    return names


def slots_of(devices: list[str], jobs: int) -> list[str]:
    """Return each device once for every stage that may run on it, and say how GPUs are shared.

    Raises UserError when `jobs`, the number of stages at a time on each device, is below 1.
    """
    if jobs < 1:
        raise UserError(f"jobs-per-device {jobs}: one stage or more at a time on each device")
    if jobs > 1 and gpus() and devices != [NO_GPU]:
        print(mps.sharing(jobs), flush=True)
    return devices * jobs


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Raise UserError when another pipeline runs in the project; a dead one's does not count."""
    path = root / "runs" / "pipeline" / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout:
        raise UserError(f"another pipeline runs in {root}: wait for it or stop it") from None


if __name__ == "__main__":
    main()
