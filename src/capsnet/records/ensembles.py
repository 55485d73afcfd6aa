"""The file of an ensemble: the errors of several runs together, and which runs those are."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from capsnet.records.files import as_written, read_json, write_json
from capsnet.records.record import ENSEMBLE, Outcome, read_outcome
from capsnet.records.runs import Run

SCHEMA = 1


@dataclass(frozen=True)
class Member:
    """A run of an ensemble: its record's path from the ensemble's folder, and its errors alone."""

    path: str
    seed: int
    errors: int
    identity: dict[str, str]


@dataclass(frozen=True)
class Ensemble:
    """The errors of `n` models that answer together, beside those of each model alone.

    `paper_n` models answered together for the paper's number. `mean_percent` and `sd_percent` are
    those of the single models' errors.
    """

    experiment: str
    n: int
    paper_n: int
    test: Outcome
    mean_percent: float
    sd_percent: float
    members: tuple[Member, ...]
    schema: int = SCHEMA

    @property
    def size_in_words(self) -> str:
        """Write how many models it has, and the paper's number where that is another."""
        return f"of {self.n}" + f", the paper's {self.paper_n}" * (self.paper_n not in (1, self.n))


def member(run: Run, folder: Path) -> Member:
    """Describe `run` as a member of an ensemble in `folder`."""
    place, record = Path(os.path.relpath(run.path, folder)).as_posix(), run.record
    return Member(place, record.seed, record.tests["test"].errors, record.identity)


def write_ensemble(ensemble: Ensemble, path: Path) -> None:
    """Write the ensemble atomically."""
    write_json(asdict(ensemble), path)


def read_ensemble(path: Path) -> Ensemble:
    """Read the ensemble at `path`. Raises UserError for another file, or another version."""
    again = "run `python -m capsnet.ensemble` again"
    with as_written(path, f"is not an ensemble file of this version; {again}"):
        values = read_json(path, SCHEMA)
        test, members = values.pop("test"), values.pop("members")
        return Ensemble(
            test=read_outcome(**test), members=tuple(Member(**one) for one in members), **values
        )


def ensemble_of(runs: Sequence[Run]) -> Ensemble | None:
    """Find the largest ensemble of some of `runs`, in the folders of their records.

    None where there is none, or where a member has been trained or tested anew since.
    """
    files = {file for run in runs for file in run.path.parent.glob(f"*{ENSEMBLE}")}
    current: list[Ensemble] = []
    for file in sorted(files):
        known = [member(run, file.parent) for run in runs]
        ensemble = read_ensemble(file)
        current += [ensemble] if all(one in known for one in ensemble.members) else []
    return max(current, key=lambda one: one.n, default=None)
