"""Trained weights, by themselves: the same answers, other test sets, and files that lie."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from capsnet.data import mnist, storage
from capsnet.errors import UserError
from capsnet.evaluate import evaluate
from capsnet.prepare import prepare
from capsnet.records.record import read_arrays, read_record
from capsnet.records.weights import read_weights, save_weights
from capsnet.train import train
from capsnet.training.build_network import build_network
from capsnet.training.fingerprint import PACKAGE, config_digest
from helpers.running import interrupted_reading, output, output_here, tiny

pytestmark = pytest.mark.slow

PROJECT = PACKAGE.parents[1]
SHORT = ("schedule.steps=40", "schedule.decay_steps=100", "schedule.batch=32", "logger=csv")


@pytest.fixture(scope="module")
def root(data_root: Path) -> Path:
    prepare("expanded-digits", data_root / "expanded-digits")
    prepare("affnist-digits", data_root / "affnist-digits", copies=3)
    return data_root


@pytest.fixture(scope="module")
def affine(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that was tested on expanded digits and on affine ones."""
    folder = tmp_path_factory.mktemp("runs") / "affine"
    train(tiny(root, *SHORT, "schedule.validate_every=20", experiment="affnist_capsnet"), folder)
    return folder


def test_the_weights_of_the_repository_answer_as_their_record_says(
    mnist_root: Path,
) -> None:
    weights = PROJECT / "results/weights/mnist_capsnet_r3_recon"
    run, _ = read_weights(weights)
    assert run.record is not None
    record = read_record(PROJECT / run.record)
    assert record.identity["config"] == config_digest(run)
    found = evaluate(weights, [f"data.root={mnist_root}"])
    # Another processor's rounding may turn an answer that hangs in the balance.
    assert found["test"].errors == pytest.approx(record.tests["test"].errors, abs=2)


def test_the_weights_answer_as_the_run_did(affine: Path) -> None:
    record = read_record(affine / "record.json")
    assert evaluate(affine, []) == record.tests
    assert evaluate(affine / "weights.safetensors", []) == record.tests
    assert record.tests["affnist"].total == 3 * record.tests["test"].total == 1500


def test_they_are_those_of_the_last_checkpoint(affine: Path) -> None:
    checkpoint = torch.load(affine / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    run, weights = read_weights(affine)
    assert {f"network.{name}" for name in weights} == set(checkpoint)
    assert all(torch.equal(checkpoint[f"network.{name}"], weights[name]) for name in weights)
    assert (run.name, run.schedule.stop_at) == ("affnist_capsnet", 0.9923)


def test_testing_again_leaves_the_arrays_as_they_were(affine: Path, root: Path) -> None:
    before = read_arrays(affine / "record.json")
    train(tiny(root, *SHORT, "schedule.validate_every=20", experiment="affnist_capsnet"), affine)
    after = read_arrays(affine / "record.json")
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_other_data_and_changed_weights_give_other_numbers(affine: Path, tmp_path: Path) -> None:
    tests = read_record(affine / "record.json").tests
    assert evaluate(affine, ["data=expanded"]) == {"test": tests["test"]}
    shutil.copytree(affine, tmp_path / "copy")
    file = tmp_path / "copy" / "weights.safetensors"
    save_file({name: 0 * tensor for name, tensor in load_file(file).items()}, file)
    assert evaluate(tmp_path / "copy", ["data=expanded"])["test"].errors > tests["test"].errors


def test_what_kernels_of_a_gpu_trained_is_judged_on_any_device(
    affine: Path, tmp_path: Path
) -> None:
    shutil.copytree(affine, tmp_path / "copy")
    auto = "\n  convolutions: auto\n  compile: "
    trained, fused = f"kernels: fast{auto}false", f"kernels: fused{auto}true"
    config = (affine / "config.yaml").read_text()
    assert trained in config
    (tmp_path / "copy" / "config.yaml").write_text(config.replace(trained, fused))
    tests = read_record(affine / "record.json").tests
    assert evaluate(tmp_path / "copy", ["data=expanded"]) == {"test": tests["test"]}


def test_on_the_command_line(affine: Path, tmp_path: Path) -> None:
    arguments = (str(affine), "data=expanded", "--json", "out/numbers.json")
    code, printed = output("evaluate", *arguments, cwd=tmp_path)
    assert code == 0, printed
    test = read_record(affine / "record.json").tests["test"]
    assert f"test: {test.errors} errors in 500 uci-digits: {test.error_percent:.2f} %" in printed
    written = json.loads((tmp_path / "out" / "numbers.json").read_text())
    assert (written["test"]["errors"], list(written)) == (test.errors, ["test"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.width=2"], r"model\.width=2: only data=SET and data\.key=value"),
        (["data=nothing"], "data=nothing is not possible: it must be one of affnist, .*shifted"),
        (["data.sorce=1"], r"no key data\.sorce: did you mean data\.source\?"),
        (["data.shift=[1"], r"data\.shift=\[1 is not possible: "),
        (["data.shift=${nothing}"], "nothing"),
        (["data=shifted"], "not those of this network for 1×28×28 images: .* another size"),
        (["data.source=mnist"], "run `python -m capsnet.prepare mnist --root .*`"),
        (
            ["data.source=mine"],
            r"/mine holds no prepared data: data\.source must be one of mnist, dig",
        ),
    ],
)
def test_what_cannot_be_tested_gets_a_sentence(
    overrides: list[str], message: str, affine: Path
) -> None:
    with pytest.raises(UserError, match=message):
        evaluate(affine, overrides)


def test_a_device_that_is_not_here_gets_a_sentence(affine: Path) -> None:
    with pytest.raises(UserError, match="--device nonsense is not available"):
        evaluate(affine, [], "nonsense")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("weights.safetensors", b"PK not tensors", "holds no weights of a run"),
        ("config.yaml", b"{not yaml", "holds no weights of a run"),
        ("config.yaml", b"a: 1\n", "holds no weights of a run"),
        ("config.yaml", b"cut", "holds no weights of a run"),
        ("config.yaml", b"", "holds no weights of a run"),
        ("config.yaml", None, r"config\.yaml does not exist"),
        ("weights.safetensors", None, r"weights\.safetensors does not exist"),
    ],
)
def test_broken_weights_get_a_sentence(
    file: str, content: bytes | None, message: str, affine: Path, tmp_path: Path
) -> None:
    for name in ("weights.safetensors", "config.yaml"):
        shutil.copy(affine / name, tmp_path / name)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        evaluate(tmp_path, [])


