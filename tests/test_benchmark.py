"""The benchmark's comparisons and their arithmetic; no time is tested."""

import json
import os
import signal
import time
from argparse import Namespace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from rich.progress import Progress
from torch import nn

from capsnet.benchmark import __main__ as benchmark
from capsnet.benchmark import experiments, growth, implementations, loop, runner
from capsnet.benchmark.runner import Candidate, Stopwatch, measure_all
from capsnet.benchmark.settings import Setting, settings
from capsnet.benchmark.textbook import TextbookCapsNet
from capsnet.compose import names
from capsnet.data.datamodule import BLOCK, batch_indices
from capsnet.kernels.networks import FastCapsNet, FastConv2d
from helpers.running import output, output_here


class Told(Stopwatch):
    """A watch that shows the seconds it is told."""

    def __init__(self, *seconds: float, device: str = "cpu") -> None:
        self.device, self.told = device, seconds

    def seconds(self) -> list[float]:
        return list(self.told)


class Noted:
    """A bench that notes its turns."""

    def __init__(self, file: Path, name: str) -> None:
        self.file, self.name, self.count = file, name, 0

    def step(self) -> Stopwatch:
        self.count += 1
        with self.file.open("a") as notes:
            notes.write(f"{self.name}{self.count} ")
        return Told(0.0, 1.0 * self.count, 2.0, 3.0, 4.0)


