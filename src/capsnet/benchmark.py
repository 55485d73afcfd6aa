"""`python -m capsnet.benchmark [--output FILE]`: how long a training step takes, and against what.

Three ways to the same numbers: `textbook` stores every vote, as public code does; `reference` is
`functional`; `fast` is `kernels`. Each runs in a process of its own, because the allocator's
setting and the peak of memory are a process's; steps are taken in turn, so that whatever else the
machine does slows all of them, and ratios are taken within a round.
"""

import argparse
import json
import platform
import resource
import sys
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple, cast

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

from capsnet import results
from capsnet.functional import lengths, margin_loss, reconstruction_loss
from capsnet.kernels.allocator import keep_memory
from capsnet.kernels.networks import FastCapsNet
from capsnet.kernels.textbook import TextbookCapsNet
from capsnet.networks import CapsNet, one_hot

NETWORKS = {"textbook": TextbookCapsNet, "reference": CapsNet, "fast": FastCapsNet}
IMAGES = {"mnist": (1, 28, 28), "multimnist": (1, 36, 36), "affnist": (1, 40, 40)}
COLUMNS = (
    "step ms",
    "images/s",
    "× textbook",
    "× textbook + keep",
    "× sgemm",  # nominal operations a second, of the direct algorithm, over those of sgemm
    "fwd/bwd/Adam %",
    "evaluation images/s",
    "peak MiB",
)
WIDTH = 150  # of the table, where no terminal says how much there is
SGEMM = 2048  # rows and columns of the matrices whose product is the roofline


class Variant(NamedTuple):
    """A way to compute, with memory kept or not."""

    path: str
    keep: bool

    def __str__(self) -> str:
        return self.path + (" + keep" if self.keep else "")


VARIANTS = [Variant(path, keep) for keep in (False, True) for path in ("textbook", "fast")]
VARIANTS.insert(3, Variant("reference", True))


@dataclass(frozen=True)
class Timing:
    """One round of one variant: seconds."""

    forward: float
    backward: float
    optimiser: float
    evaluation: float  # of one batch

    @property
    def step(self) -> float:
        """zero_grad, forward, backward and Adam."""
        return self.forward + self.backward + self.optimiser


@dataclass(frozen=True)
class Measured:
    """All rounds of one variant, and its peak of resident memory."""

    variant: str
    timings: list[Timing]
    peak_mib: float


class Bench:
    """A CapsNet with its optimiser and one batch of noise."""

    def __init__(self, image: tuple[int, int, int], batch: int, path: str) -> None:
        torch.manual_seed(0)
        self.network = NETWORKS[path](image)
        self.adam = torch.optim.Adam(self.network.parameters(), fused=path == "fast")
        self.images = torch.rand(batch, *image)
        self.targets = one_hot(torch.randint(10, (batch,)), 10)

    def loss(self) -> Tensor:
        """Margin and reconstruction."""
        v = self.network(self.images)
        drawn = self.network.reconstruct(v, self.targets)
        return margin_loss(lengths(v), self.targets) + reconstruction_loss(drawn, self.images)

    def round(self) -> Timing:
        """A training step and an evaluation, timed."""
        clock = [time.perf_counter()]
        self.adam.zero_grad()
        loss = self.loss()
        clock.append(time.perf_counter())
        loss.backward()
        clock.append(time.perf_counter())
        self.adam.step()
        clock.append(time.perf_counter())
        with torch.inference_mode():
            self.network(self.images)
        clock.append(time.perf_counter())
        return Timing(*(after - before for before, after in pairwise(clock)))


def peak_mib() -> float:
    """The most memory this process has held, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10


def serve(
    pipe: Connection, variant: Variant, image: tuple[int, int, int], batch: int, threads: int
) -> None:
    """A worker: a round for each True it receives, then the peak of memory."""
    torch.set_num_threads(threads)
    if variant.keep:
        keep_memory()
    bench = Bench(image, batch, variant.path)
    pipe.send("ready")
    while pipe.recv():
        pipe.send(bench.round())
    pipe.send(peak_mib())


def measure(
    image: tuple[int, int, int], batch: int, rounds: int, warmup: int, progress: Progress
) -> tuple[list[Measured], list[float]]:
    """All variants in turn, and in each round the rate of sgemm, operations a second."""
    workers = [started(variant, image, batch) for variant in VARIANTS]
    task = progress.add_task("×".join(map(str, image)), total=(rounds + warmup) * len(workers))
    timings: list[list[Timing]] = [[] for _ in workers]
    sgemm = []
    for _ in range(rounds + warmup):
        sgemm.append(sgemm_rate())
        for worker, rows in zip(workers, timings, strict=True):
            worker.send(True)
            rows.append(worker.recv())
            progress.advance(task)
    measured = [
        Measured(str(variant), rows[warmup:], finished(worker))
        for variant, rows, worker in zip(VARIANTS, timings, workers, strict=True)
    ]
    return measured, sgemm[warmup:]


def started(variant: Variant, image: tuple[int, int, int], batch: int) -> Connection:
    """The line to a new worker that is ready."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, variant, image, batch, torch.get_num_threads())
    context.Process(target=serve, args=arguments, daemon=True).start()
    theirs.close()
    ours.recv()
    return cast(Connection, ours)


