"""The check of a GPU, all of it on a CPU: kernels interpreted, networks tiny, rules by hand."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from capsnet.benchmark.experiments import Experiment
from capsnet.benchmark.runner import Candidate
from capsnet.benchmark.settings import Setting, settings
from capsnet.compose import names
from capsnet.errors import UserError
from capsnet.gpu_check import advice, check, exactness, machine, measure, tables, waits
from capsnet.gpu_check.advice import BASELINE, CAPSNET
from capsnet.gpu_check.exactness import Sizes
from capsnet.gpu_check.measure import Deadline, Plan, Workload
from capsnet.kernels import routing
from capsnet.records.files import write_json
from capsnet.report.tables.costs import costs_table
from capsnet.report.tables.speed import speed_tables
from helpers.copies import PROJECT
from helpers.running import output_here

TINY = ("model.width=0.03", "schedule.batch=8", "trainer.progress=false")
SIZES = Sizes(routed=((3, 9),), images=2, side=20, channels=4)
FP32, FOURIER = Setting(), Setting(convolutions="fourier")
TF32, BF16 = Setting(precision="tf32"), Setting(precision="bf16-mixed")


def plan(minutes: float = 10, jobs: tuple[int, ...] = (1, 2)) -> Plan:
    """A check of a CPU, in seconds."""
    chosen = (FP32, BF16)
    return Plan(Deadline(minutes), chosen, "cpu", TINY, 0.01, (5, 10), jobs, SIZES)


@pytest.mark.slow
def test_without_a_gpu_there_is_one_sentence(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    code, printed = output_here("gpu_check.__main__", cwd=tmp_path)
    assert code == 1
    assert printed.startswith("error: this check needs a CUDA GPU, and PyTorch finds none here")
    assert len(printed.splitlines()) == 1
    assert not list(tmp_path.iterdir())
    code, printed = output_here(
        "gpu_check.__main__", "--output", "/proc/none/card.json", cwd=tmp_path
    )
    assert (code, printed.split(":")[:2]) == (1, ["error", " --output"])


# Kernels against float64


@pytest.mark.parametrize("case", exactness.cases(SIZES, ["fast", "fused"]), ids=lambda one: one[0])
def test_kernels_are_as_exact_as_fp32(case: exactness.Case) -> None:
    assert 1e-9 < exactness.error(case, "cpu") < 2e-6


def tf32(x: Tensor) -> Tensor:
    """Numbers with 10 bits after the first, as tensor cores take them; gradients pass unchanged."""
    mantissa, exponent = torch.frexp(x.detach())
    rounded = torch.ldexp((mantissa * 2**11).round() / 2**11, exponent)
    return x + (rounded - x).detach()


def test_a_kernel_in_tf32_is_found_out() -> None:
    def rounded(u: Tensor, weight: Tensor, iterations: int, bias: Tensor) -> Tensor:
        return routing.dynamic_routing(tf32(u), tf32(weight), iterations, bias)

    error = exactness.error(exactness.routing("fast", rounded, 5, 37), "cpu")
    assert 1e-4 < error < 1e-3
    assert advice.wrong({"exact": 1e-7, "rounded": error, "died": None, "nan": float("nan")}) == [
        *("rounded", "died", "nan")
    ]


def test_the_sizes_are_those_of_the_paper_and_some_that_nothing_divides() -> None:
    cases = exactness.cases(Sizes(), ["fast", "fused"])
    routed = {one.inputs[0].shape[:2] for one in cases if "routing" in one.name}
    assert routed == {(37, 1153), (128, 1152), (1000, 3200)}
    assert len(cases) == 10


# Workers within this process: those of other processes are tested in test_benchmark.py


class Here:
    """A worker that works when it is asked, in this process."""

    def __init__(self, candidate: Candidate) -> None:
        self.bench, self.answers = candidate.make(), ["ready"]

    def ask(self, work: Callable[[Any], Any]) -> None:
        self.answers.append(work(self.bench))

    def answer(self, timeout: float | None = None) -> Any:
        return self.answers.pop(0)

    def does(self, work: Callable[[Any], Any], timeout: float | None = None) -> Any:
        return work(self.bench)

    def end(self) -> None:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for module in (measure, exactness):
        monkeypatch.setattr(module, "Worker", Here)
    return monkeypatch


def test_a_kernel_whose_process_dies_costs_no_other_its_check(here: pytest.MonkeyPatch) -> None:
    class Dying(Here):
        def does(self, work: Callable[[Any], Any], timeout: float | None = None) -> Any:
            number = work.args[0]  # pyright: ignore[reportFunctionMemberAccess]
            return None if number == 1 else float(number)

    here.setattr(exactness, "Worker", Dying)
    found = exactness.errors(SIZES, ["fast"], "cpu", lambda: 1.0)
    assert list(found.values()) == [0, None, 2, 3, 4]


# Waits


class StandIn(TorchDispatchMode):
    """Warns, as PyTorch does on a GPU, of what reads a value from a tensor."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Tensor:
        if func.overloadpacket.__name__ == "_local_scalar_dense":
            warnings.warn(waits.WARNING, stacklevel=2)
        return func(*args, **kwargs or {})


