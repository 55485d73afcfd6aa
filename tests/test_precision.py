"""bf16 for convolutions alone, compiled networks, and steps that no device has to wait for."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from capsnet.benchmark.experiments import Experiment, noise
from capsnet.compose import composed, names
from capsnet.config import RunConfig
from capsnet.data import mnist
from capsnet.data.info import DatasetInfo
from capsnet.errors import UserError
from capsnet.evaluate import evaluate
from capsnet.kernels.networks import FastCapsNet
from capsnet.networks import CapsNet
from capsnet.records.record import read_record
from capsnet.train import train
from capsnet.training.build_network import build_network
from capsnet.training.factory import build_module
from helpers.running import TINY, output, tiny

SHORT = ("schedule.steps=60", "schedule.batch=32", "trainer.log_every=10", "logger=csv")


def bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


def small(experiment: str, *overrides: str) -> RunConfig:
    return composed(f"experiment={experiment}", "model.width=0.03", *overrides)


def module(run: RunConfig) -> tuple[Any, Any]:
    """The run's module and examples of a step, of noise."""
    examples = noise(run).examples(torch.arange(8), 3)
    channels, height, width = examples.images.shape[1:]
    return build_module(run, DatasetInfo("", channels, height, width)).eval(), examples


@pytest.mark.slow
@pytest.mark.parametrize("experiment", names("experiment"))
def test_only_convolutions_are_in_bf16(experiment: str) -> None:
    """And what lies between them: all other layers answer in fp32, as do the losses."""
    made, examples = module(small(experiment, "trainer.kernels=reference"))
    types: dict[type, set[torch.dtype]] = {}
    for layer in made.network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(
                lambda layer, _, answer: types.setdefault(type(layer), set()).add(answer.dtype)
            )
    with bf16():
        losses = made.losses(examples)
        scores = made.scores(examples.images)
    convolved, dense = (
        {dtype for kind, found in types.items() if issubclass(kind, layer) for dtype in found}
        for layer in (nn.Conv2d, nn.Linear)
    )
    assert convolved == {torch.bfloat16}
    assert dense <= {torch.float32}
    assert {loss.dtype for loss in losses.values()} | {scores.dtype} == {torch.float32}


@pytest.mark.parametrize("kind", [CapsNet, FastCapsNet])
def test_routing_and_decoder_have_the_bits_of_fp32(kind: type[CapsNet]) -> None:
    network = kind((1, 20, 20), channels=8, types=4)
    u = torch.randn(5, 4 * 2 * 2, 8)
    alone = network.class_capsules(u)
    with bf16():
        assert torch.equal(network.class_capsules(u), alone)
        mask = torch.eye(10)[:5]
        drawn = network.reconstruct(alone, mask)
    assert torch.equal(drawn, network.reconstruct(alone, mask))


COMPILED = """
import torch
from capsnet.kernels.compiled import compiled
from capsnet.networks import CapsNet

theirs = torch.compile
torch.compile = lambda function, **_: theirs(function, backend="aot_eager")  # no C++ needed
network, images = CapsNet(channels=8, types=4, decoder=False), torch.rand(4, 1, 28, 28)

def gradients(forward):
    with torch.autocast("cpu", torch.bfloat16):
        v = forward(images)
    return torch.autograd.grad(v.square().sum(), list(network.parameters()))

for one, other in zip(gradients(network.forward), gradients(compiled(network.forward))):
    print(float((one - other).norm()))
"""


@pytest.mark.slow
def test_gradients_of_a_compiled_network_are_in_fp32_where_those_of_a_plain_one_are() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0.0"] * 6


def test_bf16_moves_the_answer_a_little() -> None:
    """By about 2⁻⁸, which is what bf16 resolves: neither nothing nor more."""
    torch.manual_seed(0)
    network, images = CapsNet(channels=16, types=4), torch.rand(8, 1, 28, 28)
    with torch.no_grad():
        exact = network(images)
        with bf16():
            rounded = network(images)
    moved = float((rounded - exact).norm() / exact.norm())
    assert 2**-12 < moved < 2**-6


def logged(folder: Path) -> list[float]:
    """A training's losses, by its CSV log."""
    header, *rows = (folder / "logs/version_0/metrics.csv").read_text().splitlines()
    column = header.split(",").index("train/loss")
    return [float(row.split(",")[column]) for row in rows if row.split(",")[column]]


@pytest.fixture(scope="module")
def losses(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    folder = tmp_path_factory.mktemp("fp32")
    train(tiny(data_root, *SHORT, "trainer.kernels=reference"), folder)
    return logged(folder)


@pytest.mark.slow
def test_training_in_bf16_follows_that_in_fp32(
    data_root: Path, tmp_path: Path, losses: list[float]
) -> None:
    train(tiny(data_root, *SHORT, "precision=bf16-mixed"), tmp_path)
    rounded = logged(tmp_path)
    assert rounded == pytest.approx(losses, rel=0.02)
    assert rounded != pytest.approx(losses, rel=1e-5)
    record = read_record(tmp_path / "record.json")
    assert (record.precision, record.variant) == ("bf16-mixed", "released, bf16")
    judged = evaluate(tmp_path, [])["test"]
    assert judged == record.tests["test"]


@pytest.mark.slow
def test_a_compiled_network_learns_the_same(
    data_root: Path, tmp_path: Path, losses: list[float]
) -> None:
    choices = "experiment=mnist_capsnet_r3_recon", *TINY, f"data.root={data_root}", *SHORT
    compiled = "trainer.compile=true", "trainer.kernels=reference"
    code, said = output("train", *choices, *compiled, f"hydra.run.dir={tmp_path}", cwd=tmp_path)
    assert code == 0, said
    assert logged(tmp_path) == pytest.approx(losses, rel=1e-4)


def test_fused_kernels_need_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    run = composed("experiment=mnist_capsnet_r3", "trainer.kernels=fused")
    with pytest.raises(UserError, match="fused needs a CUDA GPU"):
        build_network(run, mnist.SPEC.info)


class NoQuestions(TorchDispatchMode):
    """Refuses what makes a program wait for its GPU: to know a value, or how many there are."""

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "unique")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Tensor:
        name = func.overloadpacket.__name__
        assert not name.startswith(self.WAITS), f"{name} waits for the device"
        return func(*args, **kwargs or {})


@pytest.mark.slow
@pytest.mark.parametrize("experiment", names("experiment"))
def test_a_step_never_waits_for_the_device(
    experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From indices to the moved weights."""
    run = small(experiment)
    monkeypatch.setattr("capsnet.benchmark.experiments.paper_run", lambda *_: run)
    row = Experiment(experiment)
    indices = torch.arange(8)
    with NoQuestions():
        examples = row.data.examples(indices, 3)
        torch.stack(list(row.module.losses(examples).values())).sum().backward()
        row.adam.step()
    with pytest.raises(AssertionError, match="waits"), NoQuestions():
        indices.sum().item()
