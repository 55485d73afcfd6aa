"""smallNORB by azimuth and by elevation, as the follow-up paper divides it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capsnet.data import viewpoints
from capsnet.data.dataset import DataSet
from capsnet.data.examples import Split
from capsnet.data.groups import Groups
from capsnet.data.info import DatasetInfo
from capsnet.data.specification import LabelledImages
from capsnet.errors import UserError
from helpers.running import tiny

VIEWPOINTS = [(elevation, azimuth) for elevation in range(9) for azimuth in range(0, 36, 2)]
# The degrees that the paper gives, in the numbers of smallNORB's files.
FAMILIAR = {"azimuth": {30, 32, 34, 0, 2, 4}, "elevation": {0, 1, 2}}
NOVEL = {"azimuth": {*range(6, 29, 2)}, "elevation": {3, 4, 5, 6, 7, 8}}


def every_viewpoint(instances: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures whose left half is elevation and whose right half azimuth; labels; info."""
    info = np.array([[one, *view, 0] for one in instances for view in VIEWPOINTS])
    halves = info[:, None, None, 1:3].astype(np.uint8).repeat(24, 3).repeat(48, 2)
    return halves, info[:, 0] % 5, info


@pytest.fixture(scope="module")
def images() -> LabelledImages:
    train, train_labels, train_info = every_viewpoint((4, 6))
    test, test_labels, test_info = every_viewpoint((0, 1, 2))
    return LabelledImages(
        *("smallnorb", "0123", DatasetInfo("smallNORB", 1, 48, 48)),
        *(train, train_labels, test, test_labels),
        *(Groups("toy", train_info[:, 0]), Groups("toy", test_info[:, 0])),
        annotations={"train_info": train_info, "test_info": test_info},
    )


def shown(split: Split, column: int) -> list[int]:
    """Return what the pictures of a split hold: their elevations or azimuths."""
    pictures = split.examples(torch.arange(len(split)), None).pictures
    return (pictures[:, 0, 0, [0, -1][column]] * 255).round().int().tolist()


def loaded(by: str, images: LabelledImages, held: int) -> DataSet:
    view = {"azimuth": viewpoints.AZIMUTH, "elevation": viewpoints.ELEVATION}[by]
    data = tiny(Path("data"), f"data=smallnorb_{by}", "data.source=smallnorb").data
    return view.load(data, images, 0, held)


@pytest.mark.parametrize("by", ["azimuth", "elevation"])
def test_training_sees_familiar_viewpoints_and_the_novel_test_set_all_others(
    by: str, images: LabelledImages
) -> None:
    column = ["elevation", "azimuth"].index(by)
    found = loaded(by, images, held=162)  # the toys of instance 4
    assert found.validation is not None
    for split in (found.train, found.validation):
        assert len(split) == 54  # a third of a toy's 162 viewpoints
        assert {*shown(split, column)} == FAMILIAR[by]
    assert found.train.examples(torch.arange(54), 0).labels.unique().tolist() == [6 % 5]
    assert found.validation.examples(torch.arange(54), None).labels.unique().tolist() == [4]
    assert found.tests.keys() == {"test", "novel"}
    for name, values in (("test", FAMILIAR[by]), ("novel", NOVEL[by])):
        test = found.tests[name]
        assert {*shown(test.split, column)} == values
        assert len(test.split) == test.num_distinct == 3 * {"test": 54, "novel": 108}[name]
        assert test.source == {"test": "smallnorb", "novel": "smallnorb-novel"}[name]
        assert test.groups is not None
        labels = test.split.examples(torch.arange(len(test.split)), None).labels[:, 0]
        assert (test.groups.of % 5).tolist() == labels.tolist()  # still those of these pictures


def test_without_holdout_nothing_validates(images: LabelledImages) -> None:
    found = loaded("azimuth", images, held=0)
    assert found.validation is None
    assert len(found.train) == 108


def test_other_images_have_no_viewpoints(digits: LabelledImages) -> None:
    with pytest.raises(UserError, match="smallnorb_elevation is made of smallNORB's viewpoints, "):
        loaded("elevation", digits, held=0)