def logging(experiment: str) -> Experiment:
    return Experiment(experiment, "cpu", (*TINY, f"trainer.log_every={waits.EVERY}"))


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [CAPSNET, BASELINE])
def test_steps_wait_only_where_they_are_logged(experiment: str) -> None:
    row = logging(experiment)
    with StandIn():
        found = waits.waits(row)
    assert (found.between, found.places) == (0, [])
    assert found.logged > 0


@pytest.mark.slow
def test_a_step_that_waits_is_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    row = logging(BASELINE)
    losses = row.module.losses

    def waiting(examples: Any) -> dict[str, Tensor]:
        found = losses(examples)
        assert found["cross_entropy"].item() > 0
        return found

    row.module.losses = waiting
    with StandIn():
        found = waits.waits(row)
    assert found.between == 1
    assert len(found.places) == 1
    told: dict[str, Any] = {"waits": found._asdict(), "exactness": {"fused routing": 1e-3}}
    assert tables.faults(told) == [
        "fused routing is wrong here: train with trainer.kernels=fast",
        "steps between those that are logged wait for the GPU, or could not be run",
    ]
    assert tables.waits_table(told["waits"]).cells[-1] == ("source line", found.places[0])


# Rules


def test_the_plainest_setting_is_kept_unless_another_gains_enough() -> None:
    fused, compiled = Setting("fused"), Setting(compile=True)
    both = Setting("fused", compile=True)
    assert advice.preferred({FP32: 1.09, fused: 1.0, compiled: 1.0, both: 1.0}) == FP32
    assert advice.preferred({FP32: 1.2, fused: 1.0, compiled: 0.99, both: 0.95}) == fused
    assert advice.preferred({FP32: 1.2, fused: 1.19, compiled: 1.0, both: 0.8}) == both
    assert advice.preferred({FOURIER: 1.09, FP32: 1.0}) == FOURIER
    assert advice.preferred({FOURIER: 1.2, FP32: 1.0}) == FP32


def test_tf32_is_taken_unless_fp32_is_nearly_as_fast_for_all() -> None:
    near, far = {FP32: 1.29, TF32: 1.0, BF16: 0.1}, {FP32: 1.31, TF32: 1.0}
    assert advice.precision({"a": near, "b": near}) == "32-true"
    assert advice.precision({"a": near, "b": far}) == "tf32"
    assert advice.precision({"a": {FP32: 3.0, FOURIER: 1.2, TF32: 1.0}}) == "32-true"
    assert advice.precision({"a": {FP32: 3.0, BF16: 1.0}}) == "32-true"  # no tf32 was timed
    assert advice.recommended({"a": near, "b": far}) == {"a": TF32, "b": TF32}
    assert advice.times(near, "32-true", "bf16-mixed") == pytest.approx(12.9)


def test_more_runs_at_a_time_only_if_that_gains() -> None:
    assert advice.jobs({"1": 100.0, "2": 109.0, "4": 105.0}) == 1
    assert advice.jobs({"1": 100.0, "2": 150.0, "4": 160.0}) == 2
    assert advice.jobs({"1": 100.0, "2": 150.0, "4": 300.0}) == 4


def timed(step: float, evaluation: float = 1.0) -> dict[str, Any]:
    """Return the measurements of a step of so many seconds."""
    parts = dict.fromkeys(("data", "forward", "backward", "optimiser"), step / 8)
    rounds = [parts | {"evaluation": evaluation}] * 3
    looped = {"steps": 200, "seconds": 200 * step, "step": 100 * step, "data": step}
    return measure.named(TF32) | {"timings": rounds, "peak_mib": 900.0, "loop": looped}


DIED = measure.named(FP32) | {"timings": [], "peak_mib": None, "loop": None}


def measurements() -> dict[str, Any]:
    capsnet = {"fast": timed(0.006), "fast tf32": timed(0.003), "fast bf16": timed(0.002)}
    capsnet |= {"fused tf32": timed(0.0025), "fused bf16": DIED}
    baseline = {"fast": timed(0.034), "fast tf32": timed(0.008), "fast bf16": timed(0.004)}
    rows = {CAPSNET: check.row(timed(0.0025, 0.00128)), BASELINE: check.row(timed(0.008, 0.00128))}
    return {
        "device": "cuda",
        "processor": "A card",
        "threads": 8,
        "exactness": {"fast routing, 37 × 1153": 1e-7, "fused routing, 37 × 1153": 1e-7},
        "waits": {"between": 0, "logged": 9, "places": []},
        "settings": {CAPSNET: capsnet, BASELINE: baseline},
        "rows": rows,
        "jobs": {"1": 400.0, "2": 600.0, "4": 640.0},
    }


