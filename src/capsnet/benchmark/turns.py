"""Work done in turn by processes of their own, so that what disturbs one disturbs all.

The allocator's setting and the peak of memory are a process's, hence the processes; ratios are
taken within a round.
"""

import platform
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Protocol, cast

import torch
from rich.progress import Progress

from capsnet.kernels.allocator import keep_memory

SGEMM = 2048  # rows and columns of the matrices whose product is the roofline


@dataclass(frozen=True)
class Timing:
    """One round: seconds of a training step's parts, and of the evaluation of one batch."""

    data: float
    forward: float
    backward: float
    optimiser: float
    evaluation: float


class Bench(Protocol):
    """Something that can be timed."""

    def round(self) -> Timing:
        """One training step and one evaluation."""
        ...


@dataclass(frozen=True)
class Candidate:
    """How to make a bench in its process, and whether freed memory is kept there."""

    make: Callable[[], Bench]
    keep: bool = True


@dataclass(frozen=True)
class Measured:
    """All rounds of one candidate, and its process's peak of resident memory."""

    timings: list[Timing]
    peak_mib: float


def measured(
    candidates: Mapping[str, Candidate], rounds: int, warmup: int, progress: Progress, title: str
) -> tuple[dict[str, Measured], list[float]]:
    """Every candidate in turn, round by round; and in each round sgemm's operations a second."""
    workers = {name: started(candidate) for name, candidate in candidates.items()}
    task = progress.add_task(title, total=(rounds + warmup) * len(workers))
    timings: dict[str, list[Timing]] = {name: [] for name in workers}
    sgemm: list[float] = []
    for _ in range(rounds + warmup):
        sgemm.append(sgemm_rate())
        for name, worker in workers.items():
            worker.send(True)
            timings[name].append(worker.recv())
            progress.advance(task)
    results = {
        name: Measured(timings[name][warmup:], finished(worker)) for name, worker in workers.items()
    }
    return results, sgemm[warmup:]


def started(candidate: Candidate) -> Connection:
    """The line to a new worker that is ready."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = theirs, candidate, torch.get_num_threads()
    context.Process(target=serve, args=arguments, daemon=True).start()
    theirs.close()
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
        pipe.send(bench.round())
    pipe.send(peak_mib())


def finished(pipe: Connection) -> float:
    """End a worker: its peak of memory."""
    pipe.send(False)
    return pipe.recv()


def peak_mib() -> float:
    """The most memory this process has held, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10


def sgemm_rate() -> float:
    """Floating-point operations a second in the product of two square matrices, fp32."""
    a = torch.ones(SGEMM, SGEMM)
    start = time.perf_counter()
    torch.mm(a, a)
    return 2 * SGEMM**3 / (time.perf_counter() - start)
