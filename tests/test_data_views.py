"""A view that is added to the table of names: what a run on it is shown, and what it records."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capsnet import registry
from capsnet.benchmark.experiments import noise
from capsnet.data.loading import dataset_info, load_dataset
from capsnet.data.specification import LabelledImages
from capsnet.errors import UserError
from capsnet.evaluate import evaluate
from capsnet.train import train
from helpers.running import tiny

SHORT = ("schedule.steps=3", "schedule.batch=16", "logger=csv", "data.name=flipped")


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.TABLES["capsnet.views"], "flipped", "helpers.flipped:SPEC")


def test_a_run_is_trained_and_tested_on_what_the_view_shows(
    digits: LabelledImages, data_root: Path, tmp_path: Path
) -> None:
    run = tiny(data_root, *SHORT, "data.holdout=0.1")
    shown = load_dataset(run)
    expected = np.pad(digits.test_images[:5, 0, ::-1], ((0, 0), (2, 2), (2, 2)))
    images = shown.tests["test"].split.examples(torch.arange(5), None).images
    np.testing.assert_array_equal((images[:, 0] * 255).round().numpy(), expected)
    assert shown.validation is not None
    assert (len(shown.validation), len(shown.train)) == (130, 1167)
    record = train(run, tmp_path / "run")
    assert record is not None
    assert record.dataset.name == "Flipped digits"
    assert record.dataset.image == shown.image == (1, 32, 32)
    assert record.dataset.stand_in  # the UCI digits still take MNIST's place
    assert evaluate(tmp_path / "run", [])["test"].errors == record.tests["test"].errors


def test_the_benchmark_times_it_without_its_data() -> None:
    run = tiny(Path("nowhere"), *SHORT)
    assert noise(run).examples(torch.arange(3), 0).images.shape[1:] == dataset_info(run.data).image


def test_a_view_made_for_other_images_refuses_them(data_root: Path, tmp_path: Path) -> None:
    from capsnet.data.affnist import prepare
    from capsnet.data.storage import read_images, write_images

    colours = np.zeros((20, 3, 28, 28), np.uint8), np.arange(20) % 10
    write_images(tmp_path / "mine", {"name": "mine", "source": "mine"}, colours, colours)
    with pytest.raises(
        UserError, match="affNIST is made of grey 28×28 digits, and mine is 3×28×28"
    ):
        prepare(tmp_path / "affnist-mine", read_images(tmp_path / "mine"))
    assert not (tmp_path / "affnist-mine").exists()