def finished(pipe: Connection) -> float:
    """End a worker: its peak of memory."""
    pipe.send(False)
    return pipe.recv()


def sgemm_rate() -> float:
    """Floating-point operations a second in the product of two square matrices, fp32."""
    a = torch.ones(SGEMM, SGEMM)
    start = time.perf_counter()
    torch.mm(a, a)
    return 2 * SGEMM**3 / (time.perf_counter() - start)


def nominal_flops(image: tuple[int, int, int], batch: int) -> int:
    """Floating-point operations of a step of the direct algorithm, counted on one example."""
    bench = Bench(image, 1, "textbook")
    with FlopCounterMode(display=False) as counter:
        bench.loss().backward()
    return batch * counter.get_total_flops()


def ratios(slow: list[Timing], quick: list[Timing]) -> list[float]:
    """How many times faster, round by round."""
    return [one.step / other.step for one, other in zip(slow, quick, strict=True)]


def spread(values: list[float]) -> str:
    """Median and quartiles."""
    low, _, high = quantiles(values, n=4)
    return f"{median(values):.2f} ({low:.2f}–{high:.2f})"


def table(
    title: str, batch: int, measured: list[Measured], sgemm: list[float], flops: int
) -> Table:
    """What a person looks at; a reader of the JSON gets every round."""
    shown = Table("", *COLUMNS, title=f"{title}: medians of {len(sgemm)} rounds, (quartiles)")
    by_name = {one.variant: one.timings for one in measured}
    for one in measured:
        step = median(timing.step for timing in one.timings)
        shown.add_row(
            one.variant,
            f"{1000 * step:.0f}",
            f"{batch / step:.0f}",
            spread(ratios(by_name["textbook"], one.timings)),
            spread(ratios(by_name["textbook + keep"], one.timings)),
            f"{flops / step / median(sgemm):.2f}",
            shares(one.timings),
            f"{batch / median(timing.evaluation for timing in one.timings):.0f}",
            f"{one.peak_mib:.0f}",
        )
    return shown


def shares(timings: list[Timing]) -> str:
    """Of a step's time, what each part takes, in percent."""
    parts = ("forward", "backward", "optimiser")
    medians = (median(getattr(timing, part) / timing.step for timing in timings) for part in parts)
    return "/".join(f"{100 * share:.0f}" for share in medians)


def about() -> dict[str, object]:
    """The machine and what runs on it."""
    return {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "versions": results.versions(),
    }


def processor() -> str:
    """The processor's name, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def trace(folder: Path, image: tuple[int, int, int], batch: int) -> None:
    """One step of the fast path, for chrome://tracing or Perfetto."""
    bench = Bench(image, batch, "fast")
    bench.round()
    with profile() as profiler:
        bench.round()
    folder.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(folder / "fast.json"))
    print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=20))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m capsnet.benchmark", description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=IMAGES, default=["mnist"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=9, help="at least 2")
    parser.add_argument("--warmup", type=int, default=2, help="rounds before these")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, help="every round, as JSON")
    parser.add_argument("--trace", type=Path, help="a folder for a profiler's trace; no table")
    return parser.parse_args()


def main() -> None:
    """Measure each network, show a table for each, and write the JSON."""
    asked = arguments()
    torch.set_num_threads(asked.threads)
    if asked.trace:
        trace(asked.trace, IMAGES[asked.networks[0]], asked.batch)
        return
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    networks: dict[str, object] = {}
    for name in asked.networks:
        image, batch = IMAGES[name], asked.batch
        flops = nominal_flops(image, batch)
        with Progress(console=console) as progress:
            measured, sgemm = measure(image, batch, asked.rounds, asked.warmup, progress)
        console.print(table(f"{name}, batch {batch}", batch, measured, sgemm, flops))
        variants = [asdict(one) for one in measured]
        networks[name] = {"flops": flops, "sgemm": sgemm, "variants": variants}
    if asked.output:
        report = about() | {"batch": asked.batch, "networks": networks}
        results.write_atomically(asked.output, (json.dumps(report, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
