"""Seconds of a training step: by every setting, alone and in Lightning's loop, and several at once.

Every setting has a process of its own. A group of them is made and compiled side by side, then
timed one after the other.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from capsnet.benchmark import loop
from capsnet.benchmark.experiments import Experiment
from capsnet.benchmark.loop import Shares
from capsnet.benchmark.runner import (
    Candidate,
    Work,
    Worker,
    all_or_nothing,
    at_once,
    end_all,
    groups,
    peak_mib,
    timing,
)
from capsnet.benchmark.settings import Setting
from capsnet.gpu_check.exactness import Sizes
from capsnet.report.tables.speed import step_seconds

ROUNDS = 3  # of steps outside of the loop
SETUP = 10  # steps of a loop in which its own graphs are compiled
RESERVE = 90  # seconds that a group may take: with fewer left, none is started

Report = dict[str, Any]  # of JSON


class Deadline:
    """The end of the time that a check may take."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes

    def left(self) -> float:
        """Return the seconds that are left, at least 0."""
        return max(0.0, self.end - time.monotonic())

    def near(self) -> bool:
        """Tell whether there is too little time for another group."""
        return self.left() < RESERVE


@dataclass(frozen=True)
class Plan:
    """Set device, overrides, steps and size of a training; the defaults are those of a check."""

    deadline: Deadline
    settings: tuple[Setting, ...]
    device: str = "cuda"
    overrides: tuple[str, ...] = ("trainer.progress=false",)
    seconds: float = 2.0  # of a loop, about
    steps: tuple[int, int] = (50, 1000)  # of a loop, at least and at most
    jobs: tuple[int, ...] = (1, 2, 4)  # runs at a time
    sizes: Sizes = field(default_factory=Sizes)  # of what is compared with float64


class Workload(NamedTuple):
    """An experiment under a setting."""

    experiment: str
    setting: Setting

    def candidate(self, plan: Plan, *more: str) -> Candidate:
        """Return how to make it in a process of its own, with `more` overrides."""
        overrides = (*self.setting.overrides, *plan.overrides, *more)
        return Candidate(partial(Experiment, self.experiment, plan.device, overrides))


def measured(wanted: Mapping[str, Workload], plan: Plan) -> Iterator[dict[str, Report]]:
    """Measure what is wanted, group by group; what there is no time for is left out.

    Of each by name: the name and the overrides of its setting, its timings and peak as the
    benchmark has them, and `loop`, which is None where the process died.
    """
    made = {name: one.candidate(plan) for name, one in wanted.items()}
    for group in groups(made, plan.device):
        if plan.deadline.near():
            return
        found = of_group(group, plan)
        yield {name: named(wanted[name].setting) | one for name, one in found.items()}


def named(setting: Setting) -> Report:
    """Return what a setting is called, and what `capsnet.train` takes for it."""
    return {"setting": setting.name, "overrides": list(setting.overrides)}


def of_group(group: Mapping[str, Candidate], plan: Plan) -> dict[str, Report]:
    """Measure each of a group that fits into memory together."""
    workers = ready(group, plan)
    found: dict[str, Report] = {}
    for name, worker in workers.items():
        rounds = [worker.does(timing, plan.deadline.left()) for _ in range(ROUNDS)]
        peak = worker.does(peak_mib, plan.deadline.left())
        found[name] = asdict(all_or_nothing(rounds, peak))
    together(workers, partial(loop.shares, steps=SETUP), plan)
    for name, worker in workers.items():
        shares = worker.does(in_loop(found[name]["timings"], plan), plan.deadline.left())
        found[name]["loop"] = shares and asdict(shares)
    end_all(workers)
    return found


def ready(group: Mapping[str, Candidate], plan: Plan) -> dict[str, Worker]:
    """Start workers that have taken their first steps, which compile."""
    workers = {name: Worker(candidate) for name, candidate in group.items()}
    answers(workers, plan)
    together(workers, timing, plan)
    return workers


def together(workers: Mapping[str, Worker], work: Work, plan: Plan) -> list[Any]:
    """Return what each worker answers when all work at the same time; None from dead ones."""
    for worker in workers.values():
        worker.ask(work)
    return answers(workers, plan)


def answers(workers: Mapping[str, Worker], plan: Plan) -> list[Any]:
    """Return what each worker answers to what it was asked; None from dead and late ones."""
    return [worker.answer(plan.deadline.left()) for worker in workers.values()]


def in_loop(timings: list[dict[str, float]], plan: Plan) -> Work:
    """Return the work of a loop that takes about as long as planned."""
    fewest, most = plan.steps
    wanted = round(plan.seconds / step_seconds(timings)) if timings else fewest
    return partial(loop.shares, steps=max(fewest, min(most, wanted)))


def side_by_side(one: Workload, plan: Plan) -> dict[str, float]:
    """Return the steps per second of all runs together, by how many run at the same time."""
    fitting = at_once(plan.device) if plan.device == "cuda" else max(plan.jobs)
    counts = [count for count in plan.jobs if count <= fitting]
    workers = ready({str(k): one.candidate(plan) for k in range(max(counts))}, plan)
    together(workers, partial(loop.shares, steps=SETUP), plan)
    work = partial(loop.shares, steps=plan.steps[1])
    rates = {
        str(count): rate(together(dict(islice(workers.items(), count)), work, plan))
        for count in counts
    }
    end_all(workers)
    return {count: found for count, found in rates.items() if found is not None}


def rate(found: list[Shares | None]) -> float | None:
    """Return the steps per second of all, None where one has none."""
    alive = [shares for shares in found if shares is not None]
    return sum(one.steps / one.seconds for one in alive) if len(alive) == len(found) else None
