"""The fast paths against the truth: `functional`, and PyTorch's own convolutions."""

import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from capsnet import functional
from capsnet.benchmark import textbook
from capsnet.benchmark.textbook import TextbookCapsNet
from capsnet.kernels import allocator, conv_same, convolutions, fourier, matmul, routing, tiling
from capsnet.kernels.conv_same import same_convolution
from capsnet.kernels.convolutions import Sizes, best_tile, stacked_convolutions
from capsnet.kernels.networks import FastCapsNet, FastConv2d
from capsnet.kernels.tiling import Tile
from capsnet.layers import SameConv2d
from capsnet.networks import AffnistBaseline, CapsNet, MnistBaseline, MultiMnistBaseline
from capsnet.routing import LEAKY

EXACT = 1e-10  # relative, in float64
AS_GOOD = 2  # how many times the error of the truth in float32, against itself in float64

Function = Callable[..., Tensor]


def normal(*shape: int, seed: int, sd: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return sd * torch.randn(shape, generator=generator, dtype=torch.float64)


def answers(function: Function, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The value, and the gradient of a random linear function of it by every input."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    value = function(*leaves)
    weights = normal(*value.shape, seed=99).to(value.dtype)
    return [value.detach(), *torch.autograd.grad(value, leaves, weights)]


def errors(answers: list[Tensor], truth: list[Tensor]) -> list[float]:
    return [
        float(torch.linalg.vector_norm(ours - true) / torch.linalg.vector_norm(true))
        for ours, true in zip(answers, truth, strict=True)
    ]


def assert_equal(fast: Function, truth: Function, inputs: Sequence[Tensor]) -> None:
    ours, true = answers(fast, inputs), answers(truth, inputs)
    assert [x.shape for x in ours] == [x.shape for x in true]
    assert max(errors(ours, true)) < EXACT


def assert_as_good_in_float32(fast: Function, truth: Function, inputs: Sequence[Tensor]) -> None:
    exact = answers(truth, inputs)
    single = [x.float() for x in inputs]
    ours, reference = (errors(answers(f, single), exact) for f in (fast, truth))
    for our_error, reference_error in zip(ours, reference, strict=True):
        assert our_error < AS_GOOD * reference_error


def routed(
    capsules: int, batch: int = 3, out: int = 10, in_dim: int = 8, dim: int = 16
) -> tuple[Tensor, Tensor, Tensor]:
    """u, W and bias; W so large that the couplings are far from uniform."""
    u = functional.squash(normal(batch, capsules, in_dim, seed=0))
    weight = normal(capsules, out, in_dim, dim, seed=1, sd=0.5)
    return u, weight, normal(out, dim, seed=2, sd=0.1)


def with_options(function: Function, iterations: int, bias: bool = True) -> Function:
    """`dynamic_routing` as a function of tensors alone."""
    if bias:
        return lambda u, weight, bias: function(u, weight, iterations, bias)
    return lambda u, weight: function(u, weight, iterations)


def both_leaky(route: Function, iterations: int, bias: bool = True) -> tuple[Function, Function]:
    """A way to route and the truth, with the leak."""
    ours, truth = (partial(one, leaky=True) for one in (route, functional.dynamic_routing))
    return with_options(ours, iterations, bias), with_options(truth, iterations, bias)


def both_routings(iterations: int, bias: bool = True) -> tuple[Function, Function]:
    """The fast path and the truth."""
    fast, truth = routing.dynamic_routing, functional.dynamic_routing
    return with_options(fast, iterations, bias), with_options(truth, iterations, bias)


def assert_routes_alike(inputs: Sequence[Tensor], iterations: int) -> None:
    assert_equal(*both_routings(iterations, len(inputs) == 3), inputs)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
def test_routing_is_exact(iterations: int, bias: bool) -> None:
    inputs = routed(97)
    assert_routes_alike(inputs if bias else inputs[:2], iterations)


@pytest.mark.slow
@pytest.mark.parametrize("capsules", [1152, 3200, 4608])
def test_routing_is_exact_at_the_sizes_of_the_paper(capsules: int) -> None:
    assert_routes_alike(routed(capsules, batch=2), 3)


@pytest.mark.parametrize("slab", [1, 2**12, 2**13])
def test_routing_is_exact_however_it_is_cut(slab: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """97 capsules: in slabs of 1, of 8 and of 17; the last ones end with capsules of zeros."""
    monkeypatch.setattr(routing, "SLAB", slab)
    assert_routes_alike(routed(97), 3)


def test_routing_between_other_numbers_of_capsules_and_dimensions() -> None:
    assert_routes_alike(routed(5, batch=1, out=1, in_dim=3, dim=2), 3)
    assert_routes_alike(routed(1, batch=4, out=7, in_dim=1, dim=1), 2)


def test_routing_between_svhns_capsules() -> None:
    """Six dimensions below and eight above."""
    assert_routes_alike(routed(64, in_dim=6, dim=8), 3)


LEAKY_CASES = [
    ((97, 3, 10, 8, 16), 3),
    ((64, 2, 10, 6, 8), 2),
    ((20, 3, 5, 8, 16), 1),
    ((9, 1, 1, 3, 2), 4),
]


@pytest.mark.parametrize(("sizes", "iterations"), LEAKY_CASES)
@pytest.mark.parametrize("route", [routing.dynamic_routing, textbook.dynamic_routing])
def test_leaky_routing_is_exact(
    route: Function, sizes: tuple[int, int, int, int, int], iterations: int
) -> None:
    inputs = routed(*sizes)
    assert_equal(*both_leaky(route, iterations), inputs)
    assert_equal(*both_leaky(route, iterations, bias=False), inputs[:2])


def test_leaky_routing_is_exact_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routing, "SLAB", 2**12)
    assert_equal(*both_leaky(routing.dynamic_routing, 3), routed(97))


def test_leaky_routing_of_large_logits_is_finite_and_exact() -> None:
    """Logits far below 0 leave everything to the leak, far above 0 nothing."""
    u, weight, bias = routed(8)
    assert_equal(*both_leaky(routing.dynamic_routing, 3), (u, 40 * weight, bias))


def test_routing_of_transposed_inputs() -> None:
    u, weight, bias = routed(20)
    inputs = u.mT.contiguous().mT, weight.permute(1, 3, 2, 0).contiguous().permute(3, 0, 2, 1), bias
    assert_routes_alike(inputs, 3)


def test_routing_of_silent_capsules_has_finite_gradients() -> None:
    u, weight, _ = routed(12)
    silent = answers(with_options(routing.dynamic_routing, 3, bias=False), (0 * u, weight))
    assert all(x.isfinite().all() for x in silent)


@pytest.mark.parametrize("iterations", [1, 3])
def test_routing_is_as_good_in_float32(iterations: int) -> None:
    assert_as_good_in_float32(*both_routings(iterations), routed(1152, 16))


def assert_second_gradients_are_refused(route: Function) -> None:
    """An analytic backward is not itself differentiable: its derivatives would be wrong."""
    u, weight, _ = (x.requires_grad_() for x in routed(12))
    with pytest.raises(RuntimeError, match="has no second gradients"):
        torch.autograd.grad(route(u, weight, 3).sum(), u, create_graph=True)


def test_routing_refuses_second_gradients() -> None:
    assert_second_gradients_are_refused(routing.dynamic_routing)


def test_products_and_convolutions_have_second_gradients() -> None:
    a, b = (normal(*shape, seed=3).requires_grad_() for shape in ((3, 4), (4, 2)))
    assert torch.autograd.gradgradcheck(matmul.matmul, (a, b))
    x, weight = (normal(*shape, seed=4).requires_grad_() for shape in ((1, 2, 4, 3), (2, 2, 3, 3)))
    assert torch.autograd.gradgradcheck(same_convolution, (x, weight))


@pytest.mark.parametrize("route", [routing.dynamic_routing, textbook.dynamic_routing])
def test_routing_needs_an_iteration(route: Function) -> None:
    with pytest.raises(ValueError, match="at least 1 iteration, got 0"):
        route(normal(2, 4, 8, seed=0), normal(4, 10, 8, 16, seed=1), 0)


def test_the_textbook_routes_to_the_same_values() -> None:
    """The benchmark's textbook routing computes the same values."""
    slow, truth = textbook.dynamic_routing, functional.dynamic_routing
    assert_equal(with_options(slow, 3), with_options(truth, 3), routed(9))
    assert_equal(with_options(slow, 3, False), with_options(truth, 3, False), routed(9)[:2])


@pytest.mark.parametrize("linear", [None, matmul.ONEDNN], ids=["PyTorch's own", "oneDNN"])
@pytest.mark.parametrize("stack", [(), (1,), (7,)])
def test_products_are_as_good_in_float32(
    stack: tuple[int, ...], linear: Function | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transposed factors included."""
    monkeypatch.setattr(matmul, "LINEAR", linear)
    a, b = normal(*stack, 33, 20, seed=0), normal(*stack, 47, 33, seed=1)
    inputs = (a.mT, b.mT)
    assert_as_good_in_float32(matmul.matmul, torch.matmul, inputs)
    assert_equal(matmul.matmul, torch.matmul, inputs)


def test_products_where_the_operator_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matmul, "LINEAR", None)
    a, b = normal(5, 20, 33, seed=0).float(), normal(5, 33, 47, seed=1).float()
    assert torch.equal(matmul.matmul(a, b), a @ b)


def test_a_product_computes_only_the_gradients_that_are_asked_for() -> None:
    a, b = normal(4, 5, seed=0), normal(5, 6, seed=1).requires_grad_()
    matmul.matmul(a, b).sum().backward()
    assert a.grad is None
    torch.testing.assert_close(b.grad, a.sum(0)[:, None].expand(5, 6))


def torch_convolutions(images: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor) -> Tensor:
    return conv2d(conv2d(images, weight1, bias1).relu(), weight2, stride=2)


def convolved(
    image: tuple[int, int, int],
    batch: int = 2,
    channels: tuple[int, int] = (5, 6),
    kernels: tuple[int, int] = (9, 9),
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images, weight1, bias1 and weight2, of about the sizes that the released recipe starts at."""
    images = normal(batch, *image, seed=0).abs()
    weight1 = normal(channels[0], image[0], kernels[0], kernels[0], seed=1, sd=0.05)
    weight2 = normal(channels[1], channels[0], kernels[1], kernels[1], seed=3, sd=0.1)
    return images, weight1, normal(channels[0], seed=2, sd=0.1), weight2


@pytest.mark.parametrize(
    "image",
    [(1, 28, 28), (1, 36, 36), (1, 40, 40), (3, 32, 32), (1, 29, 40), (1, 64, 17), (2, 17, 18)],
)
def test_convolutions_are_exact(image: tuple[int, int, int]) -> None:
    assert_equal(stacked_convolutions, torch_convolutions, convolved(image))


def torch_same_convolutions(
    images: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor
) -> Tensor:
    first, second = (
        SameConv2d(w.shape[1], len(w), (w.shape[2], w.shape[3]), stride, device="meta")
        for w, stride in ((weight1, 1), (weight2, 2))
    )
    call = torch.func.functional_call
    x = call(first, {"weight": weight1, "bias": bias1}, images).relu()
    return call(second, {"weight": weight2, "bias": weight2.new_zeros(len(weight2))}, x)


@pytest.mark.parametrize(
    ("image", "kernels"),
    [
        ((3, 24, 24), (9, 9)),
        ((1, 23, 30), (9, 9)),
        ((2, 7, 1), (9, 9)),
        ((1, 12, 13), (4, 3)),
        ((1, 12, 13), (3, 6)),
    ],
)
def test_convolutions_with_same_padding_are_exact(
    image: tuple[int, int, int], kernels: tuple[int, int]
) -> None:
    ours = partial(stacked_convolutions, padding="same")
    assert_equal(ours, torch_same_convolutions, convolved(image, kernels=kernels))


@pytest.mark.parametrize("outputs", [(12, 12), (5, 7), (1, 3)])
def test_convolutions_with_same_padding_are_exact_however_they_are_tiled(
    outputs: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolutions, "best_tile", lambda sizes: Tile(outputs, (5, 5)))
    ours = partial(stacked_convolutions, padding="same")
    assert_equal(ours, torch_same_convolutions, convolved((2, 24, 24)))


@pytest.mark.parametrize("kernels", [(9, 8), (5, 3), (1, 1), (4, 2)])
def test_convolutions_with_other_kernels_are_exact(kernels: tuple[int, int]) -> None:
    inputs = convolved((1, 20, 21), kernels=kernels)
    assert_equal(stacked_convolutions, torch_convolutions, inputs)


@pytest.mark.parametrize("outputs", [(6, 6), (4, 5), (3, 6), (1, 1), (7, 2)])
def test_convolutions_are_exact_however_they_are_tiled(
    outputs: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolutions, "best_tile", lambda sizes: Tile(outputs, (5, 5)))
    assert_equal(stacked_convolutions, torch_convolutions, convolved((1, 28, 28)))


@pytest.mark.parametrize("side", [28, 36, 40])
def test_convolutions_are_as_good_in_float32(side: int) -> None:
    inputs = convolved((1, side, side), batch=4, channels=(64, 32))
    assert_as_good_in_float32(stacked_convolutions, torch_convolutions, inputs)


def test_an_evaluation_before_training_does_no_harm() -> None:
    """Tensors of inference mode cannot take part in training; the constant matrices are shared."""
    fourier.transform.cache_clear()
    inputs = convolved((1, 28, 28))
    with torch.inference_mode():
        stacked_convolutions(*inputs)
    assert_equal(stacked_convolutions, torch_convolutions, inputs)


def test_images_too_small_for_an_output_are_refused() -> None:
    with pytest.raises(ValueError, match="images of 28×16 are smaller"):
        stacked_convolutions(*convolved((1, 28, 16)))


def torch_same(x: Tensor, weight: Tensor) -> Tensor:
    return conv2d(x, weight, padding="same")


def features(
    side: tuple[int, int], taps: tuple[int, int] = (5, 5), channels: tuple[int, int] = (5, 6)
) -> tuple[Tensor, Tensor]:
    """Feature maps of two examples, and a kernel."""
    return normal(2, channels[0], *side, seed=0), normal(*channels[::-1], *taps, seed=1)


@pytest.mark.parametrize("side", [(28, 28), (18, 18), (10, 10), (9, 23), (5, 5), (3, 4), (1, 1)])
def test_same_convolutions_are_exact(side: tuple[int, int]) -> None:
    assert_equal(same_convolution, torch_same, features(side))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("taps", [(9, 9), (1, 1), (3, 5), (2, 4), (7, 1)])
def test_same_convolutions_with_other_kernels_are_exact(taps: tuple[int, int]) -> None:
    """Even ones too: PyTorch pads them more behind than before."""
    assert_equal(same_convolution, torch_same, features((12, 13), taps))


@pytest.mark.parametrize("outputs", [(7, 7), (4, 14), (5, 6), (1, 1), (28, 28), (30, 9)])
def test_same_convolutions_are_exact_however_they_are_tiled(
    outputs: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conv_same, "best_tile", lambda sizes: Tile(outputs, (5, 5)))
    assert_equal(same_convolution, torch_same, features((28, 28), channels=(3, 2)))


def test_same_convolutions_are_exact_from_channels_last() -> None:
    """Inputs lie in memory with channels last, as a convolution left them or as channels_last."""
    x, weight = features((12, 13))
    last = x.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)
    assert_equal(same_convolution, torch_same, (last, weight))
    assert_equal(same_convolution, torch_same, (x.to(memory_format=torch.channels_last), weight))


@pytest.mark.parametrize("side", [28, 18])
def test_same_convolutions_are_as_good_in_float32(side: int) -> None:
    inputs = features((side, side), channels=(64, 32))
    assert_as_good_in_float32(same_convolution, torch_same, inputs)


@pytest.mark.parametrize(
    ("images", "kernel", "pays"),
    [
        ((128, 256, 28, 28), (256, 256, 5, 5), True),
        ((128, 512, 18, 18), (256, 512, 5, 5), True),
        ((128, 1, 28, 28), (256, 1, 5, 5), False),  # the digits themselves
        ((128, 256, 28, 28), (256, 256, 1, 1), False),
    ],
)
def test_where_the_transform_pays(
    images: tuple[int, ...], kernel: tuple[int, ...], pays: bool
) -> None:
    assert conv_same.pays(torch.empty(images), torch.empty(kernel)) == pays


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MnistBaseline, MultiMnistBaseline, AffnistBaseline])
def test_a_baseline_by_the_fast_convolution_is_the_same_network(
    kind: Callable[..., nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a network so small would not take it."""
    monkeypatch.setattr(conv_same, "pays", lambda x, weight: True)
    truth, fast = (kind((1, 12, 16), conv=c).double().eval() for c in (nn.Conv2d, FastConv2d))
    fast.load_state_dict(truth.state_dict())
    images = normal(2, 1, 12, 16, seed=3)
    for network in (truth, fast):
        network(images).square().sum().backward()
    torch.testing.assert_close(fast(images), truth(images), rtol=1e-10, atol=1e-12)
    for one, two in zip(truth.parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-9, atol=1e-12)


def test_a_fast_convolution_in_bf16_is_pytorchs() -> None:
    x, layer = normal(2, 64, 12, 12, seed=0).float(), FastConv2d(64, 64, 5, padding="same")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), nn.Conv2d.forward(layer, x))


def test_a_product_keeps_only_what_its_gradients_need() -> None:
    a, b = normal(4, 5, seed=0), normal(5, 6, seed=1).requires_grad_()
    product = matmul.matmul(a, b).grad_fn
    assert product is not None
    assert [kept is a for kept in product.saved_tensors] == [True, False]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(params=["at once", "in turn"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Choose how transforms go along height and width, cheaper or not."""
    products = [None] if request.param == "at once" else [None, None]
    monkeypatch.setattr(fourier, "of_map", lambda tile, grid: products)
    fourier.transform.cache_clear()
    yield
    fourier.transform.cache_clear()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("outputs", [(6, 6), (5, 5), (10, 7), (1, 4)])
@pytest.mark.parametrize("taps", [(5, 5), (1, 1), (3, 2)])
def test_a_transform_is_numpys_between_its_frequencies(
    outputs: tuple[int, int], taps: tuple[int, int]
) -> None:
    """Half a frequency up along the height, of which a transform of real numbers needs half."""
    tile = Tile(outputs, taps)
    (height, width), x = tile.sides, normal(*tile.sides, seed=0)
    period = height + height % 2
    turned = np.exp(-1j * np.pi * np.arange(height) / period)[:, None] * x.numpy()
    expected = np.fft.fft2(turned, (period, width))[: period // 2]
    of_tiles = fourier.transform(tile, torch.float64, torch.device("cpu")).tiles
    points = of_tiles.to_points(x.view(-1, 1))
    _, real, imaginary = points.view(tile.rows, 3, width).unbind(1)
    np.testing.assert_allclose(torch.complex(real, imaginary), expected, atol=1e-12)
    assert points.numel() == tile.points


@pytest.mark.usefixtures("way")
def test_convolutions_are_exact_either_way() -> None:
    assert_equal(same_convolution, torch_same, features((9, 23)))
    assert_equal(stacked_convolutions, torch_convolutions, convolved((1, 29, 40)))


def test_small_transforms_go_at_once_and_large_ones_in_turn() -> None:
    """A step where memory counts gains by one matrix, where multiplications do by two."""
    small, large = Tile((6, 6), (5, 5)), Tile((28, 14), (5, 5))
    assert [len(tiling.of_map(small, grid)) for grid in (small.sides, small.taps)] == [1, 1]
    assert [len(tiling.of_map(large, grid)) > 1 for grid in (large.sides, large.taps)] == [
        True,
        False,
    ]


def test_mnist_takes_one_tile_of_150_points() -> None:
    """10 · 10 / 2 = 50 complex frequencies at 3 multiplications each."""
    tile = best_tile(Sizes(128, 1, 256, 256, (9, 9), (9, 9), (6, 6)))
    assert tile.outputs == (6, 6)
    assert tile.points == 150


FAULTS_OF_FREED_MEMORY = """
import resource
import numpy as np
from capsnet.kernels.allocator import keep_memory
keep_memory()
np.ones(2**23)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(2**23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_freed_memory_is_kept_for_the_next_tensor() -> None:
    """Ten times 64 MiB are 163,840 pages of 4 KiB: not one of them has to be mapped again."""
    command = [sys.executable, "-c", FAULTS_OF_FREED_MEMORY]
    assert int(subprocess.run(command, check=True, capture_output=True).stdout) < 100


def test_other_systems_keep_their_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.delattr(allocator, "ctypes")
    allocator.keep_memory()


@pytest.mark.slow
@pytest.mark.parametrize("image", [(1, 28, 28), (1, 36, 36), (2, 21, 33)])
@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"routing_bias": False, "primary_coupling": False},
        {"routing": LEAKY, "padding": "same"},
        {"routing": LEAKY, "primary_dim": 6, "class_dim": 7, "classes": 5},
    ],
)
@pytest.mark.parametrize("kind", [FastCapsNet, TextbookCapsNet])
def test_a_network_by_other_ways_is_the_same_network(
    kind: type[CapsNet], recipe: dict[str, Any], image: tuple[int, int, int]
) -> None:
    truth, other = (
        made(image, channels=12, types=4, **recipe).double() for made in (CapsNet, kind)
    )
    other.load_state_dict(truth.state_dict())
    images = torch.rand(3, *image, dtype=torch.float64)
    answers = [network(images) for network in (truth, other)]
    for answer in answers:
        answer.square().sum().backward()
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-10, atol=1e-12)
    for (name, one), two in zip(truth.named_parameters(), other.parameters(), strict=True):
        if not name.startswith("decoder"):
            torch.testing.assert_close(two.grad, one.grad, rtol=1e-9, atol=1e-12)
