"""The examples of a step: by (seed, step), shared out among processes, none lost or twice."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from capsnet.compose import composed
from capsnet.data.datamodule import BLOCK, EvaluationBatches, TrainingSteps, batch_indices
from capsnet.data.loading import load_dataset
from capsnet.errors import UserError
from capsnet.prepare import prepare
from capsnet.train import train
from capsnet.training.factory import build_datamodule
from helpers.running import tiny

SETS = ("shifted", "enumerated", "expanded", "multimnist")
FEW = ("schedule.steps=4", "schedule.batch=16", "logger=csv")
SIDES = {"shifted": 28, "enumerated": 28, "expanded": 40, "multimnist": 36}


@pytest.fixture(scope="module")
def root(data_root: Path) -> Path:
    """Every set that is made of the digits, beside them."""
    prepare("expanded-digits", data_root / "expanded-digits")
    prepare("multimnist-digits", data_root / "multimnist-digits", count=3)
    return data_root


def steps(size: int, batch: int, total: int, rank: int = 0, world: int = 1, first: int = 0) -> list:
    return list(TrainingSteps(size, batch, total, 5, lambda: first, rank, world))


def test_an_epoch_shows_every_example_once_and_every_epoch_is_another() -> None:
    shown = torch.cat([indices for _, indices in steps(size=100, batch=32, total=25)])  # 8 epochs
    epochs = shown.view(8, 100)
    for epoch in epochs:
        assert sorted(epoch.tolist()) == list(range(100))
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 8


@pytest.mark.parametrize("world", [2, 4, 8])
def test_processes_together_see_the_batches_of_one(world: int) -> None:
    alone = [indices for _, indices in steps(100, 16, 20)]
    shares = [steps(100, 16, 20, rank, world) for rank in range(world)]
    for step, batch in enumerate(alone):
        parts = [share[step][1] for share in shares]
        assert {len(part) for part in parts} == {16 // world}
        assert sorted(torch.cat(parts).tolist()) == sorted(batch.tolist())


def test_a_resumed_run_goes_on_with_the_batches_of_an_undisturbed_one() -> None:
    undisturbed, resumed = steps(100, 16, 20), steps(100, 16, 20, first=13)
    assert [step for step, _ in resumed] == list(range(13, 20))
    for (_, expected), (_, indices) in zip(undisturbed[13:], resumed, strict=True):
        assert torch.equal(expected, indices)


def test_batches_are_those_of_the_step_however_many_are_made_together() -> None:
    for step, indices in steps(100, 16, BLOCK + 6, first=BLOCK - 5):
        assert torch.equal(indices, batch_indices(100, 16, 5, step))


def test_batches_differ_between_seeds() -> None:
    assert not torch.equal(batch_indices(1000, 8, seed=1, step=3), batch_indices(1000, 8, 2, 3))


def test_the_last_batch_of_sixty_million_is_found_at_once() -> None:
    indices = batch_indices(60_000_000, 128, seed=0, step=468_749)
    assert len(np.unique(indices)) == 128
    assert 0 <= indices.min() < 30_000_000 < indices.max() < 60_000_000


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_evaluation_asks_for_every_example_once(world: int) -> None:
    shares = [EvaluationBatches(2503, 1000, rank, world) for rank in range(world)]
    asked = torch.cat([indices for share in shares for _, indices in share])
    assert sorted(asked.tolist()) == list(range(2503))


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_a_capsnet_takes_every_set(name: str, root: Path, tmp_path: Path) -> None:
    run = tiny(root, f"data={name}", "data.source=digits", "schedule.steps=2", "logger=csv")
    data = load_dataset(run)
    assert data.image == (1, SIDES[name], SIDES[name])
    record = train(run, tmp_path)
    assert record is not None
    assert record.source == "uci-digits"
    totals = {name: len(test.split) for name, test in data.tests.items()}
    assert {name: test.total for name, test in record.tests.items()} == totals


def test_a_seed_decides_the_order_and_what_a_view_shows(data_root: Path) -> None:
    shown, order = [], []
    for seed in (0, 1):
        run = tiny(data_root, f"seed={seed}")
        data = load_dataset(run)
        shown.append(data.train.examples(torch.arange(100), 3).images)
        module: Any = build_datamodule(run, data)
        module.trainer = SimpleNamespace(
            **{"global_step": 0, "global_rank": 0, "world_size": 1},
            strategy=SimpleNamespace(root_device=torch.device("cpu")),
        )
        order.append(next(iter(module.train_dataloader()))[1])
    assert not torch.equal(*shown)
    assert not torch.equal(*order)


@pytest.mark.parametrize("name", SETS)
def test_held_out_digits_are_not_trained_on(name: str, root: Path, tmp_path: Path) -> None:
    if name == "multimnist":
        message = "holds out 0 training digits, not 97: run .* --holdout 97"
        with pytest.raises(UserError, match=message):
            load_dataset(
                tiny(root, "data=multimnist", "data.source=digits", f"data.holdout={97 / 1297}")
            )
        return
    data = load_dataset(
        tiny(root, f"data={name}", "data.source=digits", f"data.holdout={97 / 1297}")
    )
    assert data.validation is not None
    assert len(data.validation) == 97
    assert len(data.train) == 1200 * (25 if name == "enumerated" else 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "data"),
    [
        ("multimnist_baseline", "multimnist"),
        ("multimnist_capsnet_r3_recon", "multimnist"),
        ("mnist_baseline model=affnist_baseline", "expanded"),
    ],
)
def test_rows_of_other_sets_train(experiment: str, data: str, root: Path, tmp_path: Path) -> None:
    name, *rest = experiment.split()
    run = tiny(root, *rest, f"data={data}", "data.source=digits", *FEW, experiment=name)
    record = train(run, tmp_path)
    assert record is not None
    assert record.tests["test"].errors < record.tests["test"].total


def test_two_tables_are_two_runs(root: Path, tmp_path: Path) -> None:
    (tmp_path / "digits").symlink_to(root / "digits")
    run = tiny(tmp_path, "data=multimnist", "data.source=digits")
    digests = []
    for seed in (0, 1, 0):
        prepare("multimnist-digits", tmp_path / "multimnist-digits", count=3, seed=seed)
        digests.append(load_dataset(run).digest)
    assert digests[0] == digests[2] != digests[1]


def test_an_unknown_set_lists_the_sets() -> None:
    with pytest.raises(
        UserError, match="one of shifted, enumerated, multimnist, expanded, affnist"
    ):
        composed("experiment=mnist_capsnet_r1", "data.name=nothing")
