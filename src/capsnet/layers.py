"""The layers of a CapsNet. They own parameters; the mathematics is in `functional`."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from capsnet.functional import dynamic_routing, squash

Route = Callable[[Tensor, Tensor, int, Tensor | None], Tensor]  # as `dynamic_routing`


def full_precision(x: Tensor) -> torch.autocast:
    """Compute nothing inside in bf16, whatever `precision` says: that is for convolutions."""
    return torch.autocast(x.device.type, enabled=False)


class Linear(nn.Linear):
    """PyTorch's, in full precision."""

    def forward(self, input: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Apply `nn.Linear` in the type of its weights."""
        with full_precision(input):
            return super().forward(input.to(self.weight.dtype))


class SameConv2d(nn.Conv2d):
    """A convolution with as many zeros around as TensorFlow's SAME: ⌈side / stride⌉ outputs.

    Of an odd number of zeros, the last side gets one more [C]: 24 → 12 by 9×9 and stride 2 has 3
    before and 4 after, where `nn.Conv2d` with a padding of 4 computes other numbers.
    """

    def forward(
        self, input: Float[Tensor, "batch in height width"]
    ) -> Float[Tensor, "batch out rows columns"]:
        """Compute `nn.Conv2d` of the padded input."""
        axes = zip(input.shape[2:], self.kernel_size, self.stride, strict=True)
        (top, bottom), (left, right) = (same_padding(*axis) for axis in axes)
        return super().forward(pad(input, (left, right, top, bottom)))


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after a side under TensorFlow's SAME padding."""
    total = max(0, (math.ceil(side / stride) - 1) * stride + kernel - side)
    return total // 2, total - total // 2


class PrimaryCapsules(nn.Module):
    """`types` convolutional capsules of `dim` dimensions: a convolution, cut up and squashed [P].

    With `coupled` it is what the released code makes of it: a routing of one iteration from one
    input, whose softmax over the types, and over none of them if `leaky`, multiplies the
    convolution by 1/types or 1/(types + 1) before the bias [C]. `conv` pads it, or not.
    """

    def __init__(
        self,
        channels: int,
        types: int,
        dim: int = 8,
        kernel: int = 9,
        coupled: bool = True,
        leaky: bool = False,
        conv: type[nn.Conv2d] = nn.Conv2d,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.scale = 1 / (types + leaky) if coupled else 1.0
        self.conv = conv(channels, types * dim, kernel, stride=2, bias=False)
        self.bias = nn.Parameter(torch.zeros(types * dim))

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch capsules dim"]:
        """Compute the capsules, ordered by type, then row, then column."""
        return self.capsules(self.conv(x))

    def capsules(
        self, convolved: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch capsules dim"]:
        """Turn the convolution's output into capsules."""
        s = convolved.to(self.bias.dtype) * self.scale + self.bias[:, None, None]
        return squash(s.unflatten(1, (-1, self.dim)).movedim(2, -1).flatten(1, 3))


class ClassCapsules(nn.Module):
    """`classes` capsules of `dim` dimensions, routed to from `in_capsules` below [P].

    `route` computes the routing, with the arguments of `functional.dynamic_routing`.
    """

    def __init__(
        self,
        in_capsules: int,
        iterations: int,
        classes: int = 10,
        in_dim: int = 8,
        dim: int = 16,
        bias: bool = True,
        route: Route = dynamic_routing,
    ) -> None:
        super().__init__()
        self.iterations, self.route = iterations, route
        self.weight = nn.Parameter(torch.zeros(in_capsules, classes, in_dim, dim))
        self.bias = nn.Parameter(torch.zeros(classes, dim)) if bias else None

    def forward(self, u: Float[Tensor, "batch in in_dim"]) -> Float[Tensor, "batch classes dim"]:
        """Return the class capsules v_j after routing."""
        with full_precision(u):
            return self.route(u, self.weight, self.iterations, self.bias)


class Decoder(nn.Sequential):
    """Masked class capsules → 512 ReLU → 1024 ReLU → pixels in (0, 1), by a sigmoid [P]."""

    def __init__(
        self, capsules: int, image: tuple[int, int, int], hidden: tuple[int, int] = (512, 1024)
    ) -> None:
        first, second = hidden
        super().__init__(
            Linear(capsules, first),
            nn.ReLU(),
            Linear(first, second),
            nn.ReLU(),
            Linear(second, math.prod(image)),
            nn.Sigmoid(),
            nn.Unflatten(1, image),
        )