@pytest.mark.slow
def test_candidates_take_turns_and_warm_up_unseen(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    candidates = {name: Candidate(partial(Noted, file, name), keep=name == "a") for name in "ab"}
    with Progress(console=Console(quiet=True)) as progress:
        found, sgemm = measure_all(candidates, 3, 2, progress, "")
    assert file.read_text().split() == [f"{name}{turn}" for turn in range(1, 6) for name in "ab"]
    assert [timing.forward for timing in found["a"].timings] == [3, 4, 5]
    assert len(sgemm) == 3
    assert min(found["a"].peak_mib or 0, *sgemm) > 0


class Small:
    """A bench that needs next to nothing."""

    def step(self) -> Stopwatch:
        return Told(1.0, 1.0, 1.0, 1.0, 1.0)


@pytest.mark.slow
def test_a_peak_is_of_the_process_alone() -> None:
    ballast = torch.ones(2**28)  # a GiB here
    with Progress(console=Console(quiet=True)) as progress:
        found, _ = measure_all({"small": Candidate(Small)}, 1, 0, progress, "")
    assert found["small"].peak_mib is not None
    assert found["small"].peak_mib < ballast.nbytes / 2**20


class Interrupted(Noted):
    """A bench whose process gets the Ctrl-C of a terminal, which every process does."""

    def step(self) -> Stopwatch:
        os.kill(os.getpid(), signal.SIGINT)
        return super().step()


@pytest.mark.slow
def test_ctrl_c_is_left_to_the_first_process(tmp_path: Path) -> None:
    candidates = {"i": Candidate(partial(Interrupted, tmp_path / "notes", "i"))}
    before = signal.getsignal(signal.SIGINT)
    with Progress(console=Console(quiet=True)) as progress:
        found, _ = measure_all(candidates, 2, 0, progress, "")
    assert len(found["i"].timings) == 2
    assert signal.getsignal(signal.SIGINT) is before


class Doomed(Noted):
    """A bench whose process is killed in its second round, as by a system without memory."""

    def step(self) -> Stopwatch:
        if self.count == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step()


def unborn() -> Noted:
    raise MemoryError("as where a GPU is full")


@pytest.mark.slow
def test_a_process_that_dies_spoils_nothing_but_its_own_numbers(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    candidates = {
        "doomed": Candidate(partial(Doomed, file, "d")),
        "unborn": Candidate(unborn),
        "other": Candidate(partial(Noted, file, "o")),
    }
    with Progress(console=Console(quiet=True)) as progress:
        found, _ = measure_all(candidates, 3, 0, progress, "")
    for name in ("doomed", "unborn"):
        assert (found[name].timings, found[name].peak_mib) == ([], None)
    assert [timing.forward for timing in found["other"].timings] == [1, 2, 3]


@pytest.mark.parametrize(("device", "steps"), [("cpu", 1), ("cuda", runner.GPU_WARMUP + 1)])
def test_a_gpu_is_timed_while_it_is_busy(device: str, steps: int) -> None:
    class Counting:
        count = 0

        def step(self) -> Stopwatch:
            self.count += 1
            return Told(1.0 * self.count, 1.0, 1.0, 1.0, 1.0, device=device)

    assert runner.timing(Counting()).data == steps


@pytest.mark.slow
def test_all_paths_come_to_the_same_loss() -> None:
    losses = [
        implementations.Implementation(path, batch=2, iterations=2).loss().item()
        for path in implementations.NETWORKS
    ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


@pytest.mark.slow
def test_the_nominal_step_is_the_convolutions_and_the_votes() -> None:
    # Multiply-adds of one example, forward: both convolutions, and a vote once.
    forward = 20**2 * 256 * 81 + 36 * 256 * 256 * 81 + 1152 * 10 * 8 * 16
    decoder = 160 * 512 + 512 * 1024 + 1024 * 784
    # Twice again backward; but no gradient is needed for the image.
    expected = 2 * (3 * (forward + decoder) - 20**2 * 256 * 81)
    assert implementations.nominal_flops(1) == pytest.approx(expected, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", names("experiment"))
def test_every_experiment_has_noise_of_its_shape(experiment: str) -> None:
    run = experiments.paper_run(experiment)
    data = experiments.noise(run)
    examples = data.examples(torch.arange(4), 0)
    shown = experiment.split("_")[0]
    side = {"mnist": 28, "multimnist": 36, "affnist": 40, "cifar10": 24}.get(shown, 32)
    channels = {"cifar10": 3, "smallnorb": 2, "svhn": 3}.get(shown, 1)
    assert examples.images.shape == (4, channels, side, side)
    assert examples.labels.shape == (4, 2 if experiment.startswith("multimnist") else 1)
    assert set(experiments.candidates(experiment)) == {"training", "textbook"}


@pytest.mark.slow
def test_growth_varies_one_thing_at_a_time() -> None:
    made = growth.candidates("side", 36)
    benches = {path: candidate.make() for path, candidate in made.items()}
    assert list(benches) == ["textbook", "fast"]
    for bench in benches.values():
        assert isinstance(bench, implementations.Implementation)
        assert bench.network.class_capsules.weight.shape[0] == 3200  # of 36×36
        assert (len(bench.images), bench.network.class_capsules.iterations) == (128, 3)
        assert bench.network.decoder is None


SMALL = ("model.width=0.03", "schedule.batch=8", "trainer.progress=false")


@pytest.mark.slow
def test_the_parts_of_the_loop_fit_into_its_time() -> None:
    row = experiments.Experiment(
        "affnist_capsnet", "cpu", SMALL
    )  # would stop early, on data that are not here
    told = loop.shares(row, 20)
    assert told.steps == 20
    assert 0 < told.data < told.step < told.seconds
    assert runner.timing(row).forward > 0  # the row may be used again


def test_a_step_is_fed_as_training_is() -> None:
    """Its examples are the next ones of a block of steps, which is made once."""
    row = experiments.Experiment("mnist_capsnet_r1", "cpu", SMALL)
    asked: list[tuple[torch.Tensor, int]] = []
    examples = row.data.examples

    def noted(_: object, indices: torch.Tensor, step: int) -> object:
        asked.append((indices, step))
        return examples(indices, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(row.data), "examples", noted)
        for _ in range(3):
            row.step()
    indices, steps = zip(*asked, strict=True)
    assert steps == (0, 1, 2)
    block = batch_indices(len(row.data), BLOCK * 8, 0, 0)
    assert torch.equal(torch.cat(indices), block[: 3 * 8])


def test_sgemm_is_timed_while_a_gpu_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    products: list[object] = []
    monkeypatch.setattr(torch, "rand", lambda *sides, device: sides)
    monkeypatch.setattr(torch, "mm", lambda a, b: products.append(a))
    watch = SimpleNamespace(mark=lambda: None, seconds=lambda: [2.0])
    monkeypatch.setattr(runner, "Stopwatch", lambda device: watch)
    for device, count in ("cpu", 1), ("cuda", runner.GPU_WARMUP + 1):
        products.clear()
        assert runner.sgemm_rate(device) == runner.SGEMM**3
        assert len(products) == count


@pytest.mark.parametrize(("gib", "sizes"), [(80, [8, 6]), (24, [4, 4, 4, 2]), (4, [1] * 14)])
def test_no_more_processes_are_on_a_gpu_than_fit(
    gib: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = SimpleNamespace(total_memory=gib * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    candidates = {str(k): Candidate(Small) for k in range(14)}
    cut = list(runner.groups(candidates, "cuda"))
    assert [len(group) for group in cut] == sizes
    assert [name for group in cut for name in group] == list(candidates)
    assert list(runner.groups(candidates, "cpu")) == [candidates]


class Slow(Small):
    """A bench that takes very long."""

    def step(self) -> Stopwatch:
        time.sleep(600)
        return super().step()


@pytest.mark.slow
def test_a_worker_that_is_late_is_ended() -> None:
    worker = runner.Worker(Candidate(Slow))
    assert worker.answer() == "ready"
    assert worker.does(runner.timing, timeout=0.1) is None
    assert worker.does(runner.peak_mib) is None
    worker.end()
    assert worker.process.exitcode == -signal.SIGKILL


@pytest.mark.slow
def test_the_command_writes_every_round(tmp_path: Path) -> None:
    arguments = ("paths", "--batch", "2", "--rounds", "2", "--warmup", "0", "--output", "out.json")
    code, printed = output("benchmark", *arguments, cwd=tmp_path)
    assert code == 0, printed
    assert "MNIST CapsNet with decoder, training step" in printed
    told = json.loads((tmp_path / "out.json").read_text())["paths"]
    assert list(told["measured"]) == list(implementations.candidates(2))
    assert all(len(one["timings"]) == 2 for one in told["measured"].values())


def test_a_gpu_is_timed_in_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    made = implementations.on_gpu(16, "cpu")
    assert list(made)[:6] == [
        *("textbook", "reference", "fast fourier"),
        *("fast", "fast tf32", "fast bf16"),
    ]
    assert {"fast compiled", "fast tf32 compiled", "fused bf16 compiled"} < set(made)
    assert "fast fourier compiled" not in made
    monkeypatch.setattr(Setting, "overrides", ("precision=bf16-mixed", "trainer.kernels=fast"))
    made = implementations.on_gpu(16, "cpu")
    row = made["fast bf16"].make()
    assert isinstance(row, experiments.Experiment)
    run = row.run
    assert (run.name, run.schedule.batch, run.precision) == (
        implementations.EXPERIMENT,
        16,
        "bf16-mixed",
    )
    assert (run.model.width, run.trainer.kernels) == (1, "fast")


def test_a_setting_is_named_by_what_is_not_plain() -> None:
    assert Setting().name == "fast"
    assert Setting("fused", "bf16-mixed", compile=True).name == "fused bf16 compiled"
    assert Setting("fast", "tf32").name == "fast tf32"
    assert Setting(convolutions="fourier").name == "fast fourier"
    every = settings("fast", "fused")
    assert len({one.name for one in every}) == len(every) == 14


@pytest.mark.slow
def test_where_there_is_no_gpu_that_is_said(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        code, printed = output_here("benchmark.__main__", "--device", "cuda", cwd=tmp_path)
        assert code == 2
        assert "error: --device cuda: there is no CUDA GPU here" in printed


def test_the_trace_is_of_the_path_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.trace(Namespace(trace=tmp_path, path="textbook", batch=1, device="cpu"))
    assert "aten::mkldnn_convolution" in capsys.readouterr().out
    events = json.loads((tmp_path / "textbook.json").read_text())["traceEvents"]
    votes = [one for one in events if one.get("name") == "aten::matmul"]
    assert votes  # which no other path multiplies


def test_experiments_are_measured_as_they_are_set() -> None:
    row = experiments.Experiment(
        "mnist_capsnet_r1", "cpu", ("model.width=0.03", "precision=bf16-mixed")
    )
    assert (row.run.precision, row.run.model.width) == ("bf16-mixed", 0.03)
    timing = runner.timing(row)
    assert min(timing.data, timing.forward, timing.backward, timing.optimiser) > 0


@pytest.mark.parametrize(
    ("experiment", "textbook", "training"),
    [
        ("multimnist_capsnet_r1_recon", TextbookCapsNet, FastCapsNet),
        ("multimnist_baseline", nn.Conv2d, FastConv2d),
    ],
)
def test_an_experiment_by_the_textbook_is_the_same_experiment(
    experiment: str, textbook: type[nn.Module], training: type[nn.Module]
) -> None:
    made = experiments.Experiment(experiment, "cpu", ("model.width=0.03",), textbook=True)
    ours = experiments.Experiment(experiment, "cpu", ("model.width=0.03",))
    for row, kind in ((made, textbook), (ours, training)):
        assert kind in {type(module) for module in row.module.modules()}
    made.module.network.load_state_dict(ours.module.network.state_dict())
    examples = ours.data.examples(torch.arange(3), 0)
    slow, fast = (one.module.losses(examples) for one in (made, ours))
    assert slow.keys() == fast.keys()
    for name in slow:
        assert slow[name].item() == pytest.approx(fast[name].item(), rel=1e-5)


@pytest.mark.slow
def test_unknown_words_are_answered_with_the_known_ones(tmp_path: Path) -> None:
    code, printed = output_here("benchmark.__main__", "speed", cwd=tmp_path)
    assert code == 2
    assert "speed: choose from paths, rows, loop, growth" in printed
    code, printed = output_here(
        "benchmark.__main__", "rows", "foo=1", "--threads", "1", cwd=tmp_path
    )
    assert code == 1
    assert printed.startswith("error: experiment=affnist_baseline profile=paper foo=1: there is no")
    assert printed.count("\n") == 1
