"""The networks by the fast paths: the same parameters, values and gradients, to rounding."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from capsnet.kernels import conv_same, routing
from capsnet.kernels.convolutions import stacked_convolutions
from capsnet.layers import Route
from capsnet.networks import CapsNet
from capsnet.routing import DYNAMIC, LEAKY, Routing

WITH_KERNELS = (DYNAMIC, LEAKY)


class FastCapsNet(CapsNet):
    """A CapsNet that routes without votes, and convolves by fewer multiplications where it pays.

    An algorithm that is not in WITH_KERNELS routes by its own `route`.
    `convolutions` (auto, fourier, direct) chooses how to convolve: see `through_fourier`.
    """

    convolutions = "auto"

    @staticmethod
    def routing_function(algorithm: Routing) -> Route:
        """Return the kernel of a routing algorithm, or the algorithm's own function."""
        if algorithm not in WITH_KERNELS:
            return algorithm.route
        return partial(routing.dynamic_routing, leaky=algorithm.leaky)

    def primary_capsules(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch capsules dim"]:
        """Compute what `CapsNet.primary_capsules` does."""
        if not through_fourier(images.device.type, self.convolutions):
            return super().primary_capsules(images)
        bias, kernel = self.conv1.bias, self.primary.conv.weight
        assert bias is not None
        weight = self.conv1.weight
        convolved = stacked_convolutions(images, weight, bias, kernel, self.padding)
        return self.primary.capsules(convolved)


class FusedCapsNet(FastCapsNet):
    """A FastCapsNet that routes in one Triton kernel an iteration, on a CUDA GPU."""

    @staticmethod
    def routing_function(algorithm: Routing) -> Route:
        """Return the Triton kernel. Raises ValueError for an algorithm not in WITH_KERNELS."""
        if algorithm not in WITH_KERNELS:
            raise ValueError(
                "fused kernels compute dynamic and leaky routing alone: use fast or reference"
            )
        from capsnet.kernels import routing_triton  # Triton is there on Linux alone

        return partial(routing_triton.dynamic_routing, leaky=algorithm.leaky)


class FastConv2d(nn.Conv2d):
    """A convolution of stride 1 and SAME padding, by fewer multiplications where it pays.

    `convolutions` (auto, fourier, direct) chooses how: see `through_fourier`.
    """

    convolutions = "auto"

    def forward(
        self, input: Float[Tensor, "batch in height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """Compute what `nn.Conv2d` does; through Fourier, the result is channels last."""
        if not through_fourier(input.device.type, self.convolutions):
            return super().forward(input)
        if not conv_same.pays(input, self.weight):
            return super().forward(input.to(memory_format=torch.channels_last))
        assert self.bias is not None
        return conv_same.same_convolution(input, self.weight) + self.bias[:, None, None]


def through_fourier(device: str, convolutions: str) -> bool:
    """Decide whether convolutions on a `device` go through `fourier`, exact in fp32, or PyTorch's.

    auto means on CPUs and CUDA GPUs, where cuDNN's own fp32 convolutions can round far more
    (docs/gpu.md). Never under autocast, as bf16 is for PyTorch's own, and never while torch.compile
    traces, which the constants of the transform, made by numpy, would break into several graphs.
    """
    if torch.is_autocast_enabled(device) or torch.compiler.is_compiling():
        return False
    return convolutions == "fourier" or (convolutions == "auto" and device in ("cpu", "cuda"))


def choose_convolutions(network: nn.Module, convolutions: str) -> None:
    """Set how every layer of `network` that has the choice convolves: auto, fourier or direct."""
    for layer in network.modules():
        if isinstance(layer, FastCapsNet | FastConv2d):
            layer.convolutions = convolutions


def channels_last(network: nn.Module) -> None:
    """Store the weights of convolutions channels last, which tensor cores take without copies.

    Activations follow the weights. Other weights keep their order: those of the routing have four
    dimensions as well.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
