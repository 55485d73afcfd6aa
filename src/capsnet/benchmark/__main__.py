"""`python -m capsnet.benchmark [paths] [rows] [loop] [growth] [--device cuda] [--output FILE]`.

`paths`: the MNIST CapsNet computed three ways, on a GPU in every setting; `rows`: every experiment
of the paper as training takes it; `loop`: what Lightning, data and logging add to a step; `growth`:
time and memory over batch, input and iterations. All four by default. For `rows` and `loop` values
may be set as for training: `rows loop precision=bf16-mixed trainer.compile=true`.
"""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from torch.profiler import profile

from capsnet.benchmark import experiments, growth, implementations, loop
from capsnet.benchmark.environment import environment
from capsnet.benchmark.runner import Measured, measured, timing
from capsnet.compose import names
from capsnet.errors import exit_on_user_error
from capsnet.kernels.allocator import keep_memory
from capsnet.records.files import write_json
from capsnet.report.tables.speed import speed_tables
from capsnet.report.tables.terminal import show

STEPS = {"cpu": 100, "cuda": 2000}  # of the loop
FEW = 3  # rounds of each point of growth, and of the warm-up before them 1


def main() -> None:
    """Measure what is asked for, write the JSON after each part, and show the tables."""
    asked = arguments()
    with exit_on_user_error():
        measure(asked)


def measure(asked: argparse.Namespace) -> None:
    """Measure what the command line asks for. Raises UserError for overrides that Hydra refuses."""
    torch.set_num_threads(asked.threads)
    for name in names("experiment") if asked.overrides else []:
        experiments.paper_run(
            name, *asked.overrides
        )  # bad ones are told before anything is measured
    if asked.trace:
        trace(asked)
        return
    report = environment(asked.device, asked.overrides)
    for what in asked.what or MEASURE:
        with Progress(console=Console(stderr=True)) as progress:
            report[what] = MEASURE[what](asked, progress)
        if asked.output:
            write_json(report, asked.output)
    show(speed_tables(report))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m capsnet.benchmark", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"{', '.join(MEASURE)}, key=value")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batch", type=int, default=128, help="of paths")
    parser.add_argument("--rounds", type=int, default=9, help="of paths and rows, at least 2")
    parser.add_argument("--warmup", type=int, default=2, help="rounds before these")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, help="every round, as JSON")
    parser.add_argument("--trace", type=Path, help="a folder for a profiler's trace; no table")
    parser.add_argument("--path", default="fast", help='of the trace, as "fused bf16 compiled"')
    asked = parser.parse_args()
    asked.overrides = [word for word in asked.what if "=" in word]
    asked.what = [word for word in asked.what if "=" not in word]
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: there is no CUDA GPU here")
    if unknown := set(asked.what) - set(MEASURE):
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(MEASURE)}")
    if asked.path not in (known := implementations.candidates(asked.batch, asked.device)):
        parser.error(f"--path {asked.path}: choose from {', '.join(known)}")
    return asked


def measure_paths(asked: argparse.Namespace, progress: Progress) -> object:
    """The MNIST CapsNet in turn by every path, and sgemm."""
    candidates = implementations.candidates(asked.batch, asked.device)
    how = asked.rounds, asked.warmup, progress, "paths", asked.device
    found, sgemm = measured(candidates, *how)
    told = {
        "batch": asked.batch,
        "flops": implementations.nominal_flops(asked.batch),
        "sgemm": sgemm,
    }
    return told | {"measured": as_json(found)}


def measure_rows(asked: argparse.Namespace, progress: Progress) -> object:
    """Every experiment by itself: all at once they would not fit into memory."""
    found: dict[str, object] = {}
    for name in names("experiment"):
        candidates = experiments.candidates(name, asked.device, asked.overrides)
        how = asked.rounds, asked.warmup, progress, name, asked.device
        found[name] = as_json(measured(candidates, *how)[0])
    return found


def measure_growth(asked: argparse.Namespace, progress: Progress) -> object:
    """Both paths at every point; its processes end before the next point's start."""
    found: list[object] = []
    for varied, value in growth.points():
        candidates = growth.candidates(varied, value, asked.device)
        both, _ = measured(candidates, FEW, 1, progress, f"{varied} {value}")
        found.append({"varied": varied, "value": value, "measured": as_json(both)})
    return found


def measure_loop(asked: argparse.Namespace, progress: Progress) -> object:
    """A short training by Lightning; it brings a progress bar of its own."""
    progress.stop()
    keep_memory()
    experiment = experiments.Experiment(implementations.EXPERIMENT, asked.device, asked.overrides)
    return asdict(loop.shares(experiment, STEPS[asked.device]))


MEASURE = {
    "paths": measure_paths,
    "rows": measure_rows,
    "loop": measure_loop,
    "growth": measure_growth,
}


def as_json(found: Mapping[str, Measured]) -> dict[str, object]:
    """Every round of every candidate."""
    return {name: asdict(one) for name, one in found.items()}


def trace(asked: argparse.Namespace) -> None:
    """One step of a path, for chrome://tracing or Perfetto."""
    bench = implementations.candidates(asked.batch, asked.device)[asked.path].make()
    timing(bench)  # compiles, and finds the GPU awake
    with profile() as profiler:
        bench.step()
    asked.trace.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(asked.trace / f"{asked.path}.json"))
    print(profiler.key_averages().table(sort_by=f"self_{asked.device}_time_total", row_limit=20))


if __name__ == "__main__":
    main()
