"""Attacks: by hand, by libraries, by finite differences, and on the command line."""

import json
import shutil
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from capsnet.attack.__main__ import main, output
from capsnet.attack.count import Found, Target, attack_all
from capsnet.attack.methods import (
    bim,
    fgsm,
    gradient,
    summed_cross_entropy,
    summed_score_margin,
)
from capsnet.attack.plan import CROSS_ENTROPY, SCORE_MARGIN, TRAINING
from capsnet.attack.target import target_of
from capsnet.compose import composed
from capsnet.data.cifar10_crops import Cifar10Crops
from capsnet.data.dataset import DataSet
from capsnet.data.examples import UnshiftedImages
from capsnet.data.loading import dataset_info, load_dataset
from capsnet.errors import UserError
from capsnet.evaluate import LoadedRun, evaluate, load_run
from capsnet.functional import margin_loss
from capsnet.networks import one_hot
from capsnet.records.attacks import Attacked, Attacks, read_attacks, write_attacks
from capsnet.records.record import outcome, record_path, write_record
from capsnet.records.runs import read_runs
from capsnet.records.statistics import wilson
from capsnet.records.weights import save_weights
from capsnet.report.figures.attacks import figure_attacks
from capsnet.report.tables.attacks import attacks_table
from capsnet.training.build_network import anywhere, build_network
from capsnet.training.fingerprint import config_digest
from helpers.records import by_path, record
from helpers.running import TINY, tiny
from helpers.tables import by_name

CPU = torch.device("cpu")
LOSSES = {CROSS_ENTROPY: summed_cross_entropy, SCORE_MARGIN: summed_score_margin}

# By foolbox 3.3.4, LinfFastGradientAttack and LinfBasicIterativeAttack(rel_stepsize=0.3, steps=10),
# get_loss_fn replaced by each loss, on `small()` at eps = 0.2; torchattacks 3.5.1 gives the same
# for cross-entropy.
FOOLBOX = {
    (CROSS_ENTROPY, "fgsm"): [
        *(0.7, 0.628493, 0.795304, 0.718328, 0.835453, 0.485909, 0.241739, 0.0, 0.039224),
        *(0.783678, 1.0, 1.0, 0.666595, 0.352994, 0.013309, 0.0, 0.255002, 0.514298),
    ],
    (CROSS_ENTROPY, "bim"): [
        *(0.5, 0.628493, 0.795304, 0.778328, 0.835453, 0.485909, 0.241739, 0.0, 0.039224),
        *(0.783678, 1.0, 0.79976, 0.666595, 0.352994, 0.013309, 0.214732, 0.255002, 0.514298),
    ],
    (SCORE_MARGIN, "fgsm"): [
        *(0.7, 0.628493, 0.795304, 0.718328, 0.835453, 0.485909, 0.241739, 0.0, 0.039224),
        *(0.783678, 0.686945, 0.79976, 0.666595, 0.752994, 0.413309, 0.214732, 0.0, 0.114298),
    ],
    (SCORE_MARGIN, "bim"): [
        *(0.62, 0.628493, 0.795304, 0.718328, 0.835453, 0.485909, 0.241739, 0.0, 0.039224),
        *(0.383678, 0.686945, 0.79976, 1.0, 0.752994, 0.413309, 0.154732, 0.0, 0.114298),
    ],
}


def small() -> tuple[nn.Module, Tensor, Tensor]:
    """A network, two images of 3×3 and their labels, of sines alone, in float64."""
    layers = nn.Flatten(), nn.Linear(9, 4), nn.Tanh(), nn.Linear(4, 3)
    network = nn.Sequential(*layers).double().requires_grad_(False)
    for k, one in enumerate(network.parameters()):
        one.copy_(torch.sin(torch.arange(one.numel(), dtype=torch.float64) + k).view_as(one))
    images = (torch.sin(7 * torch.arange(18, dtype=torch.float64)).view(2, 1, 3, 3) + 1) / 2
    return network, images, torch.tensor([[2], [0]])