class Malicious:
    """Unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_no_code_of_a_pickle_runs(affine: Path, data_root: Path, tmp_path: Path) -> None:
    mark, copy = tmp_path / "mark", tmp_path / "copy"
    shutil.copytree(affine, copy)
    weights, checkpoint = copy / "weights.safetensors", copy / "checkpoints" / "last.ckpt"
    weights.write_bytes(pickle.dumps(Malicious(mark)))
    torch.save({"state_dict": Malicious(mark)}, checkpoint)
    with pytest.raises(UserError, match="holds no weights of a run"):
        evaluate(weights, [])
    with pytest.raises(UserError, match=r"last\.ckpt is not the weights of a run"):
        evaluate(checkpoint, [])
    run = tiny(data_root, *SHORT, "schedule.validate_every=20", experiment="affnist_capsnet")
    with pytest.raises((UserError, pickle.UnpicklingError)):
        train(run, copy)
    assert not mark.exists()
    torch.load(checkpoint, weights_only=False)
    assert mark.exists()


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [
        ((20, 28, 28, 3), range(10), "images are 28×28×3, but their channels come first"),
        ((20, 28, 28), range(5, 15), "label 10 is not from 0 to 9: the data have 10 classes"),
        ((21, 28, 28), range(10), r"labels are int64 \(20,\), but must be int64 \[21\]"),
        ((20, 16, 16), range(10), "not those of this network for 1×16×16 images"),
    ],
)
def test_data_of_another_kind_get_a_sentence(
    shape: tuple[int, ...], labels: range, message: str, data_root: Path, tmp_path: Path
) -> None:
    arrays = dict[str, NDArray[Any]]()
    for split in ("train", "test"):
        arrays[f"{split}_images"] = np.zeros(shape, np.uint8)
        arrays[f"{split}_labels"] = np.tile(np.array(labels), 2)
    with storage.building(tmp_path / "mine") as scratch:
        storage.write(scratch, {"name": "mine", "source": "mine"}, arrays)
    run = tiny(data_root, experiment="mnist_baseline")
    info = mnist.SPEC.info
    save_weights(build_network(run, info), run, info, tmp_path / "run")
    with pytest.raises(UserError, match=message):
        evaluate(tmp_path / "run", [f"data.root={tmp_path}", "data.source=mine"])


def test_options_may_be_anywhere_and_paths_are_checked_first(affine: Path, tmp_path: Path) -> None:
    options = ("--json", "/proc/numbers/out.json", "data=expanded")
    code, printed = output_here("evaluate", str(affine), *options, cwd=tmp_path)
    sentence = (
        "error: --json: /proc/numbers/out.json cannot be written: No such file or directory\n"
    )
    assert (code, printed) == (1, sentence)
    code, printed = output_here("evaluate", cwd=tmp_path)
    assert code == 2
    assert printed.endswith("error: the following arguments are required: CHECKPOINT\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing does not exist: CHECKPOINT is the folder of a finished run"),
        (["{run}", "--json", "{run}"], "--json: {run} cannot be written: Is a directory"),
        (["{run}", "data=nothing"], "data=nothing is not possible"),
        (["{run}", "data.root=nothing"], "holds no prepared data"),
    ],
)
def test_mistakes_are_found_before_torch_is_imported(
    arguments: list[str], message: str, affine: Path, tmp_path: Path
) -> None:
    script = (
        "import runpy, sys\n"
        "try: runpy.run_module('capsnet.evaluate', run_name='__main__')\n"
        "except SystemExit: print('torch' in sys.modules)\n"
    )
    words = [word.format(run=affine) for word in arguments]
    command = [sys.executable, "-c", script, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert message.format(run=affine) in done.stderr
    assert done.stdout == "False\n"


def test_ctrl_c_ends_it_in_a_line(affine: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "data" / "digits" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    arguments = ("evaluate", str(affine), "data.root=data", "--json", "out.json")
    ended = interrupted_reading(manifest, *arguments, cwd=tmp_path)
    assert ended == (130, "stopped by Ctrl-C\n")
    assert not (tmp_path / "out.json").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing does not exist"):
        evaluate(tmp_path / "nothing", [])


def test_a_folder_is_no_weights_file(affine: Path, tmp_path: Path) -> None:
    shutil.copy(affine / "config.yaml", tmp_path)
    (tmp_path / "weights.safetensors").mkdir()
    with pytest.raises(UserError, match=r"weights\.safetensors does not exist"):
        evaluate(tmp_path, [])
