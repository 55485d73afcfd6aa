"""The parts of a check, the most valuable first, in case time runs out."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from capsnet.benchmark.environment import environment
from capsnet.benchmark.runner import MAX_PROCESSES
from capsnet.benchmark.settings import Setting, settings
from capsnet.compose import names
from capsnet.errors import UserError
from capsnet.gpu_check import tables
from capsnet.gpu_check.advice import BASELINE, CAPSNET, recommended, representative, seconds
from capsnet.gpu_check.exactness import errors, ready
from capsnet.gpu_check.machine import facts
from capsnet.gpu_check.measure import Deadline, Plan, Workload, measured, side_by_side
from capsnet.gpu_check.waits import EVERY, waits
from capsnet.kernels.requirements import check_compiler, check_fused
from capsnet.records.files import write_json
from capsnet.report.tables.speed import rows_table, settings_table
from capsnet.report.tables.table import Table
from capsnet.report.tables.terminal import show

Report = dict[str, Any]  # of JSON
Tables = list[Table[Any]]


def check(output: Path, minutes: float) -> None:
    """Check the GPU and write JSON to `output` after each part.

    Raises UserError at the end when a kernel is wrong, or a step waits for the GPU.
    """
    share = max(1, (os.cpu_count() or 1) // MAX_PROCESSES)  # so many processes compile at a time
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(share))
    plan = Plan(Deadline(minutes), tuple(possible()))
    carry_out(plan, output)


def possible() -> list[Setting]:
    """Return the settings that this machine can run."""
    able = {"fast": None, "fused": lacking(check_fused), "compiled": lacking(check_compiler)}
    return [
        one
        for one in settings("fast", "fused")
        if able[one.kernels] is None and not (one.compile and able["compiled"])
    ]


def lacking(requirement: Callable[[], None]) -> str | None:
    """Return what a check says is lacking, None when nothing is."""
    try:
        requirement()
    except UserError as mistake:
        return str(mistake)
    return None


def carry_out(plan: Plan, output: Path) -> None:
    """Do all parts, show what they found and write it. Raises UserError as `check` does."""
    report = environment(plan.device, [])
    for part in PARTS:
        for found in part(report, plan):
            write_json(report, output)
            show(found)
    for line in tables.summary(report):
        print(line)
    print(f"written to {output}")
    if faults := tables.faults(report):
        raise UserError("; ".join(faults))


def machine(report: Report, plan: Plan) -> Iterator[Tables]:
    """Report the machine."""
    able = {"fused kernels": lacking(check_fused), "trainer.compile": lacking(check_compiler)}
    report["machine"] = facts() | {name: lacks or "possible" for name, lacks in able.items()}
    yield [tables.facts_table(report["machine"])]


def exactness(report: Report, plan: Plan) -> Iterator[Tables]:
    """Compare compiled kernels with float64."""
    kernels = sorted({one.kernels for one in plan.settings})
    report["exactness"] = errors(plan.sizes, kernels, plan.device, plan.deadline.left)
    yield [tables.errors_table(report["exactness"])]


def waiting(report: Report, plan: Plan) -> Iterator[Tables]:
    """Count what makes a step of the plainest setting wait."""
    plainest = Workload(CAPSNET, plan.settings[0])
    worker = ready(plainest.candidate(plan, f"trainer.log_every={EVERY}"), plan.deadline.left())
    found = worker.does(waits, plan.deadline.left())
    worker.end()
    report["waits"] = found and found._asdict()
    yield [tables.waits_table(report["waits"])]


def timing(report: Report, plan: Plan) -> Iterator[Tables]:
    """Time a CapsNet and a baseline by every setting, the plainest of both first.

    Of a baseline kernels change nothing.
    """
    found = report["settings"] = {CAPSNET: {}, BASELINE: {}}
    wanted = {
        f"{experiment} {one.name}": Workload(experiment, one)
        for one in plan.settings
        for experiment in found
        if experiment == CAPSNET or one.kernels == "fast"
    }
    for group in measured(wanted, plan):
        for name, one in group.items():
            found[wanted[name].experiment][one["setting"]] = one
        yield []
    yield [settings_table(experiment, timed) for experiment, timed in found.items()]


def experiments(report: Report, plan: Plan) -> Iterator[Tables]:
    """Time every experiment by the setting that is recommended for it."""
    chosen = recommended(seconds(report))
    rows = report["rows"] = {
        experiment: row(report["settings"][experiment][one.name])
        for experiment, one in chosen.items()
    }
    wanted = {
        name: Workload(name, chosen[representative(name)])
        for name in names("experiment")
        if name not in rows and representative(name) in chosen
    }
    for group in measured(wanted, plan):
        rows |= {name: row(one) for name, one in group.items()}
        yield []
    yield [rows_table(rows, "Every experiment by the recommended settings")]


def row(one: Report) -> Report:
    """Return what was measured as the benchmark's rows have it."""
    kept = {key: one[key] for key in ("setting", "overrides", "loop")}
    return {"training": {key: one[key] for key in ("timings", "peak_mib")}, **kept}


def jobs(report: Report, plan: Plan) -> Iterator[Tables]:
    """Time several runs at the same time."""
    if (setting := recommended(seconds(report)).get(CAPSNET)) and not plan.deadline.near():
        report["jobs"] = side_by_side(Workload(CAPSNET, setting), plan)
        yield [tables.jobs_table(report["jobs"])]


PARTS = machine, exactness, waiting, timing, experiments, jobs
