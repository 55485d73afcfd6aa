"""Several runs that answer together: the class with the largest sum of scores.

[P] section 7: the 10.6 % on CIFAR-10 are those of seven models; [C]: for each example, the capsule
lengths of all models are summed, and the class of the largest sum is the answer.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from capsnet import paper
from capsnet.analysis.selection import code
from capsnet.data.groups import Groups
from capsnet.errors import UserError
from capsnet.records.ensembles import Ensemble, member
from capsnet.records.record import Outcome, Record, outcome_of
from capsnet.records.runs import Run

SAME: dict[str, Callable[[Record], object]] = {  # in which runs of an ensemble agree
    "experiment": lambda record: record.experiment,
    "configuration": lambda record: record.identity.get("config"),
    "data": lambda record: record.identity.get("data"),
    "code": code,
    "uncommitted code": lambda record: record.clean is False,
}


class Scores(NamedTuple):
    """The scores of one model on a test set.

    scores [n, classes], of a CapsNet the lengths of its capsules; labels int16 [n, labels].
    """

    scores: NDArray[np.floating]
    labels: NDArray[np.int16]


def answer_together(runs: Sequence[Run], folder: Path) -> Ensemble:
    """Count the errors of `runs` together on their test set; `folder` is where that will be kept.

    Raises UserError unless they are runs of one experiment that differ in the seed alone, whose
    scores were kept for the same examples.
    """
    runs = sorted(runs, key=lambda run: run.record.seed)
    check_alike(runs)
    wrong = wrong_answers(summed(runs))
    alone = [run.record.tests["test"].error_percent for run in runs]
    first = runs[0].record
    return Ensemble(
        experiment=first.experiment,
        n=len(runs),
        paper_n=paper.ensemble(first.experiment),
        test=_outcome(runs[0], wrong),
        mean_percent=mean(alone),
        sd_percent=stdev(alone),
        members=tuple(member(run, folder) for run in runs),
    )


def _outcome(run: Run, wrong: NDArray[np.bool_]) -> Outcome:
    """Count wrong answers [n] to the test set of `run`, in its groups."""
    test, of = run.record.tests["test"], run.arrays.get("group.test")
    groups = None if of is None else Groups(test.interval_kind.removeprefix("by "), of)
    return outcome_of(test.source, wrong, test.num_distinct or test.total, groups=groups)


def check_alike(runs: Sequence[Run]) -> None:
    """Raise UserError unless two or more runs, ordered by seed, differ in the seed alone."""
    if len(runs) < 2:
        raise UserError(f"an ensemble needs 2 runs or more, and there is {len(runs)}")
    first = runs[0]
    for run in runs:
        if differing := [name for name, of in SAME.items() if of(run.record) != of(first.record)]:
            raise UserError(
                f"{run.path} and {first.path} differ in {' and '.join(differing)}: "
                "the runs of an ensemble differ in the seed alone"
            )
    for run, following in pairwise(runs):
        if run.record.seed == following.record.seed:
            raise UserError(
                f"{run.path} and {following.path} are both of seed {run.record.seed}: "
                "the runs of an ensemble have different seeds"
            )


def summed(runs: Sequence[Run]) -> Scores:
    """Sum the scores of all runs. Raises UserError unless they are of the same examples."""
    first, total = runs[0].path, kept_scores(runs[0])
    for run in runs[1:]:
        one = kept_scores(run)
        if one.scores.shape != total.scores.shape or not np.array_equal(one.labels, total.labels):
            raise UserError(f"the scores of {run.path} and {first} are not of the same examples")
        # In float32, the sum would depend on the order of the runs.
        total = Scores(total.scores.astype(np.float64) + one.scores, total.labels)
    return total


def kept_scores(run: Run) -> Scores:
    """Return the scores of `run`.

    Raises UserError when none were kept, or they are not those of its test set and its errors.
    """
    arrays, test, file = run.arrays, run.record.tests["test"], run.path.with_suffix(".npz")
    if not {"scores.test", "labels.test"} <= arrays.keys():
        raise UserError(
            f"{file} holds no scores: the training's command again adds them, "
            "with trainer.keep_scores=true"
        )
    kept = Scores(arrays["scores.test"], arrays["labels.test"])
    shapes = kept.scores.ndim, kept.labels.ndim, len(kept.scores), len(kept.labels)
    errors = np.unpackbits(arrays["wrong.test"], count=test.total).sum()
    if shapes != (2, 2, test.total, test.total) or errors != test.errors:
        raise UserError(
            f"the scores in {file} are not those of the record {run.path.name} beside it"
        )
    return kept


def wrong_answers(scores: Scores) -> NDArray[np.bool_]:
    """Mark the examples [n] whose classes of the highest scores are not those of their labels."""
    count = scores.labels.shape[1]
    answers = np.argsort(-scores.scores, axis=1, kind="stable")[:, :count]
    return (np.sort(answers, axis=1) != np.sort(scores.labels, axis=1)).any(axis=1)
