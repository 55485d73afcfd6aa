"""Runs as figures need them: a record and its arrays, what to call it and what to say of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capsnet import config, paper
from capsnet.analysis import selection
from capsnet.errors import UserError
from capsnet.records.record import Record, read_arrays, read_records
from capsnet.report.figures.style import BLACK, BLUE, GREEN, ORANGE, SKY, VERMILION

COLOURS = {(1, False): SKY, (1, True): BLUE, (3, False): ORANGE, (3, True): VERMILION}

KIND = ("model.routing_iterations=", "model.decoder=")  # values that a run's kind says already


class RunResult(NamedTuple):
    """A training that is over, and the arrays beside its record; none where they were not kept."""

    record: Record
    arrays: dict[str, NDArray[Any]]

    @property
    def iterations(self) -> int | None:
        """Return the routing iterations; None for baselines."""
        model = self.record.model
        return model.routing_iterations if isinstance(model, config.CapsNet) else None

    @property
    def decoder(self) -> bool:
        """Tell whether it reconstructs."""
        return isinstance(self.record.model, config.CapsNet) and self.record.model.decoder

    @property
    def dataset(self) -> str:
        """Return the name of the data set that it was trained on."""
        return self.record.dataset.name

    @property
    def colour(self) -> str:
        """Return the colour of its kind of network, the same in every figure."""
        if self.iterations is None:
            return BLACK
        return COLOURS.get((self.iterations, self.decoder), GREEN)

    @property
    def kind(self) -> str:
        """Name the kind of network: '3 iterations, decoder', say."""
        if self.iterations is None:
            return "baseline"
        return counted(self.iterations, "iteration") + (", decoder" if self.decoder else "")

    def curve(self, metric: str) -> NDArray[np.float64]:
        """Return a curve [points, 2]: step and value; no points where it was not logged."""
        return self.arrays.get(f"curve.{metric}", np.empty((0, 2)))


def read_runs(folder: Path, pattern: str = "*/*.json") -> list[RunResult]:
    """Read all runs below `folder`, the lowest seeds first. Raises UserError if there are none."""
    runs = with_arrays(read_records(folder, pattern))
    if not runs:
        raise UserError(f"there are no results in {folder}")
    return sorted(runs, key=lambda run: (run.record.experiment, run.record.seed))


def with_arrays(runs: Mapping[Path, Record]) -> list[RunResult]:
    """Read the arrays beside the records of runs."""
    return [RunResult(record, read_arrays(path)) for path, record in runs.items()]


def no_results(folder: Path) -> UserError:
    """Make the error of a folder that holds no records."""
    return UserError(
        f"there are no results in {folder}: run `dvc repro`, or train with "
        f"record={folder}/EXPERIMENT/seed0.json"
    )


def of_the_papers_kinds(runs: Iterable[RunResult]) -> list[RunResult]:
    """Leave out ablations that are other networks: figures would name them like the paper's own."""
    others = {one.experiment for one in paper.MNIST_ABLATIONS}
    return [run for run in runs if run.record.experiment not in others]


def by_dataset(runs: Sequence[RunResult]) -> dict[str, list[RunResult]]:
    """Group runs by the name of their data set, that of most runs first."""
    counts = Counter(run.dataset for run in runs)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return {name: [run for run in runs if run.dataset == name] for name in names}


def caption(runs: Sequence[RunResult], *remarks: str) -> str:
    """Write which runs are shown, on what and for how long they trained, and `remarks` below."""
    records = [run.record for run in runs]
    recipes = [replace(record, overrides=()).variant for record in records]
    routed = [name for name, record in zip(recipes, records, strict=True) if record.capsules]
    experiments = _unique(record.experiment for record in records)
    facts = (
        " and ".join(experiments) if len(experiments) < 3 else f"{len(experiments)} experiments",
        f"trained on {_listed(record.source for record in records)}",
        f"recipe {_listed(routed or recipes)}",
        *overrides(records),
        steps(records),
        seeds(records),
    )
    return "\n".join((" · ".join(facts), *remarks))


def overrides(records: Sequence[Record]) -> Iterator[str]:
    """List the overrides, for each key: 'model.routing_iterations=1, 3', say."""
    pairs = [one.partition("=") for record in records for one in record.overrides]
    for key in _unique(key for key, _, _ in pairs):
        yield f"{key}={_listed(value for name, _, value in pairs if name == key)}"


def labels(runs: Sequence[RunResult]) -> list[str]:
    """Name each run by its kind, and by what was set by hand for it but not for all of `runs`."""
    common = set[str].intersection(*({*run.record.overrides} for run in runs))
    said = {*common, *(one for run in runs for one in run.record.overrides if one.startswith(KIND))}
    return [
        ", ".join((run.kind, *(one for one in run.record.overrides if one not in said)))
        for run in runs
    ]


def steps(records: Sequence[Record]) -> str:
    """Done of planned: '400 of 400 steps', or each that differs."""
    pairs = sorted({(record.steps_done, record.steps_planned) for record in records})
    return _listed(f"{done:,} of {planned:,}" for done, planned in pairs) + " steps"


def seeds(records: Sequence[Record]) -> str:
    """'seed 0', 'seeds 0, 1'."""
    numbers = sorted({record.seed for record in records})
    return f"seed{'s' * (len(numbers) > 1)} " + ", ".join(map(str, numbers))


def caveats(runs: Iterable[RunResult]) -> list[str]:
    """Name the caveats: other digits or a narrower network, fewer steps."""
    records = [run.record for run in runs]
    tests = {"demo": selection.is_demo, "short schedule": selection.is_short}
    return [words for words, holds in tests.items() if any(map(holds, records))]


def counted(number: int, noun: str) -> str:
    """Write a count: '1 iteration', '3 iterations'."""
    return f"{number} {noun}{'s' * (number != 1)}"


def _unique(words: Iterable[str]) -> list[str]:
    """Drop repeated values, in their order."""
    return list(dict.fromkeys(words))


def _listed(words: Iterable[str]) -> str:
    return ", ".join(_unique(words))
