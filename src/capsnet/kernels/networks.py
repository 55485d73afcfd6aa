"""The networks by the fast paths: the same parameters, values and gradients, to rounding."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from capsnet.kernels import routing, same
from capsnet.kernels.convolutions import stacked_convolutions
from capsnet.networks import CapsNet


class FastCapsNet(CapsNet):
    """A CapsNet that routes without votes, and convolves on a CPU by fewer multiplications."""

    route = staticmethod(routing.dynamic_routing)

    def primary_capsules(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch capsules dim"]:
        """As `CapsNet`'s; by PyTorch on GPUs and in bf16, where tensor cores want channels last."""
        if computed_in_full_on_a_cpu(images):
            bias, kernel = self.conv1.bias, self.primary.conv.weight
            assert bias is not None
            convolved = stacked_convolutions(images, self.conv1.weight, bias, kernel)
            return self.primary.capsules(convolved)
        features = self.conv1(images).relu()
        if torch.is_autocast_enabled(images.device.type):
            features = features.contiguous(memory_format=torch.channels_last)
        return self.primary(features)


class FusedCapsNet(FastCapsNet):
    """A FastCapsNet that routes in one Triton kernel an iteration, on a CUDA GPU."""

    @staticmethod
    def route(
        u: Float[Tensor, "batch in in_dim"],
        weight: Float[Tensor, "in out in_dim out_dim"],
        iterations: int,
        bias: Float[Tensor, "out out_dim"] | None = None,
    ) -> Float[Tensor, "batch out out_dim"]:
        """`fused.dynamic_routing`, imported here as Triton is there on Linux alone."""
        from capsnet.kernels import fused

        return fused.dynamic_routing(u, weight, iterations, bias)


class FastConv2d(nn.Conv2d):
    """A convolution of stride 1 and SAME padding, on a CPU by fewer multiplications if it pays."""

    def forward(
        self, input: Float[Tensor, "batch in height width"]
    ) -> Float[Tensor, "batch out height width"]:
        """As `nn.Conv2d`; on a CPU, in full, the result's channels lie last in memory."""
        if not computed_in_full_on_a_cpu(input):
            return super().forward(input)
        if not same.pays(input, self.weight):
            return super().forward(input.to(memory_format=torch.channels_last))
        assert self.bias is not None
        return same.same_convolution(input, self.weight) + self.bias[:, None, None]


def computed_in_full_on_a_cpu(x: Tensor) -> bool:
    """Whether this is the place and the type of our own convolutions."""
    return x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
