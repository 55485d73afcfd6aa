"""The contents of W&B's offline files, read back."""

import math
import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from wandb.wandb_agent import Agent

from capsnet import evaluate, paper
from capsnet.compose import composed
from capsnet.data.info import DatasetInfo
from capsnet.records.record import read_arrays, read_record
from capsnet.tracking.credentials import host, logged_in
from capsnet.tracking.dashboards import bars
from capsnet.tracking.wandb_summary import beside_the_paper
from capsnet.train import train
from capsnet.training.fingerprint import PACKAGE
from conftest import Shown
from helpers.offline_wandb import Artifact, OfflineRun, read_run, read_runs
from helpers.records import record
from helpers.running import TINY, tiny
from helpers.wandb_server import Server, serving

pytestmark = pytest.mark.slow

CAPSNET, PAIRS, BASELINE = "mnist_capsnet_r3_recon", "multimnist_capsnet_r3_recon", "mnist_baseline"
SWEEP = PACKAGE.parents[1] / "sweep.yaml"


def files(page: OfflineRun) -> dict[str, Artifact]:
    """The artifacts that are not W&B's own copies of tables."""
    return {name: it for name, it in page.artifacts.items() if not name.startswith("run_table/")}


def pixels(page: OfflineRun, place: int) -> np.ndarray:
    [row] = [row for row in page.history if "reconstructions.filenames" in row]
    return np.array(Image.open(page.folder / row["reconstructions.filenames"][place]))


def captions(page: OfflineRun) -> list[str]:
    [told] = [row[name] for row in page.history if (name := "reconstructions.captions") in row]
    return told


@pytest.mark.parametrize(
    ("experiment", "data"), [(CAPSNET, "shifted"), (PAIRS, "multimnist"), (BASELINE, "shifted")]
)
def test_a_page_says_what_the_run_was(experiment: str, data: str, shown: dict[str, Shown]) -> None:
    record, _, page = shown[experiment]
    assert (page.id, page.exit_code) == (record.wandb_id, 0)
    assert (page.name, page.group, page.job_type) == (f"{experiment}-seed0", experiment, "train")
    assert set(page.tags) == {"uci-digits", data, "released", "demo"}
    assert page.config["schedule"]["batch"] == 32
    assert page.config["identity"] == record.identity
    assert page.config["model"].get("routing_iterations") == vars(record.model).get(
        "routing_iterations"
    )


def test_a_page_is_read_however_much_of_it_is_written(
    shown: dict[str, Shown], tmp_path: Path
) -> None:
    """W&B's service is another process: a reader meets its file cut off anywhere."""
    page = shown[BASELINE].page
    [path] = page.folder.parent.glob("*.wandb")
    raw, cut = path.read_bytes(), tmp_path / "cut.wandb"
    for length in [*range(0, len(raw), 997), *range(100)]:
        cut.write_bytes(raw[:length])
        read = read_run(cut, patience=0)
        assert read.exit_code is None
        assert read.history == page.history[: len(read.history)]
    cut.write_bytes(raw)
    assert read_run(cut).history == page.history


def test_everything_is_drawn_over_the_images_seen(shown: dict[str, Shown]) -> None:
    page = shown[CAPSNET].page
    assert page.step_metrics["*"] == "images_seen"
    trained = [row for row in page.history if "train/loss" in row]
    assert [row["images_seen"] for row in trained] == [32 * step for step in range(10, 61, 10)]
    for row in trained:
        parts = row["train/margin"] + row["train/reconstruction"]
        assert math.isclose(row["train/loss"], parts, rel_tol=1e-6)
        assert row["train/images_per_second"] > 0
    for name, seen in (("validation/error", [960, 1920]), ("test/error", [1920])):
        assert [row["images_seen"] for row in page.history if name in row] == seen
    [last] = [row for row in page.history if "reconstructions.captions" in row]
    assert last["images_seen"] == 1920


@pytest.mark.parametrize("experiment", [CAPSNET, PAIRS, BASELINE])
def test_the_summary_is_the_record(experiment: str, shown: dict[str, Shown]) -> None:
    record, _, page = shown[experiment]
    test = record.tests["test"]
    expected = {
        "test/error": test.errors / test.total,
        "test/errors": test.errors,
        "test/total": test.total,
        "steps_done": record.steps_done,
        "stopped": None,
        "parameters": record.parameters,
        "train_seconds": record.train_seconds,
        "images_per_second": record.images_per_second,
    }
    assert {name: page.summary[name] for name in expected} == expected