def test_hours_are_all_steps_and_tests_of_all_trials() -> None:
    told = measurements()
    found = advice.hours(told["rows"])
    # 300,000 steps of 2.5 ms, and 10,000 tests of 10 µs; three times.
    assert found[CAPSNET] == pytest.approx(3 * (300_000 * 0.0025 + 10_000 * 1e-5) / 3600)
    assert found[BASELINE] == pytest.approx(3 * (300_000 * 0.008 + 10_000 * 1e-5) / 3600)
    assert advice.hours({CAPSNET: check.row(DIED)}) == {}


def test_hours_are_of_the_experiments_of_the_pipeline() -> None:
    [lists] = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["vars"]
    trained = [one for key, found in lists.items() if key.endswith("experiments") for one in found]
    assert sorted(advice.pipeline_experiments()) == sorted(trained)


@pytest.mark.slow
def test_every_experiment_takes_the_setting_of_its_kind() -> None:
    kinds = {name: advice.representative(name) for name in names("experiment")}
    assert {name for name, kind in kinds.items() if kind == BASELINE} == {
        *("mnist_baseline", "multimnist_baseline", "affnist_baseline"),
        *("mnist_baseline_recon", "mnist_baseline_margin"),
    }


def test_the_summary_says_settings_gains_and_hours() -> None:
    lines = tables.summary(measurements())
    on = "precision=tf32 trainer.kernels=fused trainer.convolutions=direct trainer.compile=false"
    assert f"  CapsNets: {on}" in lines
    assert f"  baselines: {on.replace('fused', 'fast')}" in lines
    bf16 = [line for line in lines if "precision=bf16-mixed" in line]
    assert ["1.2 times as fast" in bf16[0], "2.0 times as fast" in bf16[1]] == [True, True]
    assert "  runs at a time: 2" in lines
    assert "  precision: tf32" in lines
    assert "  trainer: {kernels: fused, convolutions: direct, compile: false}" in lines
    assert f"  {CAPSNET}: 0.63" in lines
    assert "  together: 2.6, one run after another" in lines
    assert "  2.4 with 2 CapsNets at a time" in lines  # 2.0 of the baseline, 0.63 / 1.5
    assert lines[-1].startswith("  not timed, so not counted: affnist_baseline, affnist_capsnet")
    assert tables.faults(measurements()) == []


def test_the_file_for_a_machine_says_where_baselines_differ() -> None:
    fused = Setting("fused", "tf32", compile=True)
    alike = tables.machine_file([fused, fused._replace(kernels="fast")])
    assert alike[-1] == "  trainer: {kernels: fused, convolutions: direct, compile: true}"
    assert "baselines differ" in tables.machine_file([fused, TF32])[-1]
    assert tables.machine_file([]) == []


def test_kernels_that_are_wrong_are_never_recommended() -> None:
    told = measurements()
    told["exactness"]["fused routing, 37 × 1153"] = 3e-4
    assert advice.recommended(advice.seconds(told))[CAPSNET] == TF32


def test_a_convolution_that_cudnn_rounds_is_left_out_where_it_is_used() -> None:
    """Measured on an H200: 2.4e-3 in a baseline's layer, 2e-6 in a CapsNet's."""
    told = json.loads((PROJECT / "results/benchmark/nvidia-h200.json").read_text())
    layer = "direct, a baseline's layer"
    assert advice.wrong(told["exactness"]) == [layer]
    assert advice.seconds(told)[CAPSNET].keys() >= {FP32, Setting("fused", "tf32")}
    fp32, fourier = Setting(), Setting(convolutions="fourier")
    assert advice.computed_with(BASELINE, fp32)(layer)
    others = fourier, Setting(precision="tf32"), Setting(precision="bf16-mixed")
    assert not any(advice.computed_with(BASELINE, one)(layer) for one in others)
    assert not advice.computed_with(CAPSNET, fp32)(layer)
    assert tables.faults(told) == []
    lines = tables.summary(told)
    assert any("cuDNN is 2e-03 off in fp32" in line for line in lines)
    # 8.46 ms; cuDNN's fp32, which `auto` does not take, has 9.31 ms.
    assert "  trainer: {kernels: fused, convolutions: fourier, compile: false}" in lines
    assert "    precision=bf16-mixed: 2.5 times as fast; compare its errors first" in lines


