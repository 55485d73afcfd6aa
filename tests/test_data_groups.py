"""Groups of images stay together in validation, and no interval forgets them."""

from pathlib import Path

import numpy as np
import pytest

from capsnet import registry
from capsnet.data import smallnorb, storage
from capsnet.data.groups import Groups, num_held_out
from capsnet.data.loading import load_dataset
from capsnet.errors import UserError
from capsnet.evaluation.arrays import record_arrays
from capsnet.evaluation.outcomes import count_outcomes
from capsnet.evaluation.predict import predict_all
from capsnet.prepare import prepare
from capsnet.training.build_network import build_network
from helpers import norb
from helpers.running import tiny

PAIRS = 500  # 25 toys from 20 viewpoints
ABOUT = {"name": "mine", "source": "mine", "group_name": "patient"}


@pytest.fixture(scope="module")
def norb_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with smallNORB's design at a small scale."""
    root = tmp_path_factory.mktemp("norb")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in norb.write_mirror(root / "mirror", norb.arrays()).items():
            patch.setitem(smallnorb.MD5, key, value)
        patch.setenv(smallnorb.MIRROR, str(root / "mirror"))
        prepare("smallnorb", root / "smallnorb", count=PAIRS)
    return root


@pytest.fixture(scope="module")
def pairs(norb_root: Path) -> storage.LabelledImages:
    return storage.read_images(norb_root / "smallnorb")


def test_a_share_is_rounded_up_to_whole_groups() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        groups = np.sort(random.integers(0, 6, 30)) // 2 * 7 + random.integers(0, 2, 30)
        for share in (0.0, 0.1, 0.3, 0.5):
            held = num_held_out(30, share, Groups("toy", groups))
            wanted = round(share * 30)
            allowed = [k for k in range(wanted, 31) if not {*groups[:k]} & {*groups[k:]}]
            assert held == (min(allowed) if wanted else 0)


def test_without_groups_the_first_images_validate() -> None:
    assert num_held_out(1297, 0.1, None) == 130


@pytest.mark.parametrize(
    ("share", "instances"), [(0.2, {4}), (0.05, {4}), (0.21, {4, 6}), (0.8, {4, 6, 7, 8})]
)
def test_the_toys_with_the_lowest_instances_validate(
    share: float, instances: set[int], norb_root: Path, pairs: storage.LabelledImages
) -> None:
    run = tiny(norb_root, "data.source=smallnorb", "data.shift=0", f"data.holdout={share}")
    found = load_dataset(run)
    assert found.validation is not None
    held = len(found.validation)
    info = pairs.annotations["train_info"]
    assert {*info[:held, 0].tolist()} == instances
    assert not {*info[held:, 0].tolist()} & instances
    assert np.bincount(pairs.train_labels[:held]).tolist() == [held // 5] * 5
    assert len(found.train) == PAIRS - held


def test_a_share_that_leaves_no_group_to_train_on_gets_a_sentence(norb_root: Path) -> None:
    run = tiny(norb_root, "data.source=smallnorb", "data.holdout=0.81")
    with pytest.raises(UserError, match=r"data\.holdout = 0\.81 leaves no image of smallnorb"):
        load_dataset(run)


def images(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((count, 28, 28), np.uint8), np.arange(count) % 10


@pytest.mark.parametrize(
    ("train", "test", "sentence"),
    [
        (np.zeros(19, int), np.arange(20), r"groups are int64 \(19,\), but must be int64 \[20\]"),
        (np.zeros(20, int), np.arange(20.0), r"groups are float64 \(20,\), but must be int64"),
        (np.arange(20), np.full(20, 3), "the test images are all of one group"),
    ],
)
def test_groups_that_are_none_get_a_sentence(
    train: np.ndarray, test: np.ndarray, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        storage.write_images(tmp_path / "mine", ABOUT, images(20), images(20), groups=(train, test))
    assert list(tmp_path.iterdir()) == []


def test_images_without_groups_are_stored_as_before(tmp_path: Path) -> None:
    storage.write_images(tmp_path / "mine", ABOUT, images(20), images(20))
    names = {path.stem for path in (tmp_path / "mine").glob("*.npy")}
    assert names == {"train_images", "train_labels", "test_images", "test_labels"}
    found = storage.read_images(tmp_path / "mine")
    assert (found.train_groups, found.test_groups, found.annotations) == (None, None, {})


def test_a_view_that_forgets_the_groups_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = np.arange(20) // 4
    storage.write_images(tmp_path / "mine", ABOUT, images(20), images(20), groups=(groups, groups))
    monkeypatch.setitem(registry.TABLES["capsnet.views"], "flipped", "helpers.flipped:SPEC")
    with pytest.raises(UserError, match="flipped does not say which patient the examples of its"):
        load_dataset(tiny(tmp_path, "data.source=mine", "data.name=flipped"))
    shown = load_dataset(tiny(tmp_path, "data.source=mine"))
    kept = shown.tests["test"].groups
    assert kept is not None
    assert (kept.name, kept.of.tolist()) == ("patient", groups.tolist())


def test_a_network_is_judged_by_toy_on_familiar_and_on_novel_viewpoints(
    norb_root: Path, tmp_path: Path
) -> None:
    chosen = ("data=smallnorb_azimuth", "data.source=smallnorb", "trainer.convolutions=direct")
    data = load_dataset(run := tiny(norb_root, *chosen, experiment="mnist_baseline"))
    network = build_network(run, data.info)
    found = predict_all(network, data, progress=False)
    arrays = record_arrays(network, data, found, tmp_path)
    tests = count_outcomes(data, found)
    assert {name: one.total for name, one in tests.items()} == {"test": 300, "novel": 200}
    for name, one in tests.items():
        assert (one.interval_kind, one.num_distinct) == ("by toy", 25)
        toys = arrays[f"group.{name}"]
        assert np.bincount(toys).tolist() == [one.total // 25] * 25
        wrong = np.unpackbits(arrays[f"wrong.{name}"])[: one.total]
        shares = [100 * wrong[toys == toy].mean() for toy in range(25)]
        # All toys are equally frequent, so that this is the interval of the mean of 25 numbers.
        half = 2.063899 * np.std(shares, ddof=1) / 5  # t(0.975; 24)
        low, high = max(0, np.mean(shares) - half), min(100, np.mean(shares) + half)
        assert one.interval_percent == pytest.approx((low, high), abs=1e-4)
