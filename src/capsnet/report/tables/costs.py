"""The cost of the paper's rows, from the benchmark; and the cost of all runs so far."""

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from capsnet import paper
from capsnet.records.record import Record
from capsnet.report.tables.paper_rows import Text
from capsnet.report.tables.speed import loop_seconds, machine, seconds, setting, step_seconds

COLUMNS = ("experiment", "machine", "images/s", "hours to train", "hours to test")
EARLY = " (ends early)"  # affNIST's training stops at its accuracy
USED = ("device", "runs", "steps", "hours of training")
HOUR = 3600  # seconds


def costs_table(files: Iterable[Path]) -> list[Text]:
    """A line for each experiment and each of the benchmark's `files`: at most 300,000 steps.

    affNIST's experiments stop earlier, at their accuracy: their hours are an upper bound.
    """
    benchmarks = [json.loads(file.read_text()) for file in sorted(files)]
    measured = [
        (name, ", ".join([machine(benchmark), *setting(paths)]), paths)
        for benchmark in benchmarks
        for name, paths in benchmark.get("rows", {}).items()
        if paths["training"]["timings"]  # else its process died
    ]
    return [COLUMNS, *(_row(*one) for one in sorted(measured, key=lambda one: one[:2]))]


def _row(experiment: str, where: str, paths: Mapping[str, Any]) -> Text:
    """A step in Lightning's loop counts, where it was measured: a GPU may have to wait for it."""
    timings, loop = paths["training"]["timings"], paths.get("loop")
    step = loop_seconds(loop) if loop else step_seconds(timings)
    tested = seconds(timings, "evaluation") / paper.BATCH
    tests = sum(paper.TESTED[experiment.split("_")[0]].values())
    return (
        experiment,
        where,
        f"{paper.BATCH / step:.0f}",
        ends_early(experiment, hours(paper.STEPS * step)),
        f"{tests * tested / HOUR:.2g}",
    )


def ends_early(experiment: str, hours: str) -> str:
    """'at most 70 (ends early)' where training stops at an accuracy, else `hours` alone."""
    return f"at most {hours}{EARLY}" if paper.data_set(experiment) == "affnist" else hours


def hours(seconds: float) -> str:
    """Two digits, or all before the point."""
    return f"{seconds / HOUR:.0f}" if seconds >= 10 * HOUR else f"{seconds / HOUR:.2g}"


def used_table(records: Iterable[Record]) -> list[Text]:
    """A line for each kind of device that runs were trained on, as their records call it."""
    device = attrgetter("device")
    kinds = groupby(sorted(records, key=device), device)
    return [USED, *(_used(name, list(runs)) for name, runs in kinds)]


def _used(device: str, runs: list[Record]) -> Text:
    steps = sum(run.steps_done for run in runs)
    hours = sum(run.train_seconds * run.processes for run in runs) / HOUR
    return device, f"{len(runs)}", f"{steps:,}", f"{hours:.1f}"
