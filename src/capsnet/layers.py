"""The layers of a CapsNet. They own parameters; the mathematics is in `functional`."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from capsnet.functional import dynamic_routing, squash

Padding = Literal["valid", "same"]
Route = Callable[[Tensor, Tensor, int, Tensor | None], Tensor]  # as `dynamic_routing`


def full_precision(x: Tensor) -> torch.autocast:
    """Return a context without autocast: under bf16-mixed only convolutions compute in bf16."""
    return torch.autocast(x.device.type, enabled=False)


class Linear(nn.Linear):
    """An `nn.Linear` that ignores autocast."""

    def forward(self, input: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Apply `nn.Linear` in the type of its weights."""
        with full_precision(input):
            return super().forward(input.to(self.weight.dtype))


def same_margins(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Count the zeros before and after an axis of `size` under TensorFlow's SAME padding [C].

    There are ⌈size / stride⌉ outputs. An odd number of zeros has one more after than before, as
    3 and 4 for a kernel of 9 at stride 2 on 24 pixels; `nn.Conv2d(padding=4)` gives others.
    """
    total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """An `nn.Conv2d` with TensorFlow's SAME padding at any stride: see `same_margins`."""

    def forward(
        self, input: Float[Tensor, "batch in height width"]
    ) -> Float[Tensor, "batch out out_height out_width"]:
        """Pad by zeros and convolve."""
        sizes = zip(input.shape[2:], self.kernel_size, self.stride, strict=True)
        rows, columns = (same_margins(*one) for one in sizes)
        return super().forward(pad(input, (*columns, *rows)))


CONVOLUTIONS: dict[Padding, type[nn.Conv2d]] = {"valid": nn.Conv2d, "same": SameConv2d}


class PrimaryCapsules(nn.Module):
    """`types` convolutional capsules of `dim` dimensions: a convolution, reshaped and squashed [P].

    `nonlinearity` is the squash, except in an ablation.

    `coupled` adds the factor of the released code, which treats this layer as one routing iteration
    from a single input capsule: its softmax over the types scales the convolution by 1/types before
    the bias [C]; under `leaky` routing by 1/(types + 1) [C].
    """

    def __init__(
        self,
        channels: int,
        types: int,
        dim: int = 8,
        kernel: int = 9,
        coupled: bool = True,
        leaky: bool = False,
        padding: Padding = "valid",
        nonlinearity: Callable[[Tensor], Tensor] = squash,
    ) -> None:
        super().__init__()
        self.dim, self.nonlinearity = dim, nonlinearity
        self.scale = 1 / (types + leaky) if coupled else 1.0
        convolution = CONVOLUTIONS[padding]
        self.conv = convolution(channels, types * dim, kernel, stride=2, bias=False)
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
        return self.nonlinearity(s.unflatten(1, (-1, self.dim)).movedim(2, -1).flatten(1, 3))

    def extra_repr(self) -> str:
        """Describe the capsules for `print`."""
        return f"types={len(self.bias) // self.dim}, dim={self.dim}, scale={self.scale:.4g}"


class ClassCapsules(nn.Module):
    """`classes` capsules of `dim` dimensions, routed to from `in_capsules` below [P].

    `route` computes the routing, with the arguments of `functional.dynamic_routing`. `shared` is
    the number of consecutive capsules below that share one transformation, 1 in the paper: a
    parameter [in_capsules / shared, classes, in_dim, dim].

    `weight` and `bias` start at 0, where the squash lets no gradient through: a network that owns
    this layer has to initialise `weight`, as `networks.initialise_released` does by
    `trunc_normal_(weight, std=0.1, a=-0.2, b=0.2)`.
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
        shared: int = 1,
    ) -> None:
        super().__init__()
        self.iterations, self.route, self.shared = iterations, route, shared
        self.weight = nn.Parameter(torch.zeros(in_capsules // shared, classes, in_dim, dim))
        self.bias = nn.Parameter(torch.zeros(classes, dim)) if bias else None

    @property
    def transformations(self) -> Float[Tensor, "in classes in_dim dim"]:
        """Return W_ij of every capsule below: the parameter itself where nothing is shared."""
        if self.shared == 1:
            return self.weight
        return self.weight[:, None].expand(-1, self.shared, -1, -1, -1).flatten(0, 1)

    def forward(self, u: Float[Tensor, "batch in in_dim"]) -> Float[Tensor, "batch classes dim"]:
        """Return the class capsules v_j after routing."""
        with full_precision(u):
            return self.route(u, self.transformations, self.iterations, self.bias)

    def extra_repr(self) -> str:
        """Describe the capsules for `print`."""
        capsules, classes, in_dim, dim = self.weight.shape
        return (
            f"in_capsules={capsules * self.shared}, iterations={self.iterations}, "
            f"classes={classes}, in_dim={in_dim}, dim={dim}, bias={self.bias is not None}, "
            f"shared={self.shared}"
        )


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

    def reconstruct(
        self, capsules: Float[Tensor, "batch classes dim"], mask: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Draw the object of the class that `mask` marks with a 1; all other capsules are 0 [P]."""
        return self((capsules * mask[..., None]).flatten(1))
