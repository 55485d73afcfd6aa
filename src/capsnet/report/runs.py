"""Presentation of runs: colours, names, captions and caveats."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from capsnet import paper
from capsnet.analysis import selection
from capsnet.errors import UserError
from capsnet.records.record import Record
from capsnet.records.runs import Run, read_runs
from capsnet.report.figures.style import BLACK, BLUE, GREEN, ORANGE, SKY, VERMILION

COLOURS = {(1, False): SKY, (1, True): BLUE, (3, False): ORANGE, (3, True): VERMILION}

KIND = ("model.routing_iterations=", "model.decoder=")  # values that a run's kind says already


def colour(run: Run) -> str:
    """Return the colour of its kind of network, the same in every figure."""
    if (iterations := run.record.iterations) is None:
        return BLACK
    return COLOURS.get((iterations, run.record.decoder), GREEN)


def kind(run: Run) -> str:
    """Name the kind of network: '3 iterations, decoder', say."""
    if (iterations := run.record.iterations) is None:
        return "baseline"
    return counted(iterations, "iteration") + (", decoder" if run.record.decoder else "")


def runs_below(folder: Path, pattern: str = "*/*.json") -> list[Run]:
    """Read all runs below `folder`, the lowest seeds first. Raises UserError if there are none."""
    if not (runs := read_runs(folder, pattern)):
        raise UserError(f"there are no results in {folder}")
    return sorted(runs, key=lambda run: (run.record.experiment, run.record.seed))


def no_results(folder: Path) -> UserError:
    """Make the error of a folder that holds no records."""
    return UserError(
        f"there are no results in {folder}: run `dvc repro`, or train with "
        f"record={folder}/EXPERIMENT/seed0.json"
    )


def exclude_mnist_ablations(runs: Iterable[Run]) -> list[Run]:
    """Leave out MNIST's ablations: other networks that figures would name like the paper's own."""
    others = {one.experiment for one in paper.MNIST_ABLATIONS}
    return [run for run in runs if run.record.experiment not in others]


def by_dataset(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Group runs by the name of their data set, that of most runs first."""
    counts = Counter(run.record.dataset.name for run in runs)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    return {name: [run for run in runs if run.record.dataset.name == name] for name in names}


def caption(runs: Sequence[Run], *remarks: str) -> str:
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


def labels(runs: Sequence[Run]) -> list[str]:
    """Name each run by its kind, and by the overrides that not all of `runs` have."""
    common = set[str].intersection(*({*run.record.overrides} for run in runs))
    said = {*common, *(one for run in runs for one in run.record.overrides if one.startswith(KIND))}
    return [
        ", ".join((kind(run), *(one for one in run.record.overrides if one not in said)))
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


def caveats(runs: Iterable[Run]) -> list[str]:
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
