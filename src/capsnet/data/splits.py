"""Data sets made of the splits of labelled images."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

from capsnet.data import storage
from capsnet.data.dataset import DataSet, TestSet
from capsnet.data.examples import Split, UnshiftedImages
from capsnet.data.specification import LabelledImages


class Tensors(NamedTuple):
    """Images uint8 [n, channels, height, width] and labels int64 [n]."""

    images: torch.Tensor
    labels: torch.Tensor


def parts(images: LabelledImages, held: int) -> tuple[Tensors, Tensors, Tensors]:
    """Split into training, validation and test images.

    The first `held` training images are held out for validation.
    """
    train = torch.from_numpy(images.train_images), torch.from_numpy(images.train_labels)
    test = torch.from_numpy(images.test_images), torch.from_numpy(images.test_labels)
    return (
        Tensors(*(one[held:] for one in train)),
        Tensors(*(one[:held] for one in train)),
        Tensors(*test),
    )


def with_tests(
    images: LabelledImages,
    held: int,
    train: Callable[[torch.Tensor, torch.Tensor], Split],
    evaluation: Callable[[torch.Tensor, torch.Tensor], Split] = UnshiftedImages,
) -> DataSet:
    """Return a data set whose splits `train` and `evaluation` make of images and labels.

    By default it is validated and tested on the images as they are.
    """
    training, validation, test = parts(images, held)
    tests = {
        "test": TestSet(evaluation(*test), images.source, len(test.labels), images.test_groups)
    }
    held_out = evaluation(*validation) if held else None
    return DataSet(train(*training), held_out, tests, images.digest, images.info)


def with_tables(folder: Path, images: LabelledImages, splits: Mapping[str, Split]) -> DataSet:
    """Return a data set whose splits are made by the tables in `folder`."""
    count, groups = len(images.test_labels), images.test_groups
    tests = {"test": TestSet(splits["test"], images.source, count, groups)}
    digest = storage.digest(folder)
    return DataSet(splits["train"], splits.get("validation"), tests, digest, images.info)
