"""The Triton kernels, interpreted, against `functional`; and compiled, as far as that goes here."""

import subprocess
import sys
from math import ceil
from pathlib import Path

import pytest
import torch

from capsnet import functional
from capsnet.kernels.networks import FusedCapsNet
from capsnet.networks import CapsNet
from capsnet.routing import DYNAMIC, LEAKY, Routing
from capsnet.training.fingerprint import PACKAGE
from test_kernels import (
    Function,
    assert_as_good_in_float32,
    assert_equal,
    assert_second_gradients_are_refused,
    both_leaky,
    normal,
    routed,
    with_options,
)

fused = pytest.importorskip("capsnet.kernels.routing_triton", reason="Triton is on Linux alone")


def both(iterations: int, bias: bool = True) -> tuple[Function, Function]:
    """The kernels and the truth."""
    truth = with_options(functional.dynamic_routing, iterations, bias)
    return with_options(fused.dynamic_routing, iterations, bias), truth


@pytest.mark.slow
@pytest.mark.parametrize(
    ("iterations", "bias"), [(1, True), (2, False), (3, True), (3, False), (5, True)]
)
def test_routing_is_exact(iterations: int, bias: bool) -> None:
    """37 capsules: three whole runs and a part of one; in `_votes_backward` seven and a part."""
    inputs = routed(37, batch=5)
    assert_equal(*both(iterations, bias), inputs if bias else inputs[:2])


@pytest.mark.parametrize(
    ("batch", "capsules", "multiprocessors", "resident", "run", "programs"),
    [
        (128, 1152, 132, 1, 35, 132),  # MNIST on an H100: one program on every multiprocessor
        (128, 1152, 132, 2, 18, 256),
        (128, 3200, 132, 1, 97, 132),  # MultiMNIST
        (128, 3200, 132, 2, 49, 264),
        (128, 1152, 46, 1, 51, 92),  # 46: two waves of 46 are sooner over than one of 44
        (32, 1, 132, 1, 1, 1),
        (5000, 1152, 132, 1, 231, 785),  # more tiles than multiprocessors
    ],
)
def test_a_launch_fills_the_multiprocessors(
    batch: int, capsules: int, multiprocessors: int, resident: int, run: int, programs: int
) -> None:
    tiles = ceil(batch / fused.EXAMPLES)
    assert fused.capsules_per_program(tiles, capsules, resident * multiprocessors) == run
    assert tiles * ceil(capsules / run) == programs


@pytest.mark.parametrize("tiles", [1, 4, 7, 32, 157])
@pytest.mark.parametrize("slots", [4, 46, 132, 264])
def test_no_other_length_of_runs_in_as_few_waves_is_shorter(tiles: int, slots: int) -> None:
    """By trying all."""
    waves = {run: ceil(tiles * ceil(1152 / run) / slots) for run in range(1, 1153)}
    allowed = [run for run in waves if waves[run] < ceil(tiles / slots) + fused.WAVES]
    run = fused.capsules_per_program(tiles, 1152, slots)
    assert waves[run] * run == min(waves[one] * one for one in allowed)


def test_routing_over_several_tiles_of_examples() -> None:
    """The gradient of W is summed over them."""
    batch = 2 * fused.EXAMPLES + 1
    assert_equal(*both(3), routed(3, batch=batch))


@pytest.mark.slow
def test_routing_between_other_numbers_of_capsules_and_dimensions() -> None:
    """Sizes that are no power of two are padded, and the padding changes nothing."""
    assert_equal(*both(3), routed(5, batch=2, out=3, in_dim=5, dim=20))
    assert_equal(*both(2), routed(17, batch=1, out=1, in_dim=17, dim=2))


@pytest.mark.parametrize(("out", "in_dim", "dim"), [(10, 8, 16), (8, 6, 8), (1, 3, 2)])
@pytest.mark.parametrize("iterations", [1, 3])
def test_leaky_routing_is_exact(iterations: int, out: int, in_dim: int, dim: int) -> None:
    """Also where no column is padding that a leak could be mistaken for: 8 above."""
    assert_equal(*both_leaky(fused.dynamic_routing, iterations), routed(9, 2, out, in_dim, dim))


def test_leaky_routing_of_large_logits_is_exact() -> None:
    u, weight, bias = routed(8)
    assert_equal(*both_leaky(fused.dynamic_routing, 3), (u, 40 * weight, bias))


