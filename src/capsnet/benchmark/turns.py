"""Work done in turn by processes of their own, so that what disturbs one disturbs all.

The allocator's setting and the peak of memory are a process's, hence the processes; ratios are
taken within a round.
"""

import platform
import resource
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from rich.progress import Progress

from capsnet.kernels.allocator import keep_memory

LEAD = 20  # steps before the one that counts, on a GPU: the first find it idle
SGEMM = 2048  # rows and columns of the matrices whose product is the roofline


@dataclass(frozen=True)
class Timing:
    """One round: seconds of a training step's parts, and of the evaluation of one batch."""

    data: float
    forward: float
    backward: float
    optimiser: float
    evaluation: float


class Stopwatch:
    """Seconds between marks: on a CPU of the program, on a GPU of what it has been asked for."""

    def __init__(self, device: str) -> None:
        self.device, self.marks = device, list[Any]()
        self.mark()

    def mark(self) -> None:
        """Now; on a GPU as soon as it gets here, which nobody waits for."""
        if self.device == "cpu":
            self.marks.append(time.perf_counter())
        else:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks.append(event)

    def seconds(self) -> list[float]:
        """What lies between one mark and the next."""
        if self.device == "cpu":
            return [after - before for before, after in pairwise(self.marks)]
        torch.cuda.synchronize()
        return [before.elapsed_time(after) / 1000 for before, after in pairwise(self.marks)]


class Bench(Protocol):
    """Something that can be timed."""

    def step(self) -> Stopwatch:
        """One training step and one evaluation, a mark after each part; nobody waits for them."""
        ...


def timing(bench: Bench) -> Timing:
    """One round: on a GPU the last of some steps that follow each other, as in training."""
    watch = bench.step()
    for _ in range(0 if watch.device == "cpu" else LEAD):
        watch = bench.step()
    return Timing(*watch.seconds())


@dataclass(frozen=True)
class Candidate:
    """How to make a bench in its process, and whether freed memory is kept there."""

    make: Callable[[], Bench]
    keep: bool = True


@dataclass(frozen=True)
class Measured:
    """All rounds of one candidate, and its process's peak of memory, on a GPU of the GPU's.

    No rounds and no peak where the process died, which is what too little memory does to it.
    """

    timings: list[Timing]
    peak_mib: float | None


def measured(
    candidates: Mapping[str, Candidate],
    rounds: int,
    warmup: int,
    progress: Progress,
    title: str,
    device: str = "cpu",
) -> tuple[dict[str, Measured], list[float]]:
    """Every candidate in turn, round by round; and in each round sgemm's operations a second."""
    workers = {name: started(candidate) for name, candidate in candidates.items()}
    task = progress.add_task(title, total=(rounds + warmup) * len(workers))
    timings: dict[str, list[Timing]] = {name: [] for name in workers}
    sgemm: list[float] = []
    for _ in range(rounds + warmup):
        sgemm.append(sgemm_rate(device))
        for name in list(workers):
            if (timing := answered(workers[name], True)) is None:
                del workers[name]
            else:
                timings[name].append(timing)
            progress.advance(task)
    peaks = {name: answered(worker, False) for name, worker in workers.items()}
    found = {name: _measured(timings[name][warmup:], peaks.get(name)) for name in timings}
    return found, sgemm[warmup:]


def _measured(timings: list[Timing], peak: float | None) -> Measured:
    return Measured([] if peak is None else timings, peak)


def started(candidate: Candidate) -> Connection:
    """The line to a new worker that is ready, or has died."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = theirs, candidate, torch.get_num_threads()
    # A worker inherits that Ctrl-C is ignored: it ends with this process, without a traceback.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        context.Process(target=serve, args=arguments, daemon=True).start()
    finally:
        signal.signal(signal.SIGINT, handler)
    theirs.close()
    with suppress(EOFError):
        ours.recv()
    return cast(Connection, ours)


def serve(pipe: Connection, candidate: Candidate, threads: int) -> None:
    """A worker: a round for each True it receives, then the peak of memory."""
    torch.set_num_threads(threads)
    if candidate.keep:
        keep_memory()
    bench = candidate.make()
    pipe.send("ready")
    while pipe.recv():
        pipe.send(timing(bench))
    pipe.send(peak_mib())


def answered(pipe: Connection, go_on: bool) -> Any:
    """A round, or at the end the peak of memory; None from a worker that has died."""
    try:
        pipe.send(go_on)
        return pipe.recv()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return None


def peak_mib() -> float:
    """The most memory this process has held, MiB, on a GPU if it uses one.

    Linux's ru_maxrss begins with that of the process which started this one; VmHWM does not.
    """
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.is_file():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10


def sgemm_rate(device: str) -> float:
    """Floating-point operations a second in the product of two square matrices, fp32."""
    a = torch.rand(SGEMM, SGEMM, device=device)
    watch = Stopwatch(device)
    torch.mm(a, a)
    watch.mark()
    return 2 * SGEMM**3 / watch.seconds()[0]
