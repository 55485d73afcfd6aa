"""Routing over a test set: the numbers against loops in numpy, the report, its tables, figure."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf

from capsnet import config
from capsnet.data import dataset
from capsnet.data.examples import Examples, UnshiftedImages
from capsnet.data.loading import load_dataset
from capsnet.errors import UserError
from capsnet.evaluate import evaluate
from capsnet.evaluation.predict import predict
from capsnet.networks import CapsNet
from capsnet.records.record import ROUTING, outcome, record_path, write_record
from capsnet.records.routing_reports import (
    RoutedTest,
    RoutingReport,
    TrainedNetwork,
    never_longer,
    read_report,
    read_reports,
    write_report,
)
from capsnet.records.run_folder import WEIGHTS
from capsnet.records.runs import read_runs
from capsnet.records.weights import save_weights
from capsnet.report.__main__ import main
from capsnet.report.figures.routing_statistics import figure_routing
from capsnet.report.routing import describe_routing, output, trained_network
from capsnet.report.tables.routing import routing_tables
from capsnet.routing import LEAKY
from capsnet.routing_statistics import (
    RoutingStatistics,
    added,
    arrays,
    changed_answers,
    entropies,
    moments,
    routing_statistics,
    summarise,
    variances,
)
from capsnet.training.build_network import build_network
from capsnet.training.fingerprint import config_digest
from helpers import oracle
from helpers.records import by_path, record
from helpers.running import tiny

Array = NDArray[np.float64]


def couplings_of(n: int, seed: int = 0) -> tuple[Array, NDArray[np.int64]]:
    """Couplings [n, 5, 4] that depend on labels 0, 2, 3 of four classes; class 1 has none."""
    rng = np.random.default_rng(seed)
    labels = np.array([0, 2, 3])[rng.integers(0, 3, n)]
    logits = rng.normal(size=(n, 5, 4)) + np.eye(4)[labels][:, None] * np.arange(5)[:, None]
    return np.exp(logits) / np.exp(logits).sum(2, keepdims=True), labels


def loop_variances(c: Array, labels: NDArray[np.int64]) -> tuple[float, float, float]:
    """Total, between and within, one c_ij and one class at a time."""
    total = between = within = 0.0
    for i in range(c.shape[1]):
        for j in range(c.shape[2]):
            values = c[:, i, j]
            total += np.mean((values - np.mean(values)) ** 2)
            for one in set(labels.tolist()):
                own = values[labels == one]
                share = len(own) / len(values)
                between += share * (np.mean(own) - np.mean(values)) ** 2
                within += share * np.mean((own - np.mean(own)) ** 2)
    entries = c.shape[1] * c.shape[2]
    return total / entries, between / entries, within / entries


def test_the_variance_is_that_of_loops_and_its_parts_add_up() -> None:
    c, labels = couplings_of(60)
    total, between, within = loop_variances(c, labels)
    found = variances(moments(torch.from_numpy(c), torch.from_numpy(labels), 4))
    assert float(found.between) == pytest.approx(between, rel=1e-10)
    assert float(found.within) == pytest.approx(within, rel=1e-10)
    assert float(found.between + found.within) == pytest.approx(total, rel=1e-12)
    assert 0.1 < between / total < 0.9


def test_batches_of_any_size_have_the_same_variance() -> None:
    c, labels = (torch.from_numpy(array) for array in couplings_of(60))
    parts = [moments(c[some], labels[some], 4) for some in torch.arange(60).split([7, 1, 52])]
    found, once = variances(added(added(*parts[:2]), parts[2])), variances(moments(c, labels, 4))
    assert [float(one) for one in found] == pytest.approx([float(one) for one in once], rel=1e-12)


def test_couplings_that_depend_on_the_class_alone_or_not_at_all() -> None:
    labels = torch.arange(40) % 4
    by_class = torch.eye(4)[labels][:, None].expand(-1, 3, -1)
    found = variances(moments(by_class, labels, 4))
    assert (float(found.between), float(found.within)) == (pytest.approx(3 / 16), 0)
    alternating = torch.eye(4)[torch.arange(40) // 4 % 2][:, None].expand(-1, 3, -1)
    found = variances(moments(alternating, labels, 4))
    assert (float(found.between), float(found.within)) == (pytest.approx(0), pytest.approx(1 / 8))


def test_the_entropy_is_that_of_a_loop_and_0_where_a_capsule_has_one_parent() -> None:
    c, _ = couplings_of(3)
    expected = [[-sum(p * np.log(p) for p in row) for row in one] for one in c]
    np.testing.assert_allclose(entropies(torch.from_numpy(c)), expected, rtol=1e-12)
    assert entropies(torch.eye(4)[None]).tolist() == [[0.0] * 4]
    even = torch.full((1, 1, 4), 0.25)
    assert entropies(even).item() == pytest.approx(np.log(4))
    assert entropies(0.6 * even).item() == pytest.approx(np.log(4))  # a leak takes the rest


def test_changed_answers_are_counted_against_the_first_and_the_one_before() -> None:
    answers = np.array([[[1], [2], [3]], [[1], [0], [3]], [[1], [2], [0]], [[1], [2], [0]]])
    assert changed_answers(answers) == ([0, 1, 1, 1], [0, 1, 2, 0])
    pairs = np.array([[[1, 2], [3, 4]], [[1, 2], [3, 5]]])
    assert changed_answers(pairs) == ([0, 1], [0, 1])


def test_capsules_as_long_as_a_threshold_do_not_exceed_it() -> None:
    longest = np.array([0.005, 0.05, 0.3, 0.9])
    assert never_longer(longest) == {"0.01": 1, "0.02": 1, "0.05": 2, "0.1": 2, "0.2": 2, "0.5": 3}


def small(**changes: object) -> CapsNet:
    torch.manual_seed(0)
    options = {"image": (1, 20, 20), "channels": 3, "types": 2, "decoder": False}
    network = CapsNet(**(options | changes)).double().eval()  # pyright: ignore[reportArgumentType]
    torch.nn.init.normal_(network.class_capsules.weight, std=1.0)  # or routing would do little
    return network


class DoubleImages(UnshiftedImages):
    """Noise in float64, so that the network can be held against the oracle."""

    def examples(self, indices: torch.Tensor, step: int | None) -> Examples:
        found = super().examples(indices, step)
        return found._replace(images=found.images.double())


@pytest.fixture(scope="module")
def noise() -> DoubleImages:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (230, 1, 20, 20), generator=generator, dtype=torch.uint8)
    return DoubleImages(images, torch.arange(230) % 3)


@pytest.fixture(scope="module")
def found(noise: DoubleImages) -> RoutingStatistics:
    return routing_statistics(small(), noise, iterations=4, progress=False)


@torch.no_grad()
def test_every_number_is_the_oracles(noise: DoubleImages, found: RoutingStatistics) -> None:
    """On all 230 examples, of two batches."""
    network, layer = small(), small().class_capsules
    u = network.primary_capsules(noise.images.double() / 255).numpy()
    assert layer.bias is not None
    steps = oracle.routing(u, layer.weight.numpy(), 4, layer.bias.numpy())
    labels = noise.labels.numpy()
    for k, step in enumerate(steps):
        answers = np.linalg.norm(step.v, axis=2).argmax(1)
        assert found.answers[k, :, 0].tolist() == answers.tolist()
        assert found.wrong[k].tolist() == (answers != labels).tolist()
        entropy = -np.mean(np.sum(step.couplings * np.log(step.couplings), axis=2))
        assert found.entropy[k] == pytest.approx(entropy, rel=1e-9)
        _, between, within = loop_variances(step.couplings, labels)
        assert found.variances[k].tolist() == pytest.approx([between, within], rel=1e-7, abs=1e-20)
    assert found.entropy[0] == pytest.approx(np.log(10), rel=1e-12)
    assert found.variances[0].tolist() == pytest.approx([0, 0], abs=1e-30)
    assert len({tuple(one) for one in found.answers[..., 0].tolist()}) > 1
    np.testing.assert_allclose(found.longest, np.linalg.norm(u, axis=2).max(0), rtol=1e-6)


@pytest.mark.parametrize("tested", [1, 2, 4])
@pytest.mark.parametrize("changes", [{}, {"routing": LEAKY}, {"routing_bias": False}])
def test_iteration_k_is_the_network_tested_with_k_iterations(
    changes: dict[str, object], tested: int, noise: DoubleImages
) -> None:
    few = replace(noise, images=noise.images[:40], labels=noise.labels[:40])
    found = routing_statistics(small(**changes), few, iterations=4, progress=False)
    alone = predict(small(iterations=tested, **changes), few, progress=False)
    assert found.wrong[tested - 1].tolist() == alone.wrong.tolist()


def test_a_summary_counts_errors_with_wilsons_interval(
    noise: DoubleImages, found: RoutingStatistics
) -> None:
    test = summarise(dataset.TestSet(noise, "noise", 230), found)
    assert test.errors == tuple(outcome("noise", int(one.sum()), 230) for one in found.wrong)
    assert test.entropy_share[0] == pytest.approx(1)
    assert test.variance_between is not None
    assert test.variance_within is not None
    both = zip(test.variance_between, test.variance_within, strict=True)
    assert test.variance == tuple(between + within for between, within in both)
    assert test.changed_from_first == tuple(changed_answers(found.answers)[0])
    assert sum(test.changed_from_previous) >= max(test.changed_from_first) > 0
    kept = arrays("test", found)
    assert {*kept} == {"answers.test", "labels.test", "longest.test"}


class Pairs(DoubleImages):
    """Noise that shows the digit of its label and the next one."""

    def examples(self, indices: torch.Tensor, step: int | None) -> Examples:
        found = super().examples(indices, step)
        return found._replace(labels=torch.cat([found.labels + 1, found.labels], 1))


def test_of_two_labels_the_variance_is_not_divided(noise: DoubleImages) -> None:
    pairs = Pairs(noise.images, noise.labels)
    found = routing_statistics(small(), pairs, progress=False)
    assert found.labels[:2].tolist() == [[0, 1], [1, 2]]
    test = summarise(dataset.TestSet(pairs, "noise", 230), found)
    assert test.variance_between is test.variance_within is None
    single = routing_statistics(small(), noise, progress=False)
    assert test.variance == pytest.approx(tuple(single.variances.sum(1).tolist()), abs=1e-18)
    predicted = predict(small(iterations=3), pairs, progress=False)
    assert test.errors[2].errors == int(predicted.wrong.sum())
    report = replace(made(), tests={"test": test})
    assert routing_tables([report])[1].cells[0][6] == "– (several labels)"
    assert "between" not in figure_routing(report, "test").rows[1][1].title


def made(**changes: object) -> RoutingReport:
    """Make a report of ten iterations with numbers that tell them apart."""
    r = range(10)
    test = RoutedTest(
        errors=tuple(outcome("mnist", 70 - k, 10_000) for k in r),
        entropy_nats=tuple(2.3 - k / 10 for k in r),
        entropy_share=tuple(1 - k / 20 for k in r),
        changed_from_first=tuple(5 * k for k in r),
        changed_from_previous=tuple(5 * (k > 0) for k in r),
        variance=tuple(k / 1000 for k in r),
        variance_between=tuple(k / 4000 for k in r),
        variance_within=tuple(3 * k / 4000 for k in r),
        primary_capsules=1152,
        never_longer={"0.01": 0, "0.02": 0, "0.05": 0, "0.1": 288, "0.2": 576, "0.5": 1152},
    )
    network = TrainedNetwork(
        experiment="mnist_capsnet_r3",
        seed=1,
        variant="released",
        schedule="short",
        steps=4688,
        iterations=3,
        weights="0123",
        record=None,
        identity={},
        caveats=("short schedule",),
    )
    report = RoutingReport(network, {"name": "shifted"}, {"test": test}, "ab", None, None, "cpu")
    return replace(report, network=replace(network, **changes))  # pyright: ignore


def test_the_tables_have_the_reports_numbers() -> None:
    errors, statistics = routing_tables([made(), made(seed=2, variant="text", iterations=4)])
    assert errors.names == ("run", "test set", "r", *(f"r′ = {r}" for r in (1, 2, 3, 4, 5, 10)))
    first, second = errors.cells
    assert first[:4] == ("mnist_capsnet_r3, short, seed 1", "mnist", "3", "0.70 (0.55–0.88)")
    assert second[0] == "mnist_capsnet_r3, text, short, seed 2"
    assert first[-1].startswith("0.61 (")
    assert statistics.cells[0][3:] == (
        "95.00 / 90.00 / 55.00",
        "0.05 / 0.10 / 0.45",
        "0.032 / 0.045 / 0.095",
        "25 / 25 / 25",
        "0.0 / 25.0 / 50.0",
    )
    assert routing_tables([]) == []


def test_the_figure_says_what_is_seen_in_it() -> None:
    chart = figure_routing(made(), "test")
    titles = [panel.title for row in chart.rows for panel in row]
    assert titles == [
        "Error: 0.70 % at 1, 0.68 % at 3, 0.61 % at 10",
        "Answers unlike the first: 0.10 % at 3, 0.45 % at 10",
        "Entropy: 90.00 % at 3, 55.00 % at 10",
        "Variance: 25 % at 3, 25 % at 10 between classes",
    ]
    assert "0.05 in 0, 0.1 in 288" in chart.caption


def test_what_is_written_is_read_and_no_reader_takes_it_for_a_record(tmp_path: Path) -> None:
    folder = tmp_path / "results/short/mnist_capsnet_r3"
    one = record(experiment="mnist_capsnet_r3")
    write_record(one, folder / "seed0.json")
    report = made(record="seed0.json", identity=one.identity)
    write_report(report, folder / f"seed0{ROUTING}")
    assert read_reports(tmp_path) == {folder / f"seed0{ROUTING}": report}
    assert by_path(read_runs(tmp_path / "results/short")) == {folder / "seed0.json": one}
    write_record(replace(one, identity={"data": "another"}), folder / "seed0.json")
    assert read_reports(tmp_path) == {}
    with pytest.raises(UserError, match="are reports on routing"):
        record_path(folder, "results/seed0.routing.json")
    (folder / f"bad{ROUTING}").write_text(json.dumps({"schema": 2}))
    with pytest.raises(UserError, match="is not a report of this version"):
        read_report(folder / f"bad{ROUTING}")


@pytest.fixture
def untrained(data_root: Path, tmp_path: Path) -> tuple[config.RunConfig, Path]:
    """A run and its folder, which a training of no steps would have left."""
    run, folder = tiny(data_root), tmp_path / "run"
    info = load_dataset(run).info
    save_weights(build_network(run, info), run, info, folder)
    return run, folder


def command(*words: str, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "argv", ["report", "routing", *words])
    main()


@pytest.mark.slow
def test_the_command_writes_numbers_arrays_and_figure(
    untrained: tuple[config.RunConfig, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, folder = untrained
    tests = evaluate(folder, [])
    identity = {"config": config_digest(run), "seed": "0", "data": "these"}
    source = record(tests=tests, identity=identity, schedule="demo", steps_done=400)
    write_record(source, folder / "record.json")
    command(str(folder), patch=monkeypatch)
    report = read_report(folder / f"record{ROUTING}")
    assert f"Written to {folder / 'record.routing.json'}" in capsys.readouterr().out
    assert (report.tests["test"].errors[2], len(report.tests["test"].errors)) == (tests["test"], 10)
    network = report.network
    assert (network.record, network.identity) == ("record.json", identity)
    assert (network.iterations, network.steps) == (3, 400)
    assert network.caveats == ("demo", "short schedule")
    with np.load(folder / "record.routing.npz") as kept:
        wrong = (kept["answers.test"] != kept["labels.test"]).any(2)
        assert wrong.sum(1).tolist() == [one.errors for one in report.tests["test"].errors]
        assert never_longer(kept["longest.test"]) == report.tests["test"].never_longer
    assert (folder / "record.routing.png").stat().st_size > 10_000
    assert "Entropy" in (folder / "record.routing.svg").read_text()


def test_a_report_is_beside_the_record_of_the_run_and_of_no_other(
    untrained: tuple[config.RunConfig, Path],
) -> None:
    run, folder = untrained
    place = folder.parent / "seed0.json"
    save_config(replace(run, record=str(place)), folder)
    assert output(None, folder, []) == folder / f"record{ROUTING}"
    assert trained_network(folder, folder).caveats == ("no record",)
    identity = {"config": config_digest(run), "seed": "0"}
    write_record(record(identity=identity), place)
    assert output(None, folder, ["data.root=elsewhere"]) == folder.parent / f"seed0{ROUTING}"
    assert trained_network(folder, folder).record == "../seed0.json"
    write_record(record(identity=identity | {"seed": "1"}), place)
    assert output(None, folder, []) == folder / f"record{ROUTING}"


def test_mistakes_are_told_in_a_sentence_and_nothing_is_written(
    untrained: tuple[config.RunConfig, Path], data_root: Path
) -> None:
    _, folder = untrained
    with pytest.raises(UserError, match=r"--output says where the numbers of other data go"):
        describe_routing(folder, ["data=expanded"])
    with pytest.raises(UserError, match=r"must end in .routing.json"):
        describe_routing(folder, [], asked=folder / "record.json")
    baseline = tiny(data_root, experiment="mnist_baseline")
    save_config(baseline, folder)
    with pytest.raises(UserError, match="is of a mnist_baseline: only a CapsNet routes"):
        describe_routing(folder, [])
    (folder / WEIGHTS).unlink()
    with pytest.raises(UserError, match=f"{WEIGHTS} does not exist"):
        describe_routing(folder, [])
    assert {path.name for path in folder.iterdir()} == {"config.yaml"}


def save_config(run: config.RunConfig, folder: Path) -> None:
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(asdict(run)))
