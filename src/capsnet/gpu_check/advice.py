"""Recommend settings for a card by rules, and give the hours that the paper takes with them.

From what `measure` found in Lightning's loop, as JSON; docs/gpu.md states the same rules.
"""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from capsnet import config, paper
from capsnet.benchmark.experiments import paper_run
from capsnet.benchmark.settings import Setting, settings
from capsnet.compose import names
from capsnet.report.tables.speed import loop_seconds

FASTER = 1.1  # times: what another setting must gain to be worth it
FP32 = 1.3  # times as long as tf32: up to that, fp32 is taken
LIMIT = 1e-5  # relative error against float64; 1e-7 is fp32's rounding, 3e-4 TF32's
CAPSNET, BASELINE = "mnist_capsnet_r3_recon", "mnist_baseline"  # that stand for the others
HOUR = 3600  # seconds

Report = Mapping[str, Any]  # of JSON
Seconds = Mapping[Setting, float]  # of a step in the loop


def seconds(report: Report) -> dict[str, dict[Setting, float]]:
    """Return the seconds of a step in the loop, by experiment and setting, the plainest first.

    Without those that died, and those whose kernels are wrong.
    """
    bad = wrong(report.get("exactness", {}))
    return {
        experiment: {
            setting: loop_seconds(found[setting.name]["loop"])
            for setting in settings("fast", "fused")
            if setting.name in found and found[setting.name]["loop"]
            if not any(map(computed_with(experiment, setting), bad))
        }
        for experiment, found in report.get("settings", {}).items()
    }


def computed_with(experiment: str, setting: Setting) -> Callable[[str], bool]:
    """Return a test of whether a case of `exactness` is part of an experiment's step.

    Convolutions are compared in fp32: in tf32 and bf16 they round more by definition.
    """
    layer = {CAPSNET: "Conv1 and PrimaryCapsules", BASELINE: "a baseline's layer"}[experiment]
    parts = [f"{setting.kernels} routing"] if experiment == CAPSNET else []
    if setting.precision == "32-true":
        parts.append(f"{setting.convolutions}, {layer}")
    return lambda case: case.startswith(tuple(parts))


def wrong(errors: Mapping[str, float | None]) -> list[str]:
    """Return the names of what differs from float64 by more than LIMIT, or died."""
    return [name for name, error in errors.items() if error is None or not error <= LIMIT]


def recommended(found: Mapping[str, Seconds]) -> dict[str, Setting]:
    """Return the setting to train each experiment with; all have the same precision."""
    taken = precision(found)
    of_precision = {experiment: only(taken, one) for experiment, one in found.items()}
    return {experiment: preferred(one) for experiment, one in of_precision.items() if one}


def precision(found: Mapping[str, Seconds]) -> str:
    """Return tf32, or 32-true where that takes at most FP32 times as long for every experiment.

    bf16-mixed is never returned: that it leaves the errors as they are is not for a clock to say.
    """
    slower = [ratio for one in found.values() if (ratio := times(one, "32-true", "tf32"))]
    return "tf32" if slower and max(slower) > FP32 else "32-true"


def times(found: Seconds, slow: str, fast: str) -> float | None:
    """Return how many times as long one precision takes as another, each by its best setting.

    None where one of them was not timed.
    """
    timed = [only(one, found) for one in (slow, fast)]
    if not all(timed):
        return None
    first, second = (one[preferred(one)] for one in timed)
    return first / second


def only(precision: str, found: Seconds) -> dict[Setting, float]:
    """Return the settings of a precision."""
    return {one: took for one, took in found.items() if one.precision == precision}


def preferred(found: Seconds) -> Setting:
    """Return the setting that is worth its switches.

    They are tried from the plainest on, and one replaces another only if it gains enough.
    """
    chosen, *others = found
    for other in others:
        if found[chosen] / found[other] > FASTER:
            chosen = other
    return chosen


def jobs(rates: Mapping[str, float]) -> int:
    """Return how many runs to have on the card at a time: more only if that gains enough."""
    chosen, *others = rates
    for other in others:
        if rates[other] / rates[chosen] > FASTER:
            chosen = other
    return int(chosen)


def representative(experiment: str) -> str:
    """Return the experiment whose setting another one takes."""
    capsnet = isinstance(paper_run(experiment).model, config.CapsNet)
    return CAPSNET if capsnet else BASELINE


def pipeline_experiments() -> list[str]:
    """Name the experiments of `dvc repro`: all but the ablations on MNIST."""
    ablations = {one.experiment for one in paper.MNIST_ABLATIONS}
    return [name for name in names("experiment") if name not in ablations]


def hours(rows: Report) -> dict[str, float]:
    """Return the hours of the paper's trials of each experiment in `rows`, one after another.

    All of the profile's steps, and every test example of the paper once. Validation and checkpoints
    are left out; affNIST's experiments stop earlier.
    """
    timed = [name for name in pipeline_experiments() if name in rows and rows[name]["loop"]]
    return {name: paper.seeds(name) * _hours(name, rows[name]) for name in timed}


def _hours(experiment: str, row: Report) -> float:
    run = paper_run(experiment)
    table = paper.table_of(experiment)
    tests = sum(table.tested.values()) if table else 0
    tested = median(one["evaluation"] for one in row["training"]["timings"]) / run.schedule.batch
    return (run.schedule.steps * loop_seconds(row["loop"]) + tests * tested) / HOUR
