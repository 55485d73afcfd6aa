"""Runtime settings: what they choose, that results stay, and what a record keeps of them."""

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file
from torch import nn

from capsnet import config
from capsnet.compose import composed
from capsnet.config import CONF
from capsnet.data import mnist
from capsnet.data.info import DatasetInfo
from capsnet.errors import UserError
from capsnet.kernels import networks
from capsnet.kernels.networks import FastCapsNet, FastConv2d, through_fourier
from capsnet.kernels.precision import fp32_arithmetic
from capsnet.records.record import read_record
from capsnet.train import train
from capsnet.training.build_network import build_network, choose_kernels
from capsnet.training.factory import build_module
from helpers.copies import tiny_copy
from helpers.running import TINY, output, tiny

BACKENDS: Any = torch.backends  # PyTorch's own types lack some of its switches
SHORT = ("schedule.steps=20", "schedule.batch=16", "trainer.log_every=10", "logger=csv")


def switches() -> tuple[str, str, str]:
    kinds = BACKENDS.cuda.matmul, BACKENDS.cudnn.conv, BACKENDS.cudnn.rnn
    product, convolution, recurrent = (kind.fp32_precision for kind in kinds)
    return product, convolution, recurrent


@pytest.mark.parametrize(
    ("precision", "convolutions"), [("32-true", "ieee"), ("bf16-mixed", "ieee"), ("tf32", "tf32")]
)
def test_tf32_is_for_convolutions_alone_and_for_as_long_as_a_run_computes(
    precision: str, convolutions: str
) -> None:
    before = switches()
    with fp32_arithmetic(precision):
        assert switches() == ("ieee", convolutions, convolutions)
    assert switches() == before


