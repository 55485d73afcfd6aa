"""The Triton kernels, interpreted, against `functional`; and compiled, as far as that goes here."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from capsnet import functional
from capsnet.kernels.networks import FusedCapsNet
from capsnet.networks import CapsNet
from test_kernels import (
    Function,
    assert_as_good_in_float32,
    assert_equal,
    normal,
    routed,
    with_options,
)

fused = pytest.importorskip("capsnet.kernels.fused", reason="Triton is on Linux alone")


def both(iterations: int, bias: bool = True) -> tuple[Function, Function]:
    """The kernels and the truth."""
    truth = with_options(functional.dynamic_routing, iterations, bias)
    return with_options(fused.dynamic_routing, iterations, bias), truth


@pytest.mark.parametrize(
    ("iterations", "bias"), [(1, True), (2, False), (3, True), (3, False), (5, True)]
)
def test_routing_is_exact(iterations: int, bias: bool) -> None:
    """37 capsules: two whole runs and a part of one."""
    inputs = routed(37, batch=5)
    assert_equal(*both(iterations, bias), inputs if bias else inputs[:2])


def test_routing_over_several_tiles_of_examples() -> None:
    """The gradient of W is summed over them."""
    batch = 2 * fused.EXAMPLES + 1
    assert_equal(*both(3), routed(3, batch=batch))


def test_routing_between_other_numbers_of_capsules_and_dimensions() -> None:
    """What is not a power of two is padded, and the padding takes no part."""
    assert_equal(*both(3), routed(5, batch=2, out=3, in_dim=5, dim=20))
    assert_equal(*both(2), routed(17, batch=1, out=1, in_dim=17, dim=2))


def test_routing_of_transposed_inputs() -> None:
    u, weight, bias = routed(20)
    inputs = u.mT.contiguous().mT, weight.permute(1, 3, 2, 0).contiguous().permute(3, 0, 2, 1), bias
    assert_equal(*both(3), inputs)


def test_routing_is_as_good_in_float32() -> None:
    assert_as_good_in_float32(*both(3), routed(200, 16))


def test_the_same_input_gives_the_same_bits() -> None:
    u, weight, _ = (x.float().requires_grad_() for x in routed(40, batch=40))
    first, second = (
        torch.autograd.grad(fused.dynamic_routing(u, weight, 3).sum(), (u, weight))
        for _ in range(2)
    )
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def test_routing_needs_an_iteration() -> None:
    with pytest.raises(ValueError, match="at least 1 iteration, got 0"):
        fused.dynamic_routing(normal(2, 4, 8, seed=0), normal(4, 10, 8, 16, seed=1), 0)


def test_the_network_is_the_same_network() -> None:
    truth, other = (
        kind((1, 20, 20), channels=6, types=3).double() for kind in (CapsNet, FusedCapsNet)
    )
    other.load_state_dict(truth.state_dict())
    images = torch.rand(2, 1, 20, 20, dtype=torch.float64)
    answers = [network(images) for network in (truth, other)]
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-10, atol=1e-12)


COMPILED_FOR_HOPPER = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from capsnet.kernels import fused

sizes = dict(OUT=10, IN_DIM=8, DIM=16, ROWS=fused.EXAMPLES, RUN=fused.RUN)
sizes |= dict(OUT2=16, IN2=16, DIM2=16)
for kernel in (fused._route, fused._route_backward, fused._votes_backward):
    kinds = {name: "constexpr" if name in sizes else "*fp32" for name in kernel.arg_names}
    source = ASTSource(kernel, kinds | {"batch": "i32", "capsules": "i32"}, sizes)
    target = GPUTarget("cuda", 90, 32)
    made = triton.compile(source, target=target, options={"num_warps": fused.WARPS})
    assert made.metadata.shared < 227 * 1024, "more shared memory than a multiprocessor has"
    print(kernel.__name__, len(made.asm["cubin"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is on Linux alone")
def test_the_kernels_compile_for_a_gpu_that_is_not_here(tmp_path: Path) -> None:
    """What the interpreter lets pass, the compiler for a Hopper GPU may not."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TRITON_DEFAULT_FP_FUSION": "1"}
    command = [sys.executable, "-c", COMPILED_FOR_HOPPER]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 6
