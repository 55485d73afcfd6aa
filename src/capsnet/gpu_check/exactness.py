"""The error of compiled kernels on a GPU against the same mathematics in float64.

Compares values, and gradients by every input, at the sizes of the paper.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from capsnet import functional
from capsnet.benchmark.runner import Candidate, Worker
from capsnet.kernels.conv_same import same_convolution
from capsnet.kernels.convolutions import stacked_convolutions
from capsnet.kernels.networks import FastCapsNet, FusedCapsNet
from capsnet.kernels.precision import fp32_arithmetic
from capsnet.routing import DYNAMIC

CHUNK = 32  # examples at a time in float64, whose intermediates are large
ITERATIONS = 3

Function = Callable[..., Tensor]  # of tensors; the first has one row for each example


class Sizes(NamedTuple):
    """Sizes of the computations: by default the paper's, and some that no block size divides."""

    routed: tuple[tuple[int, int], ...] = ((37, 1153), (128, 1152), (1000, 3200))
    images: int = 37
    side: int = 28
    channels: int = 256


class Input(NamedTuple):
    """A tensor of normal numbers with this standard deviation, or of their signs times it."""

    sd: float
    shape: tuple[int, ...]
    signs: bool = False


class Case(NamedTuple):
    """A function, the same in other words, and what they are compared on."""

    name: str
    ours: Function
    truth: Function
    inputs: tuple[Input, ...]


def errors(
    sizes: Sizes, kernels: Sequence[str], device: str, left: Callable[[], float]
) -> dict[str, float | None]:
    """Return the error of every case by name; None where its process died.

    `left` tells how many seconds there are.
    """
    found: dict[str, float | None] = {}
    worker = ready(candidate := Candidate(partial(cases, sizes, kernels)), left())
    for number, case in enumerate(cases(sizes, kernels)):
        found[case.name] = worker.does(partial(nth_error, number, device), left())
        if found[case.name] is None:  # it died: a failed kernel leaves its process useless
            worker = ready(candidate, left())
    worker.end()
    return found


def ready(candidate: Candidate, seconds: float) -> Worker:
    """Start a worker and wait for it."""
    worker = Worker(candidate)
    worker.answer(seconds)
    return worker


def nth_error(number: int, device: str, every: Sequence[Case]) -> float:
    """Return the error of one of the cases."""
    return error(every[number], device)


def cases(sizes: Sizes, kernels: Sequence[str]) -> list[Case]:
    """Return the routing by `kernels` (fast, fused) and the convolutions."""
    networks = {"fast": FastCapsNet, "fused": FusedCapsNet}
    routings = [
        routing(kernel, networks[kernel].routing_function(DYNAMIC), *size)
        for kernel in kernels
        for size in sizes.routed
    ]
    return [*routings, *convolutions(sizes.images, sizes.side, sizes.channels)]


def routing(kernel: str, route: Function, batch: int, capsules: int) -> Case:
    """Return the case of routing from `capsules` to ten, with a bias."""
    name = f"{kernel} routing, {batch} × {capsules}"
    inputs = Input(0.3, (batch, capsules, 8)), Input(0.1, (capsules, 10, 8, 16))
    truth = partial(routed, functional.dynamic_routing)
    return Case(name, partial(routed, route), truth, (*inputs, Input(0.1, (10, 16))))


def routed(route: Function, u: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Route, as a function of tensors alone."""
    return route(u, weight, ITERATIONS, bias)


def convolutions(batch: int, side: int, channels: int) -> list[Case]:
    """Return the cases of the networks' convolutions through Fourier, and of PyTorch's in fp32."""
    image, features = Input(1, (batch, 1, side, side)), Input(1, (batch, channels, side, side))
    first, second, same = (
        kernel(1, channels, 9),
        kernel(channels, channels, 9),
        kernel(channels, channels, 5),
    )
    # Biases that leave each ReLU no doubt: rounding near 0 would switch whole gradients.
    stacked = image, first, Input(8, (channels,), signs=True), second
    return [
        Case("fourier, Conv1 and PrimaryCapsules", stacked_convolutions, conv_conv, stacked),
        Case("fourier, a baseline's layer", same_convolution, conv_same, (features, same)),
        Case("direct, Conv1 and PrimaryCapsules", conv_conv, conv_conv, stacked),
        Case("direct, a baseline's layer", conv_same, conv_same, (features, same)),
    ]


def kernel(inputs: int, outputs: int, side: int) -> Input:
    """Return a convolution's weights, so small that its outputs are as large as its inputs."""
    return Input((inputs * side**2) ** -0.5, (outputs, inputs, side, side))


def conv_conv(images: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor) -> Tensor:
    """Convolve as a CapsNet does before its capsules, by PyTorch."""
    return conv2d(conv2d(images, weight1, bias1).relu(), weight2, stride=2)


def conv_same(images: Tensor, weight: Tensor) -> Tensor:
    """Convolve as the baselines do, by PyTorch."""
    return conv2d(images, weight, padding="same")


def error(case: Case, device: str) -> float:
    """Return the largest relative error, in fp32, of the value and of the gradients by all inputs.

    The gradients are those of a random linear function of the value.
    """
    generator = torch.Generator(device).manual_seed(0)
    inputs = [normal(one, generator).requires_grad_() for one in case.inputs]
    with fp32_arithmetic("32-true"):
        value = case.ours(*inputs)
        weights = normal(Input(1, tuple(value.shape)), generator)
        ours = [value.detach(), *torch.autograd.grad(value, inputs, weights)]
    doubled = [x.detach().double().requires_grad_() for x in inputs]
    pairs = zip(ours, in_chunks(case.truth, doubled, weights.double()), strict=True)
    return max(float((one - true).norm() / true.norm()) for one, true in pairs)


def normal(one: Input, generator: torch.Generator) -> Tensor:
    """Draw an input in fp32."""
    drawn = torch.randn(one.shape, device=generator.device, generator=generator)
    return one.sd * (drawn.sign() if one.signs else drawn)


def in_chunks(function: Function, inputs: Sequence[Tensor], weights: Tensor) -> list[Tensor]:
    """Return the value and the gradients of Σ weights · value, from a few examples at a time."""
    examples, *shared = inputs
    values: list[Tensor] = []
    sums = [torch.zeros_like(x) for x in inputs]
    for some, part in zip(examples.split(CHUNK), weights.split(CHUNK), strict=True):
        value = function(some, *shared)
        values.append(value.detach())
        gradients = torch.autograd.grad(value, inputs, part)
        sums = [total.add_(gradient) for total, gradient in zip(sums, gradients, strict=True)]
    return [torch.cat(values), *sums]
