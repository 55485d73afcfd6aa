"""Time the candidates alternately, each in its own process, so load affects all of them equally.

The allocator's setting and the peak of memory are a process's, hence the processes; ratios are
taken within a round.
"""

import platform
import resource
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.progress import Progress

from capsnet.kernels.allocator import keep_memory

GPU_WARMUP = 20  # steps before the one that counts, on a GPU: the first find it idle
MAX_PROCESSES = 8  # on a GPU at a time
BYTES_PER_PROCESS = 5 * 2**30  # of a GPU's memory
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
    """Measure the seconds between marks: wall-clock time on a CPU, CUDA events on a GPU."""

    def __init__(self, device: str) -> None:
        self.device, self.marks = device, list[Any]()
        self.mark()

    def mark(self) -> None:
        """Note the time; on a GPU that of its own work, without waiting for it."""
        if self.device == "cpu":
            self.marks.append(time.perf_counter())
        else:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks.append(event)

    def seconds(self) -> list[float]:
        """Return the time between one mark and the next."""
        if self.device == "cpu":
            return [after - before for before, after in pairwise(self.marks)]
        torch.cuda.synchronize()
        return [before.elapsed_time(after) / 1000 for before, after in pairwise(self.marks)]


class Bench(Protocol):
    """Something that can be timed."""

    def step(self) -> Stopwatch:
        """Take a training step and evaluate, with a mark after each part and without waiting."""
        ...


Work = Callable[[Any], Any]  # takes the bench in its process; a worker sends back what it returns


def timing(bench: Bench) -> Timing:
    """Time one round: on a GPU the last of some steps that follow each other, as in training."""
    watch = bench.step()
    for _ in range(warmup_steps(watch.device)):
        watch = bench.step()
    return Timing(*watch.seconds())


def warmup_steps(device: str) -> int:
    """Return how many repetitions come before the one that counts: none on a CPU."""
    return 0 if device == "cpu" else GPU_WARMUP


@dataclass(frozen=True)
class Candidate:
    """The factory of a bench, called in the worker's process, and whether heap trimming is off."""

    make: Callable[[], Any]  # a Bench, or whatever the worker's tasks take
    keep: bool = True


@dataclass(frozen=True)
class Measured:
    """All rounds of one candidate, and the peak memory of its process (of the GPU, if it uses one).

    No rounds and no peak where the process died, which is what too little memory does to it.
    """

    timings: list[Timing]
    peak_mib: float | None


class Worker:
    """A process that makes one bench and then works on it; it ends when this object does."""

    def __init__(self, candidate: Candidate) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = theirs, candidate, torch.get_num_threads()
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        # It inherits that Ctrl-C is ignored: it ends with this process, without a traceback.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.process.start()
        finally:
            signal.signal(signal.SIGINT, handler)
        theirs.close()

    def ask(self, work: Work) -> None:
        """Send `work`; the process starts at once."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(work)

    def answer(self, timeout: float | None = None) -> Any:
        """Wait for an answer, at most `timeout` seconds; None from a worker that died or is late.

        A late one is ended. The first answer is "ready": the bench is made.
        """
        try:
            if self.pipe.poll(timeout):
                return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return None
        self.process.kill()
        return None

    def does(self, work: Work, timeout: float | None = None) -> Any:
        """Return the answer to `work`; None from a worker that died or is late."""
        self.ask(work)
        return self.answer(timeout)

    def end(self) -> None:
        """Let the process end and give back its memory."""
        self.pipe.close()
        self.process.join()


def serve(pipe: Connection, candidate: Candidate, threads: int) -> None:
    """Make the bench in a worker's process and work on it until the other end closes the pipe."""
    torch.set_num_threads(threads)
    if candidate.keep:
        keep_memory()
    bench = candidate.make()
    pipe.send("ready")
    with suppress(EOFError):
        while True:
            pipe.send(pipe.recv()(bench))


def end_all(workers: Mapping[str, Worker]) -> None:
    """End all workers."""
    for worker in workers.values():
        worker.end()


def start_all(candidates: Mapping[str, Candidate]) -> dict[str, Worker]:
    """Start a worker for each candidate, all at once, and wait until they are ready or dead."""
    workers = {name: Worker(candidate) for name, candidate in candidates.items()}
    for worker in workers.values():
        worker.answer()
    return workers


def groups(candidates: Mapping[str, Candidate], device: str) -> Iterator[dict[str, Candidate]]:
    """Cut the candidates into groups whose processes fit into memory together; a CPU takes all."""
    names = list(candidates)
    size = at_once(device) if device != "cpu" else len(names)
    for first in range(0, len(names), size):
        yield {name: candidates[name] for name in names[first : first + size]}


def at_once(device: str) -> int:
    """Return how many processes a GPU's memory is sure to hold, at most MAX_PROCESSES."""
    memory = torch.cuda.get_device_properties(device).total_memory
    return max(1, min(MAX_PROCESSES, memory // BYTES_PER_PROCESS))


def measure_all(
    candidates: Mapping[str, Candidate],
    rounds: int,
    warmup: int,
    progress: Progress,
    title: str,
    device: str = "cpu",
) -> tuple[dict[str, Measured], list[float]]:
    """Measure every candidate in turn, round by round, and sgemm operations per second."""
    task = progress.add_task(title, total=(rounds + warmup) * len(candidates))
    found: dict[str, Measured] = {}
    sgemm: list[float] = []
    for group in groups(candidates, device):
        workers = start_all(group)
        timings: dict[str, list[Timing | None]] = {name: [] for name in workers}
        for turn in range(rounds + warmup):
            rate = sgemm_rate(device)
            sgemm += [rate] if turn >= warmup else []
            for name, worker in workers.items():
                timings[name].append(worker.does(timing))
                progress.advance(task)
        found |= {
            name: all_or_nothing(timings[name][warmup:], worker.does(peak_mib))
            for name, worker in workers.items()
        }
        end_all(workers)
    return found, sgemm


def all_or_nothing(timings: list[Timing | None], peak: float | None) -> Measured:
    """Return what a worker measured; nothing when it died in any round."""
    whole = [timing for timing in timings if timing is not None]
    dead = peak is None or len(whole) < len(timings)
    return Measured([], None) if dead else Measured(whole, peak)


def peak_mib(_: Any = None) -> float:
    """Return the most memory this process has held, MiB, on a GPU if it uses one.

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
    """Return floating-point operations per second in the product of two square matrices, fp32."""
    a = torch.rand(SGEMM, SGEMM, device=device)
    for _ in range(warmup_steps(device)):
        torch.mm(a, a)
    watch = Stopwatch(device)
    torch.mm(a, a)
    watch.mark()
    return 2 * SGEMM**3 / watch.seconds()[0]
