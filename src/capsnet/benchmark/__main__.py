"""`python -m capsnet.benchmark [paths] [rows] [loop] [growth] [--device cuda] [--output FILE]`.

`paths`: the MNIST CapsNet computed three ways, on a GPU in every setting; `rows`: every experiment
of the paper as training takes it; `loop`: what Lightning, data and logging add to a step; `growth`:
time and memory over batch, input and iterations. All four by default. For `rows` and `loop` values
may be set as for training: `rows loop precision=bf16-mixed trainer.compile=true`.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from torch.profiler import profile

from capsnet.benchmark import experiments, growth, implementations, loop
from capsnet.benchmark.environment import environment
from capsnet.benchmark.runner import Measured, measure_all, timing
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
    options = parse_arguments()
    with exit_on_user_error():
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Measure what the command line asks for. Raises UserError for overrides that Hydra refuses."""
    torch.set_num_threads(options.threads)
    if options.overrides:
        refuse_bad(options.overrides)
    if options.trace:
        trace(options)
        return
    report = environment(options.device, options.overrides)
    for what in options.what or MEASURE:
        with Progress(console=Console(stderr=True)) as progress:
            report[what] = MEASURE[what](options, progress)
        if options.output:
            write_json(report, options.output)
    show(speed_tables(report))


def refuse_bad(overrides: Sequence[str]) -> None:
    """Raise UserError for overrides that an experiment does not take, before any is measured."""
    for name in names("experiment"):
        experiments.paper_run(name, *overrides)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m capsnet.benchmark", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"{', '.join(MEASURE)}, key=value")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--batch", type=int, default=128, help="batch of `paths`")
    parser.add_argument(
        "--rounds", type=int, default=9, help="rounds of `paths` and `rows`, at least 2"
    )
    parser.add_argument(
        "--warmup",
        type=int,
        default=2,
        help="rounds before those of `paths` and `rows`, not counted",
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, help="every round, as JSON")
    some = {"action": "append", "choices": names("experiment"), "metavar": "NAME"}
    parser.add_argument("--experiment", **some, help="only this experiment in `rows`; repeatable")
    parser.add_argument("--trace", type=Path, help="a folder for a profiler's trace; no table")
    parser.add_argument(
        "--path", default="fast", help='implementation to trace, such as "fused bf16 compiled"'
    )
    options = parser.parse_args()
    options.overrides = [word for word in options.what if "=" in word]
    options.what = [word for word in options.what if "=" not in word]
    if options.rounds < 2:
        parser.error(f"--rounds {options.rounds}: quartiles take at least 2")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: there is no CUDA GPU here")
    if unknown := set(options.what) - set(MEASURE):
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(MEASURE)}")
    if options.path not in (known := implementations.candidates(options.batch, options.device)):
        parser.error(f"--path {options.path}: choose from {', '.join(known)}")
    return options


def measure_paths(options: argparse.Namespace, progress: Progress) -> object:
    """Time every implementation of the MNIST CapsNet in turn, and sgemm."""
    candidates = implementations.candidates(options.batch, options.device)
    how = options.rounds, options.warmup, progress, "paths", options.device
    found, sgemm = measure_all(candidates, *how)
    result = {
        "batch": options.batch,
        "flops": implementations.nominal_flops(options.batch),
        "sgemm": sgemm,
    }
    return result | {"measured": as_json(found)}


def measure_rows(options: argparse.Namespace, progress: Progress) -> object:
    """Time every experiment by itself: all at once they would not fit into memory."""
    found: dict[str, object] = {}
    for name in options.experiment or names("experiment"):
        candidates = experiments.candidates(name, options.device, options.overrides)
        how = options.rounds, options.warmup, progress, name, options.device
        found[name] = as_json(measure_all(candidates, *how)[0])
    return found


def measure_growth(options: argparse.Namespace, progress: Progress) -> object:
    """Time two implementations at every point; its processes end before the next ones start."""
    found: list[object] = []
    for varied, value in growth.points():
        candidates = growth.candidates(varied, value, options.device)
        both, _ = measure_all(candidates, FEW, 1, progress, f"{varied} {value}")
        found.append({"varied": varied, "value": value, "measured": as_json(both)})
    return found


def measure_loop(options: argparse.Namespace, progress: Progress) -> object:
    """Train for a short time by Lightning, which brings a progress bar of its own."""
    progress.stop()
    keep_memory()
    experiment = experiments.Experiment(
        implementations.EXPERIMENT, options.device, options.overrides
    )
    return asdict(loop.shares(experiment, STEPS[options.device]))


MEASURE = {
    "paths": measure_paths,
    "rows": measure_rows,
    "loop": measure_loop,
    "growth": measure_growth,
}


def as_json(found: Mapping[str, Measured]) -> dict[str, object]:
    """Turn every round of every candidate into JSON."""
    return {name: asdict(one) for name, one in found.items()}


def trace(options: argparse.Namespace) -> None:
    """Trace one step of an implementation, for chrome://tracing or Perfetto."""
    bench = implementations.candidates(options.batch, options.device)[options.path].make()
    timing(bench)  # compiles, and finds the GPU awake
    with profile() as profiler:
        bench.step()
    options.trace.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(options.trace / f"{options.path}.json"))
    print(profiler.key_averages().table(sort_by=f"self_{options.device}_time_total", row_limit=20))


if __name__ == "__main__":
    main()
