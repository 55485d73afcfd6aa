"""The data sets of runs, from what is prepared on disk."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from capsnet import config
from capsnet.data import affnist, affnist_official, expanded, multimnist, storage
from capsnet.data.examples import Split, UnshiftedImages
from capsnet.data.info import DatasetInfo
from capsnet.data.shifted import EnumeratedShifts, ShiftedImages
from capsnet.data.storage import LabelledImages
from capsnet.errors import UserError


class TestSet(NamedTuple):
    """A set that trained networks are tested on, and its source: mnist, affnist-generated …

    Made of so many `digits`: example i shows digit i mod digits, or has it as its base.
    """

    split: Split
    source: str
    digits: int


class DataSet(NamedTuple):
    """Named splits; validation is None for runs that train on every image.

    `tests` holds 'test', the run's own, and 'affnist' where the run is judged on that too;
    `digest` is of all that was prepared for them.
    """

    train: Split
    validation: Split | None
    tests: dict[str, TestSet]
    digest: str

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        first = self.tests["test"].split.examples(torch.tensor([0]), None)
        channels, height, width = first.images.shape[1:]
        return channels, height, width

    @property
    def info(self) -> DatasetInfo:
        """Describe the images."""
        first = self.tests["test"].split.examples(torch.tensor([0]), None)
        source = self.tests["test"].source
        labels = first.labels.shape[1]
        return DatasetInfo(source, *self.image, labels_per_image=labels, stand_in=source != "mnist")


def load_dataset(run: config.Run) -> DataSet:
    """The run's data, checked. Raises UserError when they are not prepared or not as the run says.

    The first `holdout` of the training digits validate, as in the released code [C].
    """
    data, root = run.data, Path(run.data.root)
    digits = storage.read_images(root / data.source)
    held = round(data.holdout * len(digits.train_labels))
    if held == len(digits.train_labels):
        raise UserError(
            f"data.holdout = {data.holdout} leaves no digit of {digits.source} to train on"
        )
    match data.name:
        case "shifted":
            return _singles(digits, data.shift, held, partial(ShiftedImages, seed=run.seed))
        case "enumerated":
            return _singles(digits, data.shift, held, EnumeratedShifts)
        case "multimnist":
            folder = root / f"multimnist-{data.source}"
            return _tabled(folder, digits, multimnist.read(folder, digits, held))
        case "expanded" | "affnist" | "affnist_official":
            folder = root / f"expanded-{data.source}"
            framed = _tabled(folder, digits, expanded.read(folder, digits, run.seed, held))
            return framed if data.name == "expanded" else with_affnist(framed, data, digits)
        case _:
            raise AssertionError(data.name)


def manifest_paths(data: config.Data) -> list[Path]:
    """List the manifests of the run's digits and of the tables made for them."""
    made = {
        "multimnist": [f"multimnist-{data.source}"],
        "expanded": [f"expanded-{data.source}"],
        "affnist": [f"expanded-{data.source}", f"affnist-{data.source}"],
        "affnist_official": [f"expanded-{data.source}", "affnist-official"],
    }
    folders = [data.source, *made.get(data.name, [])]
    return [Path(data.root) / folder / storage.MANIFEST for folder in folders]


def _singles(digits: LabelledImages, reach: int, held: int, train: Callable[..., Split]) -> DataSet:
    """Sets whose test digits stand where MNIST has them."""
    images, labels = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels)
    test = torch.from_numpy(digits.test_images), torch.from_numpy(digits.test_labels)
    return DataSet(
        train(images[held:], labels[held:], reach=reach),
        UnshiftedImages(images[:held], labels[:held]) if held else None,
        {"test": TestSet(UnshiftedImages(*test), digits.source, len(test[1]))},
        digits.digest,
    )


def _tabled(folder: Path, digits: LabelledImages, splits: Mapping[str, Split]) -> DataSet:
    """Sets whose examples are told by the tables in `folder`."""
    tests = {"test": TestSet(splits["test"], digits.source, len(digits.test_labels))}
    return DataSet(splits["train"], splits.get("validation"), tests, storage.digest(folder))


def with_affnist(expanded: DataSet, data: config.Data, digits: LabelledImages) -> DataSet:
    """Expanded digits, judged on affNIST as well: generated from `digits`, or the official one."""
    count = len(digits.test_labels)
    if data.name == "affnist":
        folder = Path(data.root) / f"affnist-{data.source}"
        affine = TestSet(affnist.read(folder, digits), "affnist-generated", count)
    else:  # that each batch of the file has MNIST's order is nowhere stated [?]
        folder = Path(data.root) / "affnist-official"
        affine = TestSet(affnist_official.read(folder), "affnist-official", count)
    digest = f"{expanded.digest}+{storage.digest(folder)}"
    return expanded._replace(tests=expanded.tests | {"affnist": affine}, digest=digest)
