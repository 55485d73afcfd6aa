"""Error counts of predictions, with their intervals."""

import numpy as np
from numpy.typing import NDArray

from capsnet.data.dataset import DataSet, TestSet
from capsnet.data.groups import Groups
from capsnet.data.multimnist import MultiMnist
from capsnet.evaluation.predict import Predictions
from capsnet.records.clusters import Counts, partner_counts
from capsnet.records.record import Outcome, outcome_of


def count_outcomes(data: DataSet, answers: dict[str, Predictions]) -> dict[str, Outcome]:
    """Count the errors of every test set."""
    return {
        name: count_errors(test, answers[name].wrong.numpy()) for name, test in data.tests.items()
    }


def count_errors(test: TestSet, wrong: NDArray[np.bool_]) -> Outcome:
    """Count the errors of a test set, `wrong` [n] marking its examples."""
    partners, groups = partners_of(test, wrong), groups_of(test)
    return outcome_of(test.source, wrong, test.num_distinct, partners, groups)


def partners_of(test: TestSet, wrong: NDArray[np.bool_]) -> Counts | None:
    """Return `partner_counts` of a test set whose examples show two digits, None of others."""
    if not isinstance(test.split, MultiMnist):
        return None
    return partner_counts(wrong, test.split.partner.numpy().ravel(), test.num_distinct)


def errors_by_pair(
    test: TestSet, wrong: NDArray[np.bool_], classes: int
) -> NDArray[np.uint32] | None:
    """Count wrong answers and examples of each pair of classes, None unless examples show two.

    [2, classes, classes], the lower class first: the rest is 0.
    """
    if not isinstance(test.split, MultiMnist):
        return None
    labels = test.split.labels.numpy()
    both = np.stack([np.resize(labels, len(wrong)), labels[test.split.partner.numpy().ravel()]])
    pair = both.min(0) * classes + both.max(0)
    counts = [np.bincount(some, minlength=classes**2) for some in (pair[wrong], pair)]
    return np.stack(counts).reshape(2, classes, classes).astype(np.uint32)


def groups_of(test: TestSet) -> Groups | None:
    """Return the group of each example, numbered from 0, None where images have none."""
    if test.groups is None:
        return None
    _, number = np.unique(test.groups.of, return_inverse=True)
    return test.groups._replace(of=number[np.arange(len(test.split)) % test.num_distinct])