def test_the_data_are_inputs_and_the_weights_an_output(shown: dict[str, Shown]) -> None:
    told = {experiment: files(run.page) for experiment, run in shown.items()}
    both = ["config.yaml", "weights.safetensors"]
    for experiment, artifacts in told.items():
        made = artifacts.pop(f"model/{experiment}-seed0")
        assert (made.files, made.used) == (both, False)
        assert {it.used for it in artifacts.values()} == {True}
        assert {tuple(it.files) for it in artifacts.values()} == {("manifest.json",)}
    names = {experiment: set(artifacts) for experiment, artifacts in told.items()}
    digits = {"dataset/data-digits"}
    pairs = digits | {"dataset/data-multimnist-digits"}
    assert names == {CAPSNET: digits, PAIRS: pairs, BASELINE: digits}
    same = {tuple(sorted(it["dataset/data-digits"].aliases)) for it in told.values()}
    assert len(same) == 1  # the same content has the same name in every run


def test_reconstructions_and_routing_are_shown(shown: dict[str, Shown]) -> None:
    _, folder, page = shown[CAPSNET]
    kept = read_arrays(folder / "record.json")
    true, predicted = kept["targets"][0, :2, 0]
    assert captions(page)[0] == f"true {true}, predicted {predicted}"
    assert len(captions(page)) == len(kept["images"])
    drawn = [kept["images"][0], kept["parts"][0, 0], kept["reconstructions"][0, 0, 0]]
    assert np.array_equal(pixels(page, 0), np.hstack(drawn))
    [row] = [row for row in page.history if "capsules/couplings.values" in row]
    couplings, lengths = (row[f"capsules/{name}.values"] for name in ("couplings", "lengths"))
    assert couplings == kept["couplings"].tolist()
    assert sum(couplings) == 128 * 36 * 10  # examples, capsules below and above
    assert sum(lengths) == 128 * 10


def test_of_two_digits_the_reconstructions_lie_over_each_other(shown: dict[str, Shown]) -> None:
    _, folder, page = shown[PAIRS]
    kept = read_arrays(folder / "record.json")
    true, predicted = kept["targets"][0, :2]
    words = "true {} (red) and {} (green), predicted {} and {}"
    assert captions(page)[0] == words.format(*true, *predicted)
    strip, drawn = pixels(page, 0), kept["reconstructions"][0, 0]
    side = kept["images"].shape[2]
    assert strip.shape == (side, 6 * side, 3)
    parts = np.split(strip, 6, axis=1)
    grey = [kept["images"][0], *kept["parts"][0], *drawn]
    assert all((part == one[..., None]).all() for part, one in zip(parts, grey, strict=False))
    red, green, blue = np.moveaxis(parts[5], 2, 0)
    assert np.array_equal([red, green], drawn)
    assert not blue.any()


@pytest.mark.parametrize("experiment", [CAPSNET, PAIRS, BASELINE])
def test_confusions_are_counted_as_the_record_counts(
    experiment: str, shown: dict[str, Shown]
) -> None:
    record, folder, page = shown[experiment]
    kept = read_arrays(folder / "record.json")["confusion.test"]
    rows = page.table("test/confusion_table")
    places = [(int(row["Actual"]), int(row["Predicted"])) for row in rows]
    assert places == list(product(range(10), range(10)))
    assert [row["nPredictions"] for row in rows] == kept.flatten().tolist()
    plot = page.config["_wandb.visualize.test/confusion"]["panel_config"]
    assert plot["panelDefId"] == "wandb/confusion_matrix/v1"
    digits, test = (2 if experiment == PAIRS else 1), record.tests["test"]
    assert kept.sum() == digits * test.total
    missed = kept.sum() - kept.trace()
    assert test.errors <= missed <= digits * test.errors


def test_errors_stand_beside_those_of_the_paper(shown: dict[str, Shown]) -> None:
    published = {row.experiment: row for table in paper.TABLES for row in table.rows}
    for experiment, (result, _, page) in shown.items():
        [row] = page.table("paper")
        assert row["error_percent"] == result.tests["test"].error_percent
        assert row["paper_percent"] == published[experiment].error_percent
        assert row["row"] == published[experiment].name
        assert "uci-digits" in row["run"]
        assert "width 0.03" in row["run"]


