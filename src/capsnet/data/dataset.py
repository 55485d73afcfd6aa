"""The data set of a run: its splits and its test sets."""

from typing import NamedTuple

from capsnet.data.examples import Split
from capsnet.data.groups import Groups
from capsnet.data.info import DatasetInfo


class TestSet(NamedTuple):
    """A set that trained networks are tested on, and its source: mnist, affnist-generated …

    Made of `num_distinct` images: example i shows image i mod num_distinct, or has it as its base.
    `groups` are those of these images, where the images come in groups.
    """

    split: Split
    source: str
    num_distinct: int
    groups: Groups | None = None


class DataSet(NamedTuple):
    """Named splits; validation is None for runs that train on every image.

    `tests` holds 'test', the run's own, and others on which the same network is tested; `digest` is
    of all that was prepared for them.
    """

    train: Split
    validation: Split | None
    tests: dict[str, TestSet]
    digest: str
    info: DatasetInfo

    @property
    def image(self) -> tuple[int, int, int]:
        """Return channels, height and width."""
        return self.info.image