@pytest.mark.parametrize("loss", LOSSES)
def test_every_pixel_is_that_of_foolbox(loss: str) -> None:
    network, images, labels = small()
    ascent = partial(gradient, lambda x: LOSSES[loss](network(x), labels))
    found = {"fgsm": fgsm(images, ascent, 0.2), "bim": bim(images, ascent, 0.2, 10, 0.06)}
    for name, moved in found.items():
        assert moved.flatten().tolist() == pytest.approx(FOOLBOX[loss, name], abs=1e-6)


def test_fgsm_on_a_linear_network_is_the_closed_form() -> None:
    """Under cross-entropy ∂L/∂x = Wᵀ(softmax(Wx) − y); under the margin W_wrong − W_true."""
    rng = np.random.default_rng(0)
    weight, images = rng.normal(size=(4, 9)), rng.uniform(size=(5, 9))
    labels = rng.integers(4, size=5)
    scores = images @ weight.T
    exponents = np.exp(scores)
    softmax, true = exponents / exponents.sum(1, keepdims=True), np.eye(4)[labels]
    best = np.where(true, -np.inf, scores).argmax(1)
    closed = {
        CROSS_ENTROPY: (softmax - true) @ weight,
        SCORE_MARGIN: weight[best] - weight[labels],
    }
    x, w = torch.from_numpy(images).view(5, 1, 3, 3), torch.from_numpy(weight)
    there = torch.from_numpy(labels)[:, None]
    for name, loss in LOSSES.items():
        ascent = partial(gradient, lambda x, of=loss: of(x.flatten(1) @ w.T, there))
        assert np.allclose(ascent(x).flatten(1).numpy(), closed[name])
        moved = np.clip(images + 0.15 * np.sign(closed[name]), 0, 1)
        assert np.array_equal(fgsm(x, ascent, 0.15).flatten(1).numpy(), moved)


def test_bim_stays_in_the_ball_and_its_one_step_is_fgsm() -> None:
    network, images, labels = small()
    ascent = partial(gradient, lambda x: summed_score_margin(network(x), labels))
    for eps in (0.05, 0.3, 1.0):
        for steps, step in ((1, eps), (10, eps / 10), (10, eps / 3)):
            moved = bim(images, ascent, eps, steps, step)
            assert (moved - images).abs().max() <= eps + 1e-15
            assert moved.min() >= 0
            assert moved.max() <= 1
        assert torch.equal(bim(images, ascent, eps, 1, eps), fgsm(images, ascent, eps))


def test_images_without_a_gradient_are_counted_and_do_not_move() -> None:
    """Margin loss is flat where the true length is above 0.9 and all others are below 0.1."""
    rows = [[0.95, 0.05, 0.05], [0.85, 0.05, 0.05], [0.05, 0.95, 0.05], [0.95, 0.05, 0.2]]
    pixels = torch.tensor(rows).view(4, 1, 1, 3)
    split = UnshiftedImages((255 * pixels).round().byte(), torch.tensor([0, 0, 0, 0]))

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return margin_loss(images.flatten(1), one_hot(labels, 3))

    target = Target(
        lambda examples: examples.images,
        lambda images: images.flatten(1),
        lambda images, examples: loss(images, examples.labels),
    )
    far = {("fgsm", 0.9): partial(fgsm, eps=0.9)}
    found = attack_all(target, split, far, CPU, progress=False)
    assert found.without_gradient.tolist() == [True, False, False, False]
    assert found.clean.tolist() == [False, False, True, False]
    assert found.wrong["fgsm", 0.9].tolist() == [False, True, True, True]
    assert len(attack_all(target, split, far, CPU, 3, progress=False).clean) == 3


def test_a_gradient_far_below_the_largest_counts_as_none() -> None:
    largest = torch.tensor([0.0, 1e-13, 1e-11, 1.0])
    assert Found(largest > 2, {}, largest).without_gradient.tolist() == [True, True, False, False]
    flat = torch.zeros(2)
    assert Found(flat > 2, {}, flat).without_gradient.all()


