"""One process, a tiny network, real digits: what a run does, writes and refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from omegaconf import OmegaConf

from capsnet.compose import composed
from capsnet.config import CONF, RunConfig
from capsnet.data import mnist, storage
from capsnet.data.loading import load_dataset
from capsnet.data.storage import read_images
from capsnet.errors import UserError
from capsnet.prepare import prepare
from capsnet.records.provenance import processor
from capsnet.records.record import read_arrays, read_record, write_record
from capsnet.train import check_sweep, result_overrides, train
from capsnet.training import checkpoints
from capsnet.training import run as run_module
from capsnet.training.checkpoints import await_claim, claim
from capsnet.training.factory import build_module
from capsnet.training.fingerprint import folder_identity
from capsnet.training.module import Optimisation
from capsnet.training.sweep_jobs import failed_jobs_named, failure_noted
from helpers.offline_wandb import read_runs
from helpers.running import DEADLINE, TINY, output, shell_code, tiny, wait_for

SHORT = (
    "schedule.steps=60",
    "schedule.decay_steps=100",
    "schedule.batch=32",
    "trainer.log_every=10",
    "trainer.checkpoint_every=0",
    "logger=csv",
)

ANOTHER = {  # run's identity
    **{"seed": "7", "config": "c", "data": "d", "code": "e"},
    **{"steps": "60", "config_without_steps": "f"},
}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint["state_dict"]


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def losses(folder: Path) -> list[float]:
    header, *rows = (folder / "logs/version_0/metrics.csv").read_text().splitlines()
    column = header.split(",").index("train/loss")
    return [float(row.split(",")[column]) for row in rows if row.split(",")[column]]


@pytest.fixture(scope="module")
def finished(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunConfig, Path]:
    run, folder = tiny(data_root, *SHORT), tmp_path_factory.mktemp("finished")
    train(run, folder)
    return run, folder


@pytest.mark.slow
def test_the_record_counts_what_the_last_checkpoint_gets_wrong(
    finished: tuple[RunConfig, Path], data_root: Path
) -> None:
    run, folder = finished
    record = read_record(folder / "record.json")
    digits = read_images(data_root / "digits")
    module = build_module(run, mnist.SPEC.info)
    module.load_state_dict(weights(folder))
    images = torch.from_numpy(digits.test_images).float() / 255
    with torch.no_grad():
        longest = module.eval().network(images).norm(dim=-1).argmax(dim=1)
    assert record.tests["test"].errors == int(
        (longest != torch.from_numpy(digits.test_labels)).sum()
    )
    assert record.tests["test"].total == 500
    bits = read_arrays(folder / "record.json")["wrong.test"]
    right = np.unpackbits(bits, count=500) == 0
    assert np.array_equal(right, (longest == torch.from_numpy(digits.test_labels)).numpy())
    confusion = np.zeros((10, 10))
    np.add.at(confusion, (digits.test_labels, longest.numpy()), 1)
    kept = read_arrays(folder / "record.json")["confusion.test"]
    assert np.array_equal(kept, confusion)
    assert confusion.sum() - confusion.trace() == record.tests["test"].errors
    assert record.source == "uci-digits"
    assert (record.steps_done, record.steps_planned) == (60, 60)
    assert record.parameters == sum(p.numel() for p in module.network.parameters())


@pytest.mark.slow
def test_the_loss_falls(finished: tuple[RunConfig, Path]) -> None:
    curve = losses(finished[1])
    assert len(curve) == 6
    assert curve[-1] < 0.8 * curve[0]


@pytest.mark.slow
def test_the_same_command_again_changes_nothing(finished: tuple[RunConfig, Path]) -> None:
    run, folder = finished
    before, record = weights(folder), read_record(folder / "record.json")
    assert record.wandb_id
    elsewhere = replace(record, device="abacus", commit="c" * 40, versions={"torch": "0.1"})
    write_record(elsewhere, folder / "record.json")
    train(run, folder)
    assert all(torch.equal(before[name], after) for name, after in weights(folder).items())
    after = read_record(folder / "record.json")
    assert after == elsewhere
    (folder / "record.json").write_text("{}")  # of another version, say
    train(run, folder)
    assert read_record(folder / "record.json").device == record.device


@pytest.mark.slow
def test_a_run_is_a_function_of_its_seed(
    finished: tuple[RunConfig, Path], data_root: Path, tmp_path: Path
) -> None:
    run, folder = finished
    record = tmp_path / "again.json"
    write_record(replace(read_record(folder / "record.json"), device="abacus"), record)
    again = train(replace(run, record=str(record)), tmp_path / "again")
    assert again is not None
    assert again.device == read_record(record).device != "abacus"  # trained here, not there
    train(replace(run, seed=1), tmp_path / "other")
    assert same(folder, tmp_path / "again")
    assert not same(folder, tmp_path / "other")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["config", "data", "code", "seed"])
def test_another_runs_checkpoint_is_never_resumed(
    part: str, finished: tuple[RunConfig, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = finished
    train(run, tmp_path)
    about = json.loads((tmp_path / "identity.json").read_text())
    checkpoint = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    for tensor in checkpoint["state_dict"].values():
        tensor.zero_()  # what resuming would show
    torch.save(checkpoint, tmp_path / "checkpoints/last.ckpt")
    (tmp_path / "identity.json").write_text(json.dumps(about | {part: "another"}))
    train(run, tmp_path)
    kept = tmp_path / "superseded-1"
    assert f"{part} changed since the last run, kept in {kept}" in capsys.readouterr().out
    assert same(folder, tmp_path)
    zeros = weights(kept)
    assert not any(tensor.any() for tensor in zeros.values())
    made = {"checkpoints", "config.yaml", "identity.json", "logs", "wandb_id"}
    made |= {"weights.safetensors"}
    made |= {f"record.{kind}" for kind in ("json", "npz", "metrics.yaml", "curves.csv")}
    assert {path.name for path in kept.iterdir()} == made


def test_what_is_no_runs_is_not_cleared_away(data_root: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "other_project.ckpt").write_text("precious")
    with pytest.raises(UserError, match="holds checkpoints of something that is no run of capsnet"):
        train(tiny(data_root, *SHORT), tmp_path)
    assert (tmp_path / "checkpoints" / "other_project.ckpt").read_text() == "precious"
    assert not (tmp_path / "identity.json").exists()


@pytest.mark.slow
def test_of_another_run_nothing_is_left_to_be_taken_for_this_one_s(
    finished: tuple[RunConfig, Path], tmp_path: Path
) -> None:
    """Nor is anything lost: its record is copied from where it is, and a killed move goes on."""
    _, folder = finished
    here, record = tmp_path / "run", tmp_path / "results" / "seed0.json"
    for number in (1, 2):
        shutil.copytree(folder, here, dirs_exist_ok=True)
        record.parent.mkdir(exist_ok=True)
        record.write_text(f"record {number}")
        (here / "hpc_ckpt_1.ckpt").write_text("of the old run")
        claim(here, ANOTHER, record)
        (here / "identity.json").unlink()
    assert sorted(path.name for path in here.iterdir()) == [".lock", "superseded-1", "superseded-2"]
    assert (here / "superseded-2" / "seed0.json").read_text() == "record 2"
    assert (here / "superseded-2" / "hpc_ckpt_1.ckpt").read_text() == "of the old run"
    (here / "superseded-1" / "identity.json").rename(here / "identity.json")  # as if killed
    (here / "weights.safetensors").write_text("not moved yet")
    claim(here, ANOTHER, record)
    assert (here / "superseded-1" / "weights.safetensors").read_text() == "not moved yet"
    assert not (here / "superseded-3").exists()


def begins_with_a_checkpoint(
    monkeypatch: pytest.MonkeyPatch, run: RunConfig, folder: Path, first_process: Callable[[], None]
) -> bool:
    """Tell whether a process that is not the first finds a checkpoint when it begins to train.

    `first_process` is what the first one does as soon as this one waits.
    """
    monkeypatch.setattr(run_module, "is_first_process", lambda: False)
    monkeypatch.setattr(checkpoints, "sleep", lambda seconds: first_process())
    found: list[bool] = []

    def begin(run: RunConfig, folder: Path, *_: object) -> None:
        found.append(checkpoints.last_checkpoint(folder).is_file())

    monkeypatch.setattr(run_module, "fit_and_record", begin)
    train(run, folder)
    return found == [True]


def test_other_processes_wait_until_the_first_has_moved_another_runs_checkpoint(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny(data_root, *SHORT)
    identity, record = folder_identity(run, load_dataset(run).digest), tmp_path / "record.json"
    claim(tmp_path, ANOTHER, record)
    checkpoints.last_checkpoint(tmp_path).parent.mkdir()
    checkpoints.last_checkpoint(tmp_path).touch()
    begins = partial(begins_with_a_checkpoint, monkeypatch, run, tmp_path)
    assert not begins(lambda: claim(tmp_path, identity, record))
    checkpoints.last_checkpoint(tmp_path).parent.mkdir()
    checkpoints.last_checkpoint(tmp_path).touch()
    assert begins(lambda: pytest.fail("waits for a folder that is this run's"))


def test_other_processes_do_not_wait_forever(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"did not begin this run in .* within 0 seconds: see its"):
        await_claim(tmp_path, {"seed": "0"}, seconds=0)


@pytest.mark.parametrize("name", ["w0.5", "x.npz", "."])
def test_a_record_that_no_report_would_find_is_refused(
    name: str, data_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"record.* must end in \.json"):
        train(tiny(data_root, *SHORT, f"record={tmp_path}/{name}"), tmp_path / "run")
    assert [*tmp_path.iterdir()] == [tmp_path / "run"] or not [*tmp_path.iterdir()]


def test_a_value_taken_away_is_one_set_by_hand() -> None:
    words = ["~schedule.decay_stretch", "+model.width=0.5", "model.width=0.25", "~trainer.compile"]
    assert result_overrides(words) == ("model.width=0.25", "~schedule.decay_stretch")


def test_two_trainers_do_not_share_a_folder(data_root: Path, tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(UserError, match="another process is training in"),
    ):
        train(tiny(data_root, *SHORT), tmp_path)


def test_a_flipped_bit_in_the_data_is_found_before_training(
    data_root: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    (root / "digits").mkdir(parents=True)
    for file in (data_root / "digits").iterdir():
        (root / "digits" / file.name).write_bytes(file.read_bytes())
    images = root / "digits" / "train_images.npy"
    content = bytearray(images.read_bytes())
    content[5000] ^= 1
    images.write_bytes(content)
    with pytest.raises(UserError, match=r"train_images\.npy has changed since it was prepared"):
        train(tiny(root, *SHORT), tmp_path / "run")
    assert not list((tmp_path / "run").glob("*"))


def test_data_that_are_not_there_name_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run `python -m capsnet\.prepare digits --root"):
        train(tiny(tmp_path, *SHORT), tmp_path / "run")


def test_images_that_are_too_small_get_a_sentence(tmp_path: Path) -> None:
    labels = np.arange(20) % 10
    halves = {"images": np.zeros((20, 12, 12), np.uint8), "labels": labels}
    arrays = {f"{part}_{name}": half for part in ("train", "test") for name, half in halves.items()}
    with storage.building(tmp_path / "data" / "small") as scratch:
        storage.write(scratch, {"source": "small"}, arrays)
    run = tiny(tmp_path / "data", *SHORT, "schedule.batch=10", "data.source=small")
    with pytest.raises(UserError, match=r"12×12 pixels are too small .* it needs 17×17 or more"):
        train(run, tmp_path / "run")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_composed_run_with_other_values_is_refused(data_root: Path, tmp_path: Path) -> None:
    run = replace(tiny(data_root, *SHORT), composition="of something else")
    with pytest.raises(UserError, match="are not those it was composed with"):
        train(run, tmp_path)


@pytest.mark.slow
def test_validation_is_held_out_of_training(data_root: Path, tmp_path: Path) -> None:
    run = tiny(data_root, *SHORT, "data.holdout=0.229", "schedule.validate_every=15")
    data = load_dataset(run)
    assert data.validation is not None
    assert (len(data.train), len(data.validation), len(data.tests["test"].split)) == (
        1000,
        297,
        500,
    )
    train(run, tmp_path)
    assert "validation/error" in (tmp_path / "logs/version_0/metrics.csv").read_text()


@pytest.mark.parametrize(
    ("share", "message"),
    [
        ("297", r"data\.holdout = 297 .* below 1"),
        ("0.9999", "leaves no image of uci-digits"),
        ("0.0001", r"data\.holdout = 0\.0001 of 1,297 training examples is none to validate on"),
    ],
)
def test_a_share_that_cannot_be_held_out_gets_a_sentence(
    share: str, message: str, data_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        train(tiny(data_root, *SHORT, f"data.holdout={share}"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["mnist_baseline", "mnist_capsnet_r1"])
def test_the_other_networks_learn_too(experiment: str, data_root: Path, tmp_path: Path) -> None:
    train(tiny(data_root, *SHORT, experiment=experiment), tmp_path)
    curve = losses(tmp_path)
    assert curve[-1] < curve[0]


@pytest.mark.slow
def test_the_text_recipe_learns_and_is_another_model(
    finished: tuple[RunConfig, Path], data_root: Path, tmp_path: Path
) -> None:
    train(tiny(data_root, *SHORT, "recipe=text"), tmp_path)
    assert losses(tmp_path)[-1] < losses(tmp_path)[0]
    assert weights(tmp_path).keys() != weights(finished[1]).keys()  # no routing bias


def test_learning_rate_decays_as_the_released_code_s() -> None:
    paper = Optimisation()
    rate = [paper.learning_rate * paper.factor(step) for step in (0, 1000, 2000, 300_000, 10**6)]
    expected = [1e-3, 1e-3 * 0.96**0.5, 0.96e-3, 1e-3 * 0.96**150, 1e-6]  # [C]
    assert rate == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
def test_a_sweep_gives_each_job_a_folder_a_record_and_a_page(
    data_root: Path, tmp_path: Path
) -> None:
    arguments = ["profile=demo", "model.width=0.03", "trainer.progress=false", "schedule.steps=3"]
    code, printed = output(
        "train",
        "-m",
        "experiment=mnist_capsnet_r3_recon",
        "model.routing_iterations=1,2",
        *arguments,
        f"data.root={data_root}",
        cwd=tmp_path,
    )
    assert code == 0, printed
    pages = [read_runs(folder.parent) for folder in sorted(tmp_path.glob("runs/*/wandb"))]
    assert [len(page) for page in pages] == [1, 1]
    assert [page.config["model"]["routing_iterations"] for [page] in pages] == [1, 2]
    assert [page.name for [page] in pages] == [
        f"mnist_capsnet_r3_recon-seed0 model.routing_iterations={count} model.width=0.03 "
        "schedule.steps=3"
        for count in (1, 2)
    ]
    assert {page.group for [page] in pages} == {"mnist_capsnet_r3_recon"}
    records = [read_record(path) for path in sorted(tmp_path.glob("runs/*/record.json"))]
    assert [record.wandb_id for record in records] == [page.id for [page] in pages]
    assert records[0].identity["config"] != records[1].identity["config"]
    result_overrides = ("model.width=0.03", "schedule.steps=3")
    assert [one.overrides for one in records] == [
        (f"model.routing_iterations={count}", *result_overrides) for count in (1, 2)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("value", ["trainer.devices=2", "record=one.json"])
def test_a_sweep_whose_jobs_would_be_in_each_others_way_is_refused(
    value: str, data_root: Path, tmp_path: Path
) -> None:
    code, printed = output(
        "train",
        "-m",
        "experiment=mnist_capsnet_r3_recon",
        "seed=0,1",
        value,
        f"data.root={data_root}",
        cwd=tmp_path,
    )
    assert code == 1
    assert f"{value.replace('=', ' = ')} does not go with a sweep" in printed
    assert "Traceback" not in printed


def test_a_sweep_over_nodes_is_refused_by_the_keys_that_count_its_processes() -> None:
    run = composed("experiment=mnist_capsnet_r3_recon", "trainer.num_nodes=2")
    with pytest.raises(UserError, match=r"^trainer\.devices × num_nodes = 2 does not go with"):
        check_sweep(run)


def test_jobs_that_failed_are_named_before_another_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def jobs() -> None:
        with failure_noted(0, ["seed=0"]):
            raise UserError("what is wrong")
        print(1 / int("0"))

    with pytest.raises(ZeroDivisionError), failed_jobs_named():
        jobs()
    assert capsys.readouterr().err.endswith("1 job failed before:\n  seed=0: what is wrong\n")


@pytest.mark.slow
def test_jobs_that_cannot_run_end_no_other_and_are_all_named(
    data_root: Path, tmp_path: Path
) -> None:
    code, printed = output(
        "train",
        "-m",
        "experiment=mnist_capsnet_r3_recon",
        *TINY,
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "schedule.steps=2",
        "model.routing_iterations=0,1,-1",
        "logger=csv",
        f"data.root={data_root}",
        cwd=tmp_path,
    )
    assert code == 1
    [record] = [read_record(path) for path in tmp_path.glob("runs/*/record.json")]
    assert vars(record.model)["routing_iterations"] == 1
    assert printed.endswith(
        "error: 2 jobs failed; the others are finished:\n"
        "  model.routing_iterations=0: "
        "model.routing_iterations = 0 is not possible: it must be at least 1\n"
        "  model.routing_iterations=-1: "
        "model.routing_iterations = -1 is not possible: it must be at least 1\n"
    )
    assert "mnist_capsnet_r3_recon model.routing_iterations=1 " in printed  # which job it is
    assert "Traceback" not in printed


@pytest.mark.slow
def test_ctrl_c_ends_a_sweep_in_a_line(data_root: Path, tmp_path: Path) -> None:
    joblib = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    jobs = ("experiment=mnist_capsnet_r3_recon", "model.routing_iterations=1,2,3", *joblib)
    values = (*TINY, "schedule.steps=100000", "logger=csv", f"data.root={data_root}")
    process = subprocess.Popen(
        [sys.executable, "-m", "capsnet.train", "-m", *jobs, *values],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: any(tmp_path.glob("runs/*/logs/*/metrics.csv")), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to every process
    printed, _ = process.communicate(timeout=DEADLINE)
    assert shell_code(process) == 130, printed
    assert "stopped by Ctrl-C\n" in printed
    assert "Traceback" not in printed
    assert not any(tmp_path.glob("runs/*/record.json"))


def test_a_device_that_there_is_not_gets_a_sentence_and_nothing_is_touched(
    data_root: Path, tmp_path: Path
) -> None:
    claim(tmp_path, ANOTHER, tmp_path / "record.json")
    with pytest.raises(UserError, match=r"trainer.accelerator = abacus, .devices = 1 is not poss"):
        train(tiny(data_root, *SHORT, "trainer.accelerator=abacus"), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"identity.json"}
    assert checkpoints.read_identity(tmp_path / "identity.json") == ANOTHER


@pytest.mark.slow
def test_two_processes_train_and_stop_as_one_does(data_root: Path, tmp_path: Path) -> None:
    prepare("expanded-digits", data_root / "expanded-digits")
    prepare("affnist-digits", data_root / "affnist-digits", copies=2)
    for devices in (1, 2):
        arguments = (
            "experiment=affnist_capsnet",
            *TINY,
            *SHORT,
            "schedule.validate_every=20",
            "schedule.stop_at=0.01",  # at the first validation, of 60 steps
            "trainer.accelerator=cpu",
            f"trainer.devices={devices}",
            f"data.root={data_root}",
            f"hydra.run.dir={tmp_path / str(devices)}",
        )
        code, printed = output("train", *arguments, cwd=tmp_path)
        assert code == 0, printed
        assert printed.count(f", seed 0: 60 steps on {processor()}, ") == 1
    one, two = weights(tmp_path / "1"), weights(tmp_path / "2")
    assert one.keys() == two.keys()
    for name in one:  # gradients are summed in another order: float32 rounding over 20 steps, which
        # Adam enlarges where gradients are near zero; it moves weights by up to 1e-3 in each
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=2e-5)
    records = [read_record(tmp_path / name / "record.json") for name in ("1", "2")]
    assert [record.stopped for record in records] == [20, 20]
    for record in records:  # every test example is counted once
        totals = {name: test.total for name, test in record.tests.items()}
        assert totals == {"test": 500, "affnist": 1000}
    assert records[0].identity == records[1].identity


@pytest.mark.slow
def test_the_routing_sweep_is_one_command_and_its_jobs_may_run_side_by_side(
    data_root: Path, tmp_path: Path
) -> None:
    code, printed = output(
        "train",
        "+sweep=routing_iterations",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        *TINY,
        "schedule.steps=2",
        "model.routing_iterations=1,5",
        "seed=1",
        "logger=csv",
        f"data.root={data_root}",
        cwd=tmp_path,
    )
    assert code == 0, printed
    folder = tmp_path / "runs" / "sweeps" / "routing_iterations"
    records = [read_record(path) for path in folder.glob("*/record.json")]
    told = sorted(
        (one.experiment, vars(one.model)["routing_iterations"], one.seed) for one in records
    )
    assert told == [("mnist_capsnet_r3_recon", 1, 1), ("mnist_capsnet_r3_recon", 5, 1)]


def test_the_routing_sweep_is_the_one_that_is_documented() -> None:
    sweep = OmegaConf.load(CONF / "sweep" / "routing_iterations.yaml")
    assert sweep.hydra.sweeper.params == {"model.routing_iterations": "1,2,3,5,10", "seed": "0,1,2"}
