"""Test errors along a training: the right examples, and no trace of it in the training."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from capsnet.data.examples import UnshiftedImages
from capsnet.prepare import prepare
from capsnet.records.curves import curves
from capsnet.records.record import Record, read_arrays, read_record
from capsnet.train import train
from capsnet.training import error_curve
from capsnet.training.error_curve import ErrorCurve
from capsnet.training.module import CapsNetModule
from helpers.running import tiny

pytestmark = pytest.mark.slow

SHORT = (
    *("schedule.steps=60", "schedule.decay_steps=100", "schedule.batch=32"),
    *("schedule.validate_every=20", "schedule.stop_at=1.0", "schedule.evaluate_below=1.0"),
    *("trainer.log_every=10", "trainer.checkpoint_every=0", "logger=csv"),
)


@pytest.fixture(scope="module")
def root(data_root: Path) -> Path:
    """Three affine copies of each of the 500 test digits, so that two are not all."""
    prepare("expanded-digits", data_root / "expanded-digits")
    prepare("affnist-digits", data_root / "affnist-digits", copies=3)
    return data_root


def trained(
    root: Path, folder: Path, *overrides: str, experiment: str = "affnist_capsnet"
) -> Record:
    record = train(tiny(root, *SHORT, *overrides, experiment=experiment), folder)
    assert record is not None
    return record


@pytest.fixture(scope="module")
def undisturbed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    trained(root, folder)
    return folder


def kept(folder: Path) -> dict[str, NDArray[Any]]:
    return read_arrays(folder / "record.json")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def same(one: Path, other: Path) -> bool:
    before, after = weights(one), weights(other)
    return all(torch.equal(before[name], after[name]) for name in before)


def test_the_last_point_has_the_errors_of_the_end_on_the_first_two_copies(
    undisturbed: Path,
) -> None:
    arrays, record = kept(undisturbed), read_record(undisturbed / "record.json")
    wrong = np.unpackbits(arrays["wrong.affnist"], count=1500)
    assert arrays["along.affnist"][-1].tolist() == [60, wrong[:1000].sum(), 1000]
    assert arrays["along.test"][-1].tolist() == [60, record.tests["test"].errors, 500]
    logged = arrays["curve.validation/error"]
    step, errors, total = arrays["along.validation"].T
    assert (step - 1).tolist() == logged[:, 0].tolist() == [19, 39, 59]
    assert (errors / total).tolist() == pytest.approx(logged[:, 1].tolist())
    assert set(total) == {round(1297 / 6)}


def test_nothing_of_it_is_logged(undisturbed: Path) -> None:
    """Test errors are logged once, at the end."""
    logged = curves(undisturbed)
    assert [len(logged[name]) for name in ("test/error", "affnist/error")] == [1, 1]
    assert len(logged["validation/error"]) == 3


def test_dropout_draws_the_numbers_of_a_run_without(root: Path, tmp_path: Path) -> None:
    for name, below in (("with", "1.0"), ("without", "null")):
        values = (f"schedule.evaluate_below={below}", "schedule.steps=30")
        trained(root, tmp_path / name, *values, experiment="affnist_baseline")
        assert ("along.test" in kept(tmp_path / name)) == (name == "with")
    assert same(tmp_path / "with", tmp_path / "without")


def test_the_stop_is_that_of_a_run_without(
    root: Path, tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if no test example is answered wrongly: held-out digits alone decide."""
    best = kept(undisturbed)["curve.validation/error"][:, 1].argmin()
    wrong, total = kept(undisturbed)["along.validation"][best, 1:].tolist()
    values = (f"schedule.stop_at={1 - wrong / total}", "schedule.steps=70")
    without = trained(root, tmp_path / "without", *values, "schedule.evaluate_below=null")
    monkeypatch.setattr(error_curve, "count_errors", lambda *_: 0)
    record = trained(root, tmp_path / "with", *values)
    assert record.stopped == without.stopped == 20 * (best + 1)
    assert set(kept(tmp_path / "with")["along.test"][:, 1]) == {0}
    assert same(tmp_path / "with", tmp_path / "without")


def test_a_run_killed_twice_has_the_points_of_an_undisturbed_one(
    root: Path, tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First in the middle of a point, then after it."""
    count = error_curve.count_errors

    def in_a_point(trainer: Any, *rest: Any) -> int:
        if trainer.global_step == 40:
            raise SystemError("killed")
        return count(trainer, *rest)

    def after_it(module: CapsNetModule, *_: object) -> None:
        if module.global_step == 45:
            raise SystemError("killed")

    for target, name, killed in (
        (error_curve, "count_errors", in_a_point),
        (CapsNetModule, "on_train_batch_end", after_it),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, killed)
            with pytest.raises(SystemError, match="killed"):
                trained(root, tmp_path)
    trained(root, tmp_path)
    assert same(tmp_path, undisturbed)
    for name in ("along.validation", "along.test", "along.affnist"):
        assert kept(tmp_path)[name].tolist() == kept(undisturbed)[name].tolist()


def test_counting_begins_below_the_threshold() -> None:
    watch = ErrorCurve({}, below=0.025)
    datamodule = SimpleNamespace(validation=range(10_000))
    for step, error in enumerate((0.03, 0.0251, 0.025, 0.026, 0.0077)):
        told = {"validation/error": torch.tensor(error)}
        trainer: Any = SimpleNamespace(
            callback_metrics=told, global_step=step, datamodule=datamodule
        )
        watch.on_validation_end(trainer, None)  # pyright: ignore[reportArgumentType]
    expected = [(2, 250, 10_000), (4, 77, 10_000)]
    assert watch.points == {"validation": expected}
    again = ErrorCurve({}, below=0.025)
    again.load_state_dict(watch.state_dict())
    assert again.arrays()["along.validation"].tolist() == [list(one) for one in expected]


class Brightest(torch.nn.Module):
    """Answers the class whose row is brightest."""

    device = torch.device("cpu")

    def scores(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, :10].sum(2)


def test_processes_share_the_examples_and_have_the_sum() -> None:
    images = torch.randint(0, 256, (37, 1, 12, 12), generator=torch.Generator().manual_seed(0))
    split, module = UnshiftedImages(images.to(torch.uint8), torch.arange(37) % 10), Brightest()
    said = images[:, 0, :10].sum(2).argmax(1)
    shares: list[torch.Tensor] = []

    def counted(rank: int, world: int, whole: int) -> int:
        def reduce(share: torch.Tensor, reduce_op: str) -> torch.Tensor:
            assert reduce_op == "sum"
            shares.append(share)
            return share

        trainer: Any = SimpleNamespace(
            global_rank=rank,
            world_size=world,
            precision_plugin=SimpleNamespace(forward_context=torch.no_grad),
            strategy=SimpleNamespace(reduce=reduce),
        )
        return error_curve.count_errors(trainer, module, split, whole)

    expected = int((said[:30] != split.labels[:30]).sum())
    assert counted(0, 1, 30) == sum(counted(rank, 3, 30) for rank in range(3)) == expected
    assert module.training
    assert len(shares) == 4