@pytest.mark.slow
def test_routing_of_transposed_inputs() -> None:
    u, weight, bias = routed(20)
    inputs = u.mT.contiguous().mT, weight.permute(1, 3, 2, 0).contiguous().permute(3, 0, 2, 1), bias
    assert_equal(*both(3), inputs)


@pytest.mark.slow
def test_routing_is_as_good_in_float32() -> None:
    assert_as_good_in_float32(*both(3), routed(200, 16))


@pytest.mark.slow
def test_the_same_input_gives_the_same_bits() -> None:
    u, weight, _ = (x.float().requires_grad_() for x in routed(40, batch=40))
    first, second = (
        torch.autograd.grad(fused.dynamic_routing(u, weight, 3).sum(), (u, weight))
        for _ in range(2)
    )
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def test_routing_refuses_second_gradients() -> None:
    assert_second_gradients_are_refused(fused.dynamic_routing)


def test_routing_needs_an_iteration() -> None:
    with pytest.raises(ValueError, match="at least 1 iteration, got 0"):
        fused.dynamic_routing(normal(2, 4, 8, seed=0), normal(4, 10, 8, 16, seed=1), 0)


def test_other_algorithms_are_refused() -> None:
    with pytest.raises(ValueError, match="dynamic and leaky routing alone"):
        FusedCapsNet.routing_function(Routing(lambda u, *_: u, lambda *_: []))


@pytest.mark.parametrize("algorithm", [DYNAMIC, LEAKY], ids=["dynamic", "leaky"])
def test_the_network_is_the_same_network(algorithm: Routing) -> None:
    truth, other = (
        kind((1, 20, 20), channels=6, types=3, routing=algorithm).double()
        for kind in (CapsNet, FusedCapsNet)
    )
    other.load_state_dict(truth.state_dict())
    images = torch.rand(2, 1, 20, 20, dtype=torch.float64)
    answers = [network(images) for network in (truth, other)]
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-10, atol=1e-12)


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from capsnet.kernels import routing_triton as fused

sizes = dict(OUT=10, IN_DIM=8, DIM=16, ROWS=fused.EXAMPLES, OUT2=16, IN2=16, DIM2=16, LEAKY=True)
for kernel in (fused._route, fused._route_backward, fused._votes_backward):
    known = {name: value for name, value in sizes.items() if name in kernel.arg_names}
    kinds = {name: "constexpr" if name in known else "*fp32" for name in kernel.arg_names}
    source = ASTSource(kernel, kinds | dict.fromkeys(("batch", "capsules", "run"), "i32"), known)
    for capability in (80, 90):
        target = GPUTarget("cuda", capability, 32)
        made = triton.compile(source, target=target, options={"num_warps": fused.WARPS})
        assert made.metadata.shared <= 99 * 1024, "more than a program has on consumers' GPUs"
        print(kernel.__name__, len(made.asm["cubin"]))
"""


def compiled(script: str, home: Path) -> str:
    """The output of a script in a process where Triton is not interpreted."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(PACKAGE.parent)}
    environment["TRITON_DEFAULT_FP_FUSION"] = "1"  # else it warns
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Triton is on Linux alone")
def test_the_kernels_compile_for_gpus_that_are_not_here(tmp_path: Path) -> None:
    """The compilers for Ampere and Hopper may refuse what the interpreter accepts."""
    assert len(compiled(COMPILED, tmp_path).split()) == 12


TRACED = """
import torch
import torch.utils._triton

torch.utils._triton.has_triton = lambda *args, **kwargs: True  # else kernels are not known as such
from capsnet.kernels.networks import FusedCapsNet
from capsnet.routing import LEAKY

def note(graph, inputs):
    print("one graph")
    return lambda *args: (torch.zeros(4, 10, 16),)

routed = torch.compile(FusedCapsNet.routing_function(LEAKY), backend=note, fullgraph=True)
routed(torch.rand(4, 37, 8, requires_grad=True), torch.rand(37, 10, 8, 16), 3, None)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Triton is on Linux alone")
def test_trainer_compile_makes_one_graph_of_the_routing(tmp_path: Path) -> None:
    """Nothing in it, such as asking for the GPU's size, makes torch.compile fall back."""
    assert compiled(TRACED, tmp_path) == "one graph\n"
