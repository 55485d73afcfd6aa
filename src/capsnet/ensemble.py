"""`python -m capsnet.ensemble EXPERIMENT | RECORD RECORD ...`: several models that answer together.

EXPERIMENT stands for the records seed*.json in results/PROFILE/EXPERIMENT. The class scores of all
runs, which differ in the seed alone, are summed, and the highest sum is the answer. No training.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from capsnet.analysis.summed_scores import answer_together
from capsnet.errors import UserError, exit_on_user_error
from capsnet.records.ensembles import Ensemble, write_ensemble
from capsnet.records.files import check_writable
from capsnet.records.record import ENSEMBLE, read_record, record_paths
from capsnet.records.runs import Run


def main() -> None:
    """Print the errors of the ensemble, and write them beside the records."""
    arguments = _parser().parse_args()
    with exit_on_user_error():
        paths = records(arguments.runs, Path("results") / arguments.profile)
        path = output(arguments.output, paths)
        ensemble = answer_together(chosen(paths, arguments.members), path.parent)
        check_writable("--output", path)
        write_ensemble(ensemble, path)
        print(in_words(ensemble))
        print(f"Written to {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m capsnet.ensemble", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="EXPERIMENT | RECORD", help="whose scores")
    parser.add_argument("--profile", default="paper", help="reads and writes results/PROFILE")
    parser.add_argument("--members", type=int, metavar="N", help="fail unless there are N runs")
    where = f"default: {ENSEMBLE} beside the records"
    parser.add_argument("--output", type=Path, metavar="FILE", help=where)
    return parser


def records(words: Sequence[str], folder: Path) -> list[Path]:
    """List the records that `words` name: files, or an experiment in `folder`.

    Raises UserError where there are none.
    """
    if all(word.endswith(".json") for word in words):
        return [Path(word) for word in words]
    if len(words) > 1:
        raise UserError(f"{' '.join(words)} are not records: name one experiment, or files *.json")
    if not (found := record_paths(folder / words[0], "seed*.json")):
        raise UserError(f"{folder / words[0]} holds no records seed*.json: train the seeds first")
    return found


def chosen(paths: Sequence[Path], members: int | None) -> list[Run]:
    """Read the records. Raises UserError where one is missing, or they are not `members`."""
    if members not in (None, len(paths)):
        raise UserError(f"there are {len(paths)} runs, and --members asks for {members}")
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path} does not exist: it must be the record of a finished run")
    return [Run(read_record(path), path) for path in paths]


def output(asked: Path | None, paths: Sequence[Path]) -> Path:
    """Choose the file to write: beside the records, text-ensemble.json for text-seed0.json.

    Raises UserError for a name that readers would take for a record's, and where `paths` leave the
    place open.
    """
    if asked is not None:
        if not asked.name.endswith(ENSEMBLE):
            raise UserError(f"--output: {asked} must end in {ENSEMBLE}, or it is read as a record")
        return asked
    places = {path.with_name(path.name.rpartition("seed")[0] + ENSEMBLE) for path in paths}
    if len(places) > 1:
        raise UserError(f"the records are in several places: --output says where {ENSEMBLE} goes")
    return places.pop()


def in_words(ensemble: Ensemble) -> str:
    """Write the ensemble in a line, beside its single models."""
    test, (low, high) = ensemble.test, ensemble.test.interval_percent
    errors = f"{test.errors:,} errors in {test.total:,} {test.source}"
    together = f"{test.error_percent:.2f} % (95 % interval {low:.2f}–{high:.2f})"
    alone = f"{ensemble.mean_percent:.2f} ± {ensemble.sd_percent:.2f} %"
    size = ensemble.size_in_words
    return f"{ensemble.experiment}: {errors}: {together}, ensemble {size}; alone {alone}"


if __name__ == "__main__":
    main()