def test_a_gradient_that_is_not_finite_ends_it() -> None:
    with pytest.raises(UserError, match="no finite gradient"):
        gradient(lambda x: x.sqrt().sum(), torch.zeros(1, 1, 2, 2))


def untrained(root: Path, experiment: str) -> LoadedRun:
    """A run on the UCI digits whose network has the weights that it would begin with."""
    run = tiny(root, experiment=experiment)
    data = load_dataset(run)
    return LoadedRun(run, build_network(anywhere(run), data.info), data, CPU)


def test_gradients_of_a_capsnet_are_finite_differences(data_root: Path) -> None:
    """The fast kernels in fp32 against the reference in float64, at the steepest pixels."""
    loaded = untrained(data_root, "mnist_capsnet_r3_recon")
    slow = replace(loaded.run, trainer=replace(loaded.run.trainer, kernels="reference"))
    exact = build_network(slow, loaded.data.info).double().requires_grad_(False)
    exact.load_state_dict(loaded.network.state_dict())
    examples = loaded.data.tests["test"].split.examples(torch.arange(2), None)
    targets = one_hot(examples.labels, 10).double()
    losses = {
        TRAINING: lambda scores: 2 * margin_loss(scores, targets),
        CROSS_ENTROPY: lambda scores: summed_cross_entropy(scores, examples.labels),
        SCORE_MARGIN: lambda scores: summed_score_margin(scores, examples.labels),
    }
    for name, loss in losses.items():
        target = target_of(loaded, name)
        found = gradient(lambda x, t=target: t.loss(x, examples), examples.images)
        for place in found.abs().flatten().topk(4).indices.tolist():
            ends = []
            for change in (1e-5, -1e-5):
                moved = examples.images.double().flatten()
                moved[place] += change
                ends.append(loss(exact.class_scores(moved.view(2, 1, 28, 28))).item())
            slope = (ends[0] - ends[1]) / 2e-5
            assert found.flatten()[place].item() == pytest.approx(slope, rel=2e-3), name


def test_the_training_loss_of_a_baseline_is_cross_entropy_without_dropout(data_root: Path) -> None:
    loaded = untrained(data_root, "mnist_baseline")
    examples = loaded.data.tests["test"].split.examples(torch.arange(3), None)
    found = list[Tensor]()
    for target in (target_of(loaded, TRAINING), target_of(loaded, CROSS_ENTROPY)):
        found.append(gradient(lambda x, t=target: t.loss(x, examples), examples.images))
    assert torch.allclose(*found, rtol=1e-4, atol=1e-9)
    assert found[0].any()


def test_views_that_standardise_are_attacked_before_it() -> None:
    run = composed("experiment=cifar10_capsnet", *TINY)
    pixels = torch.arange(2 * 3 * 32 * 32, dtype=torch.int64).view(2, 3, 32, 32) * 7 % 256
    split = Cifar10Crops(pixels.byte(), torch.tensor([1, 2]), seed=0)
    data = DataSet(split, None, {}, "", dataset_info(run.data))
    loaded = LoadedRun(run, build_network(anywhere(run), data.info), data, CPU)
    target, examples = target_of(loaded, SCORE_MARGIN), split.examples(torch.arange(2), None)
    images = target.images(examples)
    assert 0 <= images.min() < 0.1 < 0.9 < images.max() <= 1
    shown = loaded.network.class_scores(examples.images)
    assert torch.allclose(target.scores(images), shown, atol=1e-5)


