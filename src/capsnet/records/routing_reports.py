"""The file that says what routing does in a trained network: `report routing` writes it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capsnet.records.files import as_written, read_json, write_json
from capsnet.records.record import ROUTING, Outcome, read_outcome, read_record

SCHEMA = 1
THRESHOLDS = ("0.01", "0.02", "0.05", "0.1", "0.2", "0.5")  # of lengths, as keys of JSON


@dataclass(frozen=True)
class RoutedTest:
    """The routing of a test set; tuples have a value for each iteration, from the first on.

    `errors` are those of the network when it is tested with so many iterations. Of the couplings
    c_ij, the entropy is the mean over examples and i, in nats and as a share of ln J, that of even
    couplings; the variance is that over examples, mean over i and j, and the sum of its parts
    between and within classes, which are None where examples have several labels. Answers that
    changed are counted against iteration 1 and against the iteration before. `never_longer` counts
    the primary capsules whose length is at most the key for every example.
    """

    errors: tuple[Outcome, ...]
    entropy_nats: tuple[float, ...]
    entropy_share: tuple[float, ...]
    changed_from_first: tuple[int, ...]
    changed_from_previous: tuple[int, ...]
    variance: tuple[float, ...]
    variance_between: tuple[float, ...] | None
    variance_within: tuple[float, ...] | None
    primary_capsules: int
    never_longer: dict[str, int]

    @property
    def total(self) -> int:
        """Count the examples."""
        return self.errors[0].total


@dataclass(frozen=True)
class TrainedNetwork:
    """Name the network that was tested.

    `record` is the path of its record from the report's folder, and `identity` that record's; where
    there is no record, None and nothing. `weights` begins the SHA-256 of the weights file.
    """

    experiment: str
    seed: int
    variant: str  # recipe and overrides, as `Record.variant`
    schedule: str
    steps: int
    iterations: int  # of routing, while training
    weights: str
    record: str | None
    identity: dict[str, str]
    caveats: tuple[str, ...]  # as `report.runs.caveats`


@dataclass(frozen=True)
class RoutingReport:
    """Describe the routing of a trained network on test sets, by name.

    `data` are the settings of the test sets; `code` is the digest of the code that tested, as
    `fingerprint.training_code`, `commit` its commit, and `clean` tells whether it was unchanged.
    """

    network: TrainedNetwork
    data: dict[str, Any]
    tests: dict[str, RoutedTest]
    code: str
    commit: str | None
    clean: bool | None
    device: str
    schema: int = SCHEMA


def never_longer(longest: NDArray[np.floating]) -> dict[str, int]:
    """Count the capsules whose greatest length, [capsules], is at most each of THRESHOLDS."""
    return {key: int((longest <= float(key)).sum()) for key in THRESHOLDS}


def write_report(report: RoutingReport, path: Path) -> None:
    """Write the report atomically."""
    write_json(asdict(report), path)


def read_report(path: Path) -> RoutingReport:
    """Read the report at `path`. Raises UserError for another file, or another version."""
    again = "run `python -m capsnet.report routing` again"
    with as_written(path, f"is not a report of this version; {again}"):
        values = read_json(path, SCHEMA)
        tests = {name: _test(**test) for name, test in values.pop("tests").items()}
        network = values.pop("network")
        caveats = tuple(network.pop("caveats"))
        return RoutingReport(TrainedNetwork(caveats=caveats, **network), tests=tests, **values)


def _test(errors: Sequence[dict[str, Any]], **values: Any) -> RoutedTest:
    lists: dict[str, Any] = {
        key: tuple(one) if isinstance(one, list) else one for key, one in values.items()
    }
    return RoutedTest(errors=tuple(read_outcome(**one) for one in errors), **lists)


def read_reports(folder: Path) -> dict[Path, RoutingReport]:
    """Read every report below `folder` by its path, without those of runs that have changed since.

    A run has changed where its record is missing, or has another identity than when it was tested.
    """
    found = {path: read_report(path) for path in sorted(folder.glob(f"**/*{ROUTING}"))}
    return {path: one for path, one in found.items() if _current(path, one)}


def _current(path: Path, report: RoutingReport) -> bool:
    network = report.network
    if network.record is None:
        return True
    record = path.parent / network.record
    return record.is_file() and read_record(record).identity == network.identity
