"""`capsnet.evaluate RUN --validation`: trained weights on the images that were held out."""

from pathlib import Path

import numpy as np
import pytest
import torch

from capsnet import config
from capsnet.data import storage
from capsnet.data.examples import UnshiftedImages
from capsnet.data.loading import load_dataset
from capsnet.data.storage import LabelledImages
from capsnet.errors import UserError
from capsnet.evaluate import evaluate
from capsnet.evaluation.validation import validation_set
from capsnet.networks import Baseline, CapsNet
from capsnet.prepare import prepare
from capsnet.records.weights import save_weights
from capsnet.training.build_network import build_network
from helpers.running import output_here, tiny

pytestmark = pytest.mark.slow

HELD = 259  # a fifth of the 1,297 training digits


def saved(run: config.RunConfig, folder: Path) -> CapsNet | Baseline:
    """Leave weights in `folder` as a training of no step would."""
    info = load_dataset(run).info
    network = build_network(run, info).eval()
    save_weights(network, run, info, folder)
    return network


def test_the_held_out_digits_are_tested_and_no_others(
    data_root: Path, digits: LabelledImages, tmp_path: Path
) -> None:
    network = saved(tiny(data_root, "data.holdout=0.2"), tmp_path)
    found = evaluate(tmp_path, [], "cpu", validation=True, wrong=tmp_path / "some/wrong.npz")
    images = torch.from_numpy(digits.train_images[:HELD]) / 255
    with torch.inference_mode():
        answers = network.class_scores(images).argmax(1).numpy()
    wrong = answers != digits.train_labels[:HELD]
    assert list(found) == ["validation"]
    assert (found["validation"].errors, found["validation"].total) == (wrong.sum(), HELD)
    with np.load(tmp_path / "some/wrong.npz") as arrays:
        assert list(arrays) == ["wrong.validation"]
        assert np.array_equal(np.unpackbits(arrays["wrong.validation"])[:HELD], wrong)
    code, printed = output_here("evaluate", str(tmp_path), "--validation", cwd=tmp_path)
    assert code == 0
    assert f"\nvalidation: {wrong.sum()} errors in {HELD} uci-digits: " in printed


def test_held_out_pairs_are_counted_by_both_of_their_digits(
    data_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "digits").symlink_to(data_root / "digits")
    prepare("multimnist-digits", tmp_path / "multimnist-digits", count=2, holdout=HELD)
    run = tiny(tmp_path, "data.holdout=0.2", experiment="multimnist_capsnet_r1_recon")
    saved(run, tmp_path / "run")
    found = evaluate(tmp_path / "run", [], validation=True)["validation"]
    assert (found.total, found.num_distinct) == (2 * HELD, HELD)


def grouped(folder: Path) -> None:
    images, labels = np.zeros((20, 28, 28), np.uint8), np.arange(20) % 10
    about = {"name": "mine", "source": "mine", "group_name": "patient"}
    of = np.arange(20) // 4
    both = (images, labels), (images, labels)
    storage.write_images(folder, about, *both, groups=(of, of))


def test_the_groups_of_held_out_images_are_those_of_the_training_images(tmp_path: Path) -> None:
    grouped(tmp_path / "mine")
    run = tiny(tmp_path, "data.source=mine", "data.holdout=0.5")
    data = load_dataset(run)
    test = validation_set(run, data)
    assert test.groups is not None
    assert test.groups.of.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    split = data.validation
    assert isinstance(split, UnshiftedImages)
    fewer = data._replace(validation=UnshiftedImages(split.images[::2], split.labels[::2]))
    with pytest.raises(UserError, match="shifted shows only some of the held-out images, so which"):
        validation_set(run, fewer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--validation"],
            "no validation images: mnist_baseline was trained with data.holdout = 0",
        ),
        (["--validation", "data.holdout=0.5"], "data.holdout=0.5: only data.root=FOLDER can be"),
        (["--wrong", "bits"], "--wrong: bits is not possible: its name must end in .npz"),
        (["--wrong", "/proc/no/bits.npz"], "--wrong: /proc/no/bits.npz cannot be written"),
    ],
)
def test_what_cannot_be_validated_gets_a_sentence(
    arguments: list[str], message: str, data_root: Path, tmp_path: Path
) -> None:
    saved(tiny(data_root, experiment="mnist_baseline"), tmp_path)
    code, printed = output_here("evaluate", str(tmp_path), *arguments, cwd=tmp_path)
    assert code == 1
    assert printed.startswith("error: ")
    assert message in printed
    assert len(printed.splitlines()) == 1
