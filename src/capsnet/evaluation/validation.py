"""The images that a run held out of its training, as a test set."""

from pathlib import Path

from capsnet.config import RunConfig
from capsnet.data import storage
from capsnet.data.dataset import DataSet, TestSet
from capsnet.data.groups import Groups, num_held_out
from capsnet.data.multimnist import MultiMnist
from capsnet.errors import UserError


def validation_set(run: RunConfig, data: DataSet) -> TestSet:
    """Make a test set of a run's validation images.

    Raises UserError when there are none, or when their groups are not known.
    """
    split = data.validation
    if split is None:
        raise UserError(
            f"there are no validation images: {run.name} was trained with "
            f"data.holdout = {run.data.holdout:g}; train it with data.holdout=0.1, say"
        )
    count = len(split.labels) if isinstance(split, MultiMnist) else len(split)
    return TestSet(split, data.tests["test"].source, count, _groups(run, count))


def _groups(run: RunConfig, count: int) -> Groups | None:
    """Return the groups of the `count` images, which must be the first of the training images."""
    groups = storage.read_images(Path(run.data.root) / run.data.source).train_groups
    if groups is None:
        return None
    if count != num_held_out(len(groups.of), run.data.holdout, groups):
        raise UserError(
            f"{run.data.name} shows only some of the held-out images, so which {groups.name} each "
            "shows is not known: see validation/error in the logs of the training"
        )
    return groups._replace(of=groups.of[:count])
