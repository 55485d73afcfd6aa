"""The cost of the paper's rows, from the benchmark; and the cost of all runs so far."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from capsnet import paper
from capsnet.records.record import Record
from capsnet.report.tables.speed import loop_seconds, machine, seconds, setting, step_seconds
from capsnet.report.tables.table import Column, Table

HOUR = 3600  # seconds


@dataclass(frozen=True)
class Cost:
    """An experiment that a benchmark has timed on a machine."""

    experiment: str
    machine: str
    paths: dict[str, Any]  # as the benchmark's JSON has them

    @property
    def step(self) -> float:
        """Return the seconds of a step, in Lightning's loop where measured: a GPU may wait."""
        loop = self.paths.get("loop")
        return loop_seconds(loop) if loop else step_seconds(self.paths["training"]["timings"])


def costs_table(files: Iterable[Path]) -> Table[Cost]:
    """Tabulate each experiment of each of the benchmark's `files`: at most the paper's steps.

    affNIST's experiments stop earlier, at their accuracy: their hours are an upper bound.
    """
    benchmarks = [json.loads(file.read_text()) for file in sorted(files)]
    costs = [
        Cost(name, ", ".join([machine(benchmark), *setting(paths)]), paths)
        for benchmark in benchmarks
        for name, paths in benchmark.get("rows", {}).items()
        if paths["training"]["timings"]  # else its process died
    ]
    title = "Cost of one run, at the measured speed"
    return Table(title, COST_COLUMNS, sorted(costs, key=attrgetter("experiment", "machine")))


def hours_to_train(cost: Cost) -> str:
    """Return the hours of the paper's steps: 'at most 70 (ends early)', where training may stop.

    They are written with two digits, or all before the point.
    """
    hours, table = paper.steps(cost.experiment) * cost.step / HOUR, paper.table_of(cost.experiment)
    needed = f"{hours:.0f}" if hours >= 10 else f"{hours:.2g}"
    return f"at most {needed} (ends early)" if table and table.stops_early else needed


def hours_to_test(cost: Cost) -> str | None:
    """Return the hours of the paper's test sets; None of experiments that are not the paper's."""
    if (table := paper.table_of(cost.experiment)) is None:
        return None
    tested = seconds(cost.paths["training"]["timings"], "evaluation") / paper.BATCH
    return f"{sum(table.tested.values()) * tested / HOUR:.2g}"


COST_COLUMNS: list[Column[Cost]] = [
    Column("experiment", lambda cost: cost.experiment, "text"),
    Column("machine", lambda cost: cost.machine, "text"),
    Column("images/s", lambda cost: f"{paper.BATCH / cost.step:.0f}"),
    Column("hours to train", hours_to_train),
    Column("hours to test", hours_to_test),
]


def used_table(records: Iterable[Record]) -> Table[list[Record]]:
    """Tabulate each kind of device that runs were trained on, as their records call it."""
    device = attrgetter("device")
    kinds = [list(runs) for _, runs in groupby(sorted(records, key=device), device)]
    return Table("Hours that all runs have taken", USED_COLUMNS, kinds)


def device_seconds(run: Record) -> float:
    """Add up the seconds of all devices that trained it."""
    return run.train_seconds * run.processes


USED_COLUMNS: list[Column[list[Record]]] = [
    Column("device", lambda runs: runs[0].device, "text"),
    Column("runs", lambda runs: f"{len(runs)}"),
    Column("steps", lambda runs: f"{sum(run.steps_done for run in runs):,}"),
    Column("hours of training", lambda runs: f"{sum(map(device_seconds, runs)) / HOUR:.1f}"),
]