@pytest.mark.parametrize("error", [None, 0.5, float("nan")])
def test_a_convolution_of_cudnn_that_does_more_than_round_is_a_fault(error: float | None) -> None:
    layer = "direct, a baseline's layer"
    told: dict[str, Any] = {"exactness": {layer: error}, "waits": {"between": 0}}
    assert tables.faults(told) == [
        f"{layer} is wrong here: train with trainer.convolutions=fourier"
    ]
    assert not any("cuDNN" in line for line in tables.summary(told))


def test_a_check_that_was_cut_short_says_what_it_knows() -> None:
    assert "Hours of `dvc repro`: not known, as no experiment was timed" in tables.summary({})


def test_the_tables_of_a_benchmark_take_a_check(tmp_path: Path) -> None:
    told = measurements()
    shown = {table.title: table.cells for table in speed_tables(told)}
    assert shown[f"{CAPSNET} under every setting (A card)"] == [
        ("fast", "3", "6", "21333", "1.00", "900"),
        ("fast tf32", "1.5", "3", "42667", "2.00", "900"),
        ("fast bf16", "1", "2", "64000", "3.00", "900"),
        ("fused tf32", "1.25", "2.5", "51200", "2.40", "900"),
        ("fused bf16", "died", "–", "–", "–", "–"),
    ]
    [rows] = [table for title, table in shown.items() if title.startswith("Training step")]
    assert rows[0][0] == f"{CAPSNET}, fast tf32"
    (tmp_path / "card.json").write_text(json.dumps(told))
    costs = costs_table([tmp_path / "card.json"])
    assert costs.cells[1] == (CAPSNET, "A card, fast tf32", "51200", "0.21", "2.8e-05")


# All of it


@pytest.mark.slow
def test_all_parts_one_after_another(
    here: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Findings are written after each part: a check that is cut short loses only the rest."""
    written: list[set[str]] = []
    write = write_json

    def noted(told: dict[str, Any], path: Path) -> None:
        written.append(set(told))
        write(told, path)

    some = [CAPSNET, BASELINE, "affnist_capsnet", "affnist_baseline"]
    here.setattr(check, "names", lambda group: some)
    here.setattr(check, "facts", lambda: {"GPU": "none"})
    here.setattr(check, "write_json", noted)
    check.carry_out(plan(), tmp_path / "card.json")
    parts = ["machine", "exactness", "waits", "settings", "rows", "jobs"]
    order = [next(k for k, told in enumerate(written) if part in told) for part in parts]
    assert order == sorted(order)
    assert len(set(order)) == len(parts)
    told = json.loads((tmp_path / "card.json").read_text())
    for experiment in (CAPSNET, BASELINE):
        assert list(told["settings"][experiment]) == ["fast", "fast bf16"]
    assert set(told["rows"]) == set(some)
    chosen = advice.recommended(advice.seconds(told))
    assert told["rows"]["affnist_capsnet"]["overrides"] == list(chosen[CAPSNET].overrides)
    assert told["rows"]["affnist_baseline"]["overrides"] == list(chosen[BASELINE].overrides)
    assert list(told["jobs"]) == ["1", "2"]
    assert len(speed_tables(told)) == 3
    printed = capsys.readouterr().out
    for title in ("This machine", f"{BASELINE} under every setting", "Recommended on this GPU"):
        assert title in printed
    assert f"  {some[2]}: " in printed


def test_no_part_is_begun_when_the_time_is_up(here: pytest.MonkeyPatch) -> None:
    assert list(measure.measured({"a": Workload(CAPSNET, FP32)}, plan(minutes=0))) == []


@pytest.mark.slow
def test_runs_side_by_side_are_real_processes() -> None:
    found = measure.side_by_side(Workload(CAPSNET, FP32), plan(jobs=(1,)))
    assert list(found) == ["1"]
    assert found["1"] > 0


def test_settings_that_a_machine_cannot_run_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks() -> None:
        raise UserError("fused needs more")

    monkeypatch.setattr(check, "check_compiler", lambda: None)
    monkeypatch.setattr(check, "check_fused", lacks)
    assert check.possible() == settings("fast")
    monkeypatch.setattr(check, "check_compiler", lacks)
    assert check.possible() == [one for one in settings("fast") if not one.compile]
    assert check.lacking(lacks) == "fused needs more"


def test_what_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """nvidia-smi as it answers, and where there is none."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 580.65.06\necho 580.65.06\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert machine.driver() == "580.65.06"
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert machine.driver() == machine.UNKNOWN
    assert machine.package("torch") in torch.__version__
    assert machine.package("no-such-package") == machine.UNKNOWN