def test_one_network_is_not_compared_with_an_ensemble() -> None:
    info = DatasetInfo("CIFAR-10", 3, 24, 24)
    one = record(1_500, experiment="cifar10_capsnet", dataset=info)
    [row] = beside_the_paper(one)["paper"].data
    assert row[1] == "7 CapsNets together"
    assert row[-2:] == [15.0, None]
    assert bars.TITLES["CIFAR-10"] == "CIFAR-10 test error, %; lines: the paper's ensemble of 7"
    assert bars.TITLES["MNIST"] == "MNIST test error, %; lines: the paper's"


def test_a_failed_run_ends_as_failed(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")

    def broken(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("capsnet.training.run.write_record", broken)
    with pytest.raises(OSError, match="No space left"):
        train(tiny(data_root, "schedule.steps=2", experiment=BASELINE), tmp_path)
    [page] = read_runs(tmp_path)
    assert page.exit_code == 1


def test_an_evaluation_names_the_weights_that_it_used(
    shown: dict[str, Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, folder, trained = shown[BASELINE]
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(sys, "argv", ["evaluate", str(folder), "--wandb", "data.shift=1"])
    evaluate.main()
    [page] = [page for page in read_runs(folder) if page.id != trained.id]
    assert (page.job_type, page.group, page.exit_code) == ("evaluate", BASELINE, 0)
    assert page.name == f"{BASELINE}-seed0 data.shift=1"
    weights = files(page)[f"model/{BASELINE}-seed0"]
    made = files(trained)[f"model/{BASELINE}-seed0"]
    assert weights.used
    assert set(weights.aliases) == set(made.aliases)
    [digest] = {*made.aliases} - {"latest"}
    assert page.config["weights"] == f"{BASELINE}-seed0:{digest}"
    assert files(page)["dataset/data-digits"].used
    assert page.summary["test/errors"] == record.tests["test"].errors


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({"WANDB_BASE_URL": "https://api.wandb.ai"}, True),
        ({"WANDB_BASE_URL": "http://wandb.example:8080"}, True),
        ({"WANDB_BASE_URL": "http://wandb.example"}, False),  # another port, another server
        ({"WANDB_BASE_URL": "https://other.example", "WANDB_API_KEY": "key"}, True),
    ],
)
def test_the_key_has_to_be_that_of_the_server(
    environment: dict[str, str],
    expected: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = ("api.wandb.ai", "wandb.example:8080")
    told = "".join(f"machine {name} login user password {'k' * 40}\n" for name in keys)
    (tmp_path / "netrc").write_text(told)
    (tmp_path / "netrc").chmod(0o600)
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert logged_in() == expected, host()
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert logged_in() == ("WANDB_API_KEY" in environment)


def test_every_run_of_the_sweep_composes() -> None:
    sweep = yaml.safe_load(SWEEP.read_text())
    names, values = zip(*sweep["parameters"].items(), strict=True)
    fixed = [part for part in sweep["command"] if "=" in part and not part.startswith("hydra.")]
    for chosen in product(*(one["values"] for one in values)):
        run = composed(*fixed, *(f"{k}={v}" for k, v in zip(names, chosen, strict=True)))
        told = {"model.routing_iterations": run.model.routing_iterations, "seed": run.seed}  # pyright: ignore[reportAttributeAccessIssue]
        assert told == dict(zip(names, chosen, strict=True))
    assert sweep["metric"]["name"] == "validation/error"
    assert "data.holdout=0.2" in fixed  # without it there is no such metric


def test_the_agents_of_two_sweeps_run_what_they_say(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = yaml.safe_load(SWEEP.read_text())
    monkeypatch.chdir(tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    told = {"PATH": path, "WANDB_MODE": "offline"}
    for name in ("WANDB_DIR", "WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH"):
        monkeypatch.setenv(name, "")  # what the agent sets is forgotten after the test
        monkeypatch.delenv(name)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    quick = (*TINY, "schedule.steps=4", "schedule.validate_every=2", f"data.root={data_root}")
    values = {"model.routing_iterations": {"value": 2}, "seed": {"value": 1}}
    for name, chosen in {"first": "chosen1", "second": "chosen2"}.items():
        monkeypatch.setenv("WANDB_SWEEP_ID", name)
        agent = Agent(api=None, queue=None, sweep_id=name)
        agent._sweep_command = [*sweep["command"], *quick]
        agent._command_run({"run_id": chosen, "program": sweep["program"], "args": values})
        assert agent._run_processes[chosen].wait() == 0
        [record] = [read_record(path) for path in tmp_path.glob(f"runs/{name}/*/record.json")]
        [page] = [page for run in tmp_path.glob(f"runs/{name}/*") for page in read_runs(run)]
        assert (record.seed, vars(record.model)["routing_iterations"]) == (1, 2)
        assert page.id == record.wandb_id == chosen
        assert page.summary["validation/error"] <= 1


def server_environment(server: Server, home: Path) -> dict[str, str]:
    """Return the environment of a user who is logged in to `server` and sets no mode."""
    known = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    about = {"HOME": str(home), "WANDB_BASE_URL": server.url, "WANDB_API_KEY": "a" * 40}
    return known | about


def test_sync_uploads_an_offline_run_with_its_lineage(
    shown: dict[str, Shown], tmp_path: Path
) -> None:
    page = shown[PAIRS].page
    copy = shutil.copytree(page.folder.parent, tmp_path / page.folder.parent.name)
    with serving() as server:
        subprocess.run(
            [Path(sys.executable).parent / "wandb", "sync", copy],
            cwd=tmp_path,
            env=server_environment(server, tmp_path),
            check=True,
            timeout=120,
        )
    made = server.sent["upsertBucket"][0]
    assert (made["name"], made["groupName"], made["jobType"]) == (page.id, PAIRS, "train")
    logged = {
        told["digest"]: told["artifactCollectionName"] for told in server.sent["createArtifact"]
    }
    used = {logged[told["artifactID"]] for told in server.sent["useArtifact"]}
    assert used == {"data-digits", "data-multimnist-digits"}
    assert f"{PAIRS}-seed0" in logged.values()


def test_neither_a_bad_key_nor_a_dead_server_costs_a_run(data_root: Path, tmp_path: Path) -> None:
    """Both at once, as the second waits for an answer."""
    wrong = {"key": {"WANDB_API_KEY": "no key"}, "server": {"WANDB_BASE_URL": "http://127.0.0.1:9"}}
    quick = (f"experiment={BASELINE}", *TINY, "schedule.steps=2", f"data.root={data_root}")
    with serving() as server:
        waiting = {"WANDB_INIT_TIMEOUT": "6"}
        started = {
            name: subprocess.Popen(
                [sys.executable, "-m", "capsnet.train", *quick, f"hydra.run.dir={name}"],
                cwd=tmp_path,
                env=server_environment(server, tmp_path) | waiting | setting,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name, setting in wrong.items()
        }
        printed = {name: process.communicate(timeout=120) for name, process in started.items()}
    for name, process in started.items():
        out, error = printed[name]
        assert process.returncode == 0, error
        assert "Logged offline; `wandb sync` uploads it later" in out
        [page] = read_runs(tmp_path / name)
        assert page.id == read_record(tmp_path / name / "record.json").wandb_id


def test_with_an_account_a_run_is_online_and_no_refusal_of_the_server_costs_it(
    data_root: Path, tmp_path: Path
) -> None:
    quick = (f"experiment={BASELINE}", *TINY, "schedule.steps=2", f"data.root={data_root}")
    with serving() as server:
        server.refused = {"useArtifact"}
        done = subprocess.run(
            [sys.executable, "-m", "capsnet.train", *quick, "hydra.run.dir=run"],
            cwd=tmp_path,
            env=server_environment(server, tmp_path),
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    record = read_record(tmp_path / "run" / "record.json")
    assert {told["name"] for told in server.sent["upsertBucket"]} == {record.wandb_id}
    logged = {
        told["digest"]: told["artifactCollectionName"] for told in server.sent["createArtifact"]
    }
    [asked] = server.sent["useArtifact"]
    assert logged[asked["artifactID"]] == "data-digits"
    [line] = [line for line in done.stdout.splitlines() if "W&B" in line]
    assert "run: W&B's run lacks what comes at the end: " in line
    assert line.endswith("no, not that")