@pytest.fixture(scope="module")
def folder(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that are finished, but not trained, and their records."""
    folder = tmp_path_factory.mktemp("attacked")
    for experiment in ("mnist_capsnet_r3_recon", "mnist_baseline"):
        loaded = untrained(data_root, experiment)
        place = folder / "results/mine" / experiment / "seed0.json"
        run = replace(loaded.run, record=str(place))
        save_weights(loaded.network, run, loaded.data.info, folder / experiment)
        identity = {"config": config_digest(run), "data": "the same"}
        tests = {"test": outcome("uci-digits", 1, 2)}
        model = asdict(run.model)
        write_record(
            record(experiment=experiment, identity=identity, tests=tests, model=model), place
        )
    return folder


def command(*words: str | Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("sys.argv", ["attack", *map(str, words)])
    main()


def test_errors_are_those_of_evaluate_and_of_fgsm_written_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Margin loss by hand, over all test images of the CapsNet at once."""
    run = folder / "mnist_capsnet_r3_recon"
    command(run, "--attack", "fgsm", "--eps", "0.1", patch=monkeypatch)
    found = read_attacks(folder / "results/mine" / run.name / "seed0.attacks.json")
    assert found.clean == evaluate(run, [])["test"]

    loaded = load_run(run, [])
    split = loaded.data.tests["test"].split
    examples = split.examples(torch.arange(len(split)), None)
    true = torch.eye(10)[examples.labels[:, 0]]
    images = examples.images.requires_grad_()
    v = loaded.network(images).norm(dim=2)
    loss = true * (0.9 - v).relu() ** 2 + 0.5 * (1 - true) * (v - 0.1).relu() ** 2
    loss.sum().backward()
    assert images.grad is not None
    moved = (images + 0.1 * images.grad.sign()).clip(0, 1)
    wrong = loaded.network(moved).norm(dim=2).argmax(1) != examples.labels[:, 0]
    [attacked] = found.attacked
    assert attacked.test.errors == pytest.approx(int(wrong.sum()), abs=2)  # of rounding
    assert attacked.test.errors > found.clean.errors
    assert found.zero_gradients == 0


def test_two_runs_are_compared_and_written_beside_their_records(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = folder / "mnist_capsnet_r3_recon", folder / "mnist_baseline"
    records, few = by_path(read_runs(folder / "results/mine")), ("--limit", "9", "--steps", "2")
    command(*runs, *few, "--eps", "0.3", "0.1", "--loss", SCORE_MARGIN, patch=monkeypatch)
    paths = [folder / "results/mine" / run.name / "seed0.score_margin.attacks.json" for run in runs]
    printed, every = capsys.readouterr().out, [read_attacks(path) for path in paths]
    assert by_path(read_runs(folder / "results/mine")) == records
    for one, path in zip(every, paths, strict=True):
        assert f"Written to {path}\n" in printed
        assert (one.record, one.demo, one.loss) == ("seed0.json", True, SCORE_MARGIN)
        assert (one.bim_steps, one.bim_step, one.clean.total) == (2, 0.5, 9)
        points = [(name, eps) for name in ("fgsm", "bim") for eps in (0.1, 0.3)]
        assert [(at.attack, at.eps) for at in one.attacked] == points
    capsnet, baseline = (one.clean.error_percent for one in every)
    words = f"seed 0 {baseline:.2f} %, a difference of {abs(capsnet - baseline):.2f} points"
    assert words in printed


def attacks(**changes: Any) -> Attacks:
    """Attacks as those of a run of the paper's width on MNIST, and any part of it changed."""
    tests = {eps: outcome("mnist", errors, 100) for eps, errors in ((0, 2), (0.1, 10), (0.3, 80))}
    values: dict[str, Any] = {
        **{"experiment": "mnist_capsnet_r3", "seed": 0, "variant": "released"},
        **{"schedule": "short", "dataset": "MNIST", "demo": False, "record": "seed0.json"},
        **{"weights": "0", "loss": TRAINING, "bim_steps": 10, "bim_step": 0.1},
        **{"zero_gradients": 30, "clean": tests[0], "device": "", "commit": None},
        **{"clean_code": None},
        "attacked": (Attacked("fgsm", 0.1, tests[0.1]), Attacked("bim", 0.3, tests[0.3])),
    }
    return Attacks(**values | changes)


def test_the_table_has_a_row_for_each_attack_but_those_on_stand_ins() -> None:
    table = attacks_table([attacks(), attacks(demo=True, seed=1)])
    low, high = wilson(10, 100)
    attacked = f"90.0 ({100 - high:.1f}–{100 - low:.1f})"
    first, second = by_name(table)
    assert first["run"] == "mnist_capsnet_r3, seed 0"
    assert (first["attack"], first["no gradient %"], first["eps 0.1"], first["eps 0.3"]) == (
        *("FGSM", "30.0", attacked),
        "–",
    )
    assert (second["attack"], second["eps 0.1"]) == ("BIM, 10 × 0.1 eps", "–")
    assert first["clean"].startswith("98.0 (")
    assert first["schedule"] == "short"


def test_a_narrow_network_that_was_stopped_is_named_as_such() -> None:
    table = attacks_table([attacks(width=0.25, stopped=1400)])
    row = by_name(table)[0]
    assert row["run"] == "mnist_capsnet_r3 of width 0.25, seed 0"
    assert row["schedule"] == "short, 1,400 steps"


def test_the_figure_shows_both_attacks_side_by_side_with_bands() -> None:
    chart = figure_attacks([attacks(), attacks(loss=SCORE_MARGIN, zero_gradients=0)])
    [[one_step, _]] = chart.rows
    values = one_step.chart.to_dict()["data"]["values"]
    low, high = wilson(10, 100)
    assert [value["accuracy"] for value in values] == [98, 90, 98, 90]
    assert (values[1]["low"], values[1]["high"]) == pytest.approx((100 - high, 100 - low))
    assert [value["flat"] for value in values] == [30, 30, 0, 0]
    assert chart.caption.count("mnist_capsnet_r3, seed 0, released: 2.00 % of 100") == 1
    assert chart.caveats == ["short schedule"]


def test_what_cannot_be_attacked_is_an_error_in_a_line(
    folder: Path,
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, two = folder / "mnist_baseline", untrained(data_root, "mnist_baseline")
    pairs = composed("experiment=multimnist_baseline", *TINY, f"data.root={data_root}")
    save_weights(two.network, pairs, two.data.info, tmp_path / "pairs")
    cases = {
        "no RUN is named": ["data.root=data"],
        "nowhere does not exist": ["nowhere"],
        "must be for one RUN": [run, run, "--output", tmp_path / "x.attacks.json"],
        "and end in .attacks.json": [run, "--output", tmp_path / "x.json"],
        "images of 2 objects": [tmp_path / "pairs"],
        "only data=SET and data.key=value": [run, "data.root"],
        "holds no prepared data": [run, f"data.root={tmp_path}"],
    }
    for message, words in cases.items():
        with pytest.raises(SystemExit, match="1"):
            command(*words, patch=monkeypatch)
        assert message in capsys.readouterr().err, message
    for option in ("--eps", "--step-size"):
        with pytest.raises(SystemExit, match="2"):
            command(run, option, "1.5", patch=monkeypatch)
        assert "1.5 is not above 0 and at most 1" in capsys.readouterr().err
    assert list(tmp_path.glob("*.json")) == []


def test_files_of_attacks_are_no_records_and_old_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "seed0.attacks.json"
    write_attacks(attacks(), path)
    assert read_attacks(path) == attacks()
    assert read_runs(tmp_path, "*.json") == []
    with pytest.raises(UserError, match=r"\*\.attacks\.json are files of attacks"):
        record_path(tmp_path, str(path))
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 0}))
    with pytest.raises(UserError, match=r"holds no attacks of this version; run .* again"):
        read_attacks(path)


def test_a_record_of_other_weights_is_not_written_beside(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "mnist_baseline", tmp_path / "run")
    config = tmp_path / "run/config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 1"))
    assert output(tmp_path / "run", None, TRAINING, 1) == tmp_path / "run/record.attacks.json"