@pytest.mark.slow
def test_importing_the_package_changes_no_global_setting() -> None:
    script = (
        "import torch\n"
        "def state(): return (torch.backends.cuda.matmul.fp32_precision, "
        "torch.backends.cudnn.conv.fp32_precision, torch.backends.cudnn.rnn.fp32_precision, "
        "torch.backends.cudnn.benchmark, torch.get_num_threads(), torch.get_default_dtype(), "
        "torch.is_deterministic_algorithms_warn_only_enabled())\n"
        "before = state()\n"
        "import capsnet.train, capsnet.training.run, capsnet.kernels.networks\n"
        "import capsnet.kernels.compiled, capsnet.evaluate\n"
        "assert state() == before, (before, state())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_tf32_is_refused_where_nothing_has_it(tmp_path: Path, data_root: Path) -> None:
    with pytest.raises(UserError, match="tf32 needs a CUDA GPU"):
        train(tiny(data_root, "precision=tf32"), tmp_path)


def chosen_kernels(kernels: str, accelerator: str, *overrides: str, classes: int = 10) -> str:
    settings = f"trainer.kernels={kernels}", f"trainer.accelerator={accelerator}"
    run = composed("experiment=mnist_capsnet_r3", *settings, *overrides)
    return choose_kernels(run, DatasetInfo("", 1, 28, 28, tuple(map(str, range(classes)))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("there", "accelerator", "auto"),
    [(True, "auto", "fused"), (True, "cpu", "fast"), (False, "auto", "fast")],
)
def test_auto_takes_fused_kernels_where_a_gpu_can_run_them(
    there: bool, accelerator: str, auto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    if there:
        monkeypatch.setattr("capsnet.training.build_network.check_fused", lambda: None)
    assert chosen_kernels("auto", accelerator) == auto
    assert chosen_kernels("auto", accelerator, "model.routing=leaky") == auto
    assert chosen_kernels("auto", accelerator, classes=43) == "fast"
    if auto == "fast":
        with pytest.raises(UserError, match=r"trainer\.kernels=fused needs a CUDA GPU"):
            chosen_kernels("fused", accelerator)
    for name in ("fast", "reference"):
        assert chosen_kernels(name, accelerator) == name
    for name in ("auto", "fused"):  # there is nothing to fuse in a baseline
        run = composed("experiment=mnist_baseline", f"trainer.kernels={name}")
        assert choose_kernels(run, DatasetInfo("", 1, 28, 28, tuple("ab"))) == "fast"


@pytest.mark.parametrize(
    ("device", "convolutions", "fourier"),
    [
        ("cpu", "auto", True),
        ("cpu", "direct", False),
        ("cpu", "fourier", True),
        ("cuda", "auto", True),
        ("mps", "auto", False),
        ("cuda", "direct", False),
        ("cuda", "fourier", True),
    ],
)
def test_convolutions_go_through_fourier_where_it_is_more_exact_or_is_asked_for(
    device: str, convolutions: str, fourier: bool
) -> None:
    assert through_fourier(device, convolutions) == fourier
    with torch.autocast("cpu", torch.bfloat16):
        assert through_fourier(device, convolutions) == (fourier and device == "cuda")


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["mnist_capsnet_r3_recon", "mnist_baseline"])
def test_both_kinds_of_convolution_give_the_same_scores(
    experiment: str, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for module, name in (
        (networks, "stacked_convolutions"),
        (networks.conv_same, "same_convolution"),
    ):
        theirs = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, theirs=theirs, name=name: calls.append(name) or theirs(*a)
        )
    scores, images = [], torch.rand(4, 1, 28, 28)
    for choice in ("fourier", "direct"):
        chosen = f"trainer.convolutions={choice}", "model.width=1"
        run = tiny(data_root, *chosen, experiment=experiment)
        scores.append(build_module(run, mnist.SPEC.info).eval().scores(images))
        assert bool(calls) == (choice == "fourier"), choice
        calls.clear()
    torch.testing.assert_close(scores[0], scores[1], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_bf16_network_is_channels_last_and_its_saved_weights_are_contiguous(
    data_root: Path, tmp_path: Path
) -> None:
    run = tiny(data_root, *SHORT, "precision=bf16-mixed")
    network = build_network(run, mnist.SPEC.info)
    assert isinstance(network, FastCapsNet)
    for layer in (network.conv1, network.primary.conv):
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert not network.primary.conv.weight.is_contiguous()
    assert (
        network.class_capsules.weight.is_contiguous()
    )  # four dimensions as well, but no convolution
    with torch.autocast("cpu", torch.bfloat16):
        features = network.conv1(torch.rand(2, 1, 28, 28))
    assert features.is_contiguous(memory_format=torch.channels_last)
    train(run, tmp_path)
    trained = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    saved = load_file(tmp_path / "weights.safetensors")
    for name, part in saved.items():
        assert part.is_contiguous()
        assert torch.equal(part, trained[f"network.{name}"]), name


def test_a_baselines_convolutions_are_channels_last_in_bf16(data_root: Path) -> None:
    run = tiny(data_root, "precision=bf16-mixed", experiment="mnist_baseline")
    kernels = [
        layer.weight
        for layer in build_network(run, mnist.SPEC.info).modules()
        if isinstance(layer, FastConv2d)
    ]
    assert len(kernels) == 3
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


@pytest.mark.slow
def test_a_record_says_what_its_run_ran_with(data_root: Path, tmp_path: Path) -> None:
    record = train(tiny(data_root, *SHORT, "trainer.kernels=auto"), tmp_path)
    assert record is not None
    assert record.trainer == {
        "kernels": "fast",
        "convolutions": "auto",
        "compile": False,
        "benchmark": False,
        "devices": 1,
        "num_nodes": 1,
    }
    assert read_record(tmp_path / "record.json").trainer == record.trainer
    assert record.processes == 1


COMPILED = """
import torch
from capsnet.training.module import BaselineModule, Optimisation
from capsnet.kernels.compiled import compiled
from capsnet.data.examples import Examples
from torch import nn

theirs = torch.compile
torch.compile = lambda function, **options: theirs(function, dynamic=options["dynamic"])
network = nn.Sequential(nn.Flatten(), nn.Linear(64, 512), nn.Dropout(0.5), nn.Linear(512, 10))
module = BaselineModule(network, Optimisation(), 0)
images = torch.rand(4, 1, 8, 8)
examples = Examples(images, torch.arange(4)[:, None], images[:, None])
eager, graph = module.losses, compiled(module.losses)
for seed in range(3):
    torch.manual_seed(seed)
    one = eager(examples)["cross_entropy"]
    torch.manual_seed(seed)
    assert abs(one - graph(examples)["cross_entropy"]) < 1e-6
"""


@pytest.mark.slow
def test_dropout_of_a_compiled_step_is_that_of_an_eager_one() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_runtime_settings_make_no_other_folder() -> None:
    """So a run goes on in its own, whatever it runs with."""
    excluded = OmegaConf.load(CONF / "config.yaml").hydra.job.config.override_dirname.exclude_keys
    runtime = {f"trainer.{field.name}" for field in fields(config.Trainer)}
    logger = {f"logger.{field.name}" for field in fields(config.Logger)}
    assert {*excluded} == {"data.root", "record", "trainer", "logger"} | runtime | logger


def test_a_machines_own_settings_are_part_of_every_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without that file, which git ignores, there are none."""
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    monkeypatch.setattr("capsnet.config.CONF", conf)
    plain = composed("experiment=mnist_capsnet_r3", "profile=paper").trainer
    (conf / "machine").mkdir(exist_ok=True)
    text = "# @package _global_\ntrainer: {kernels: reference, log_every: 7}\n"
    (conf / "machine" / "mine.yaml").write_text(text)
    monkeypatch.setenv("CAPSNET_MACHINE", "mine")
    mine = composed("experiment=mnist_capsnet_r3", "profile=paper").trainer
    assert (plain.kernels, plain.log_every) == ("fast", 500)
    assert (mine.kernels, mine.log_every) == ("reference", 7)
    by_hand = composed("experiment=mnist_capsnet_r3", "trainer.kernels=fast").trainer
    assert (by_hand.kernels, by_hand.log_every) == ("fast", 7)


@pytest.mark.slow
def test_settings_of_a_machine_put_no_stage_of_dvc_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are no part of what stages depend on, and training takes them all the same."""
    copy = tiny_copy(tmp_path / "copy")
    (copy / "conf/machine").mkdir(exist_ok=True)
    text = "# @package _global_\ntrainer: {log_every: 7}\nlogger: {wandb: false}\n"
    (copy / "conf/machine/mine.yaml").write_text(text)
    files = []
    for machine in ("mine", "none"):
        where = {"PYTHONPATH": f"{copy}/src", "CAPSNET_MACHINE": machine}
        assert output("compose", "demo", cwd=copy, **where)[0] == 0
        files.append({path: path.read_text() for path in (copy / "configs/demo").iterdir()})
    assert files[0] == files[1]
    words = "--config-dir", "configs/demo", "--config-name", "mnist_capsnet_r1", "seed=0"
    where = {"PYTHONPATH": f"{copy}/src", "CAPSNET_MACHINE": "mine"}
    code, printed = output("train", *words, "--cfg", "job", cwd=copy, **where)
    assert (code, "log_every: 7\n" in printed, "wandb: false\n" in printed) == (0, True, True)


@pytest.mark.slow
def test_two_nodes_train_as_one_process_does(data_root: Path, tmp_path: Path) -> None:
    """Two processes that a launcher started, each a node of one device."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ("experiment=mnist_capsnet_r3_recon", *TINY, *SHORT, f"data.root={data_root}")
    command = [sys.executable, "-m", "capsnet.train", *arguments]
    nodes = [
        subprocess.Popen(
            [*command, "trainer.num_nodes=2", f"hydra.run.dir={tmp_path / 'two'}"],
            cwd=tmp_path,
            env=os.environ
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
            | {"NODE_RANK": str(node), "LOCAL_RANK": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for node in range(2)
    ]
    printed = [node.communicate(timeout=300)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], printed
    assert ["errors in 500 uci-digits" in text for text in printed] == [True, False]
    train(tiny(data_root, *SHORT), tmp_path / "one")
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    for name in one:  # gradients are summed in another order
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=8e-6)
    records = [read_record(tmp_path / name / "record.json") for name in ("one", "two")]
    assert [record.processes for record in records] == [1, 2]
    assert records[0].identity == records[1].identity


def test_only_networks_with_dropout_seed_each_step(data_root: Path) -> None:
    for experiment, draws in (("mnist_capsnet_r3", False), ("mnist_baseline", True)):
        module = build_module(tiny(data_root, experiment=experiment), mnist.SPEC.info)
        assert module.draws == draws
        assert draws == any(isinstance(layer, nn.Dropout) for layer in module.network.modules())
