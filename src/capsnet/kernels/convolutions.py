"""Conv1 and the convolution of PrimaryCapsules as matrix products: fewer multiplications, exactly.

A convolution of stride 2 is the sum of four of stride 1, between the even and odd rows and columns
of image and kernel: 9×9 taps become four times 5×5, and these go through `fourier`. 28×28 images
need 150·1024·256 multiplications in place of 36·81·256·256.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from capsnet.kernels import fourier, tiling
from capsnet.kernels.matmul import matmul
from capsnet.kernels.tiling import Tile
from capsnet.layers import Padding, same_margins


def stacked_convolutions(
    images: Float[Tensor, "batch in_channels in_height in_width"],
    weight1: Float[Tensor, "channels1 in_channels kernel1_height kernel1_width"],
    bias1: Float[Tensor, "channels1"],
    weight2: Float[Tensor, "channels2 channels1 kernel2_height kernel2_width"],
    padding: Padding = "valid",
) -> Float[Tensor, "batch channels2 height width"]:
    """Compute conv2d(relu(conv2d(images, weight1, bias1)), weight2, stride=2), to rounding [D].

    Both with this padding; same is `layers.SameConv2d`'s. Raises ValueError when the images are too
    small for one output.
    """
    seen = images if padding == "valid" else _padded(images, weight1, weight2)
    sizes = Sizes.of(seen, weight1, weight2)
    tile = best_tile(sizes)
    outside = None if padding == "valid" else _outside(images, weight2, sizes, tile)
    x = _conv1(_patches(seen, sizes, tile), weight1, bias1, outside)
    y = fourier.convolved(x, _phases(weight2), tile)
    return tiling.untiled(y, tile, sizes.outputs, sizes.channels2)


class Sizes(NamedTuple):
    """All that the arithmetic depends on."""

    batch: int
    in_channels: int
    channels1: int
    channels2: int
    kernel1: tuple[int, int]
    kernel2: tuple[int, int]
    outputs: tuple[int, int]  # height and width

    @classmethod
    def of(cls, images: Tensor, weight1: Tensor, weight2: Tensor) -> "Sizes":
        """Read the sizes. Raises ValueError when not one output fits."""
        kernel1, kernel2 = ((w.shape[2], w.shape[3]) for w in (weight1, weight2))
        height, width = (
            (side - k1 + 1 - k2) // 2 + 1
            for side, k1, k2 in zip(images.shape[2:], kernel1, kernel2, strict=True)
        )
        if min(height, width) < 1:
            raise ValueError(
                f"images of {images.shape[2]}×{images.shape[3]} are smaller than what one output "
                f"sees through kernels of {kernel1} and {kernel2}"
            )
        channels = (images.shape[1], weight1.shape[0], weight2.shape[0])
        return cls(len(images), *channels, kernel1, kernel2, (height, width))


@cache
def best_tile(sizes: Sizes) -> Tile:
    """Choose the tile that makes a training step cheapest: one of 6×6 outputs for 28×28 images."""
    taps = (sizes.kernel2[0] + 1) // 2, (sizes.kernel2[1] + 1) // 2
    tiles = tiling.candidates(sizes.outputs, taps)
    return min(tiles, key=lambda tile: tiling.cost(_products(sizes, tile)))


def _products(sizes: Sizes, tile: Tile) -> Iterator[tiling.Product]:
    down, across = tile.covering(sizes.outputs)
    count, side = down * across * sizes.batch, tile.sides[0] * tile.sides[1]
    patch = sizes.in_channels * sizes.kernel1[0] * sizes.kernel1[1]
    yield count * side * 4, patch, sizes.channels1
    yield from tiling.products(tile, count, 4 * sizes.channels1, sizes.channels2)


def _patches(images: Tensor, sizes: Sizes, tile: Tile) -> Tensor:
    """Cut Conv1's patches: [side, side, tiles, tiles, batch, 2, 2, in_channels, kernel, kernel].

    The last row or column of odd phases may lie outside of the image; it meets no tap.
    """
    seen = [
        2 * (tiles * outputs + taps - 1) + kernel - 1
        for tiles, outputs, taps, kernel in zip(
            tile.covering(sizes.outputs), *tile, sizes.kernel1, strict=True
        )
    ]
    height, width = images.shape[2:]
    patches = pad(images, (0, seen[1] - width, 0, seen[0] - height))
    for axis, kernel in enumerate(sizes.kernel1, 2):
        patches = patches.unfold(axis, kernel, 1)
    for axis, (side, outputs) in enumerate(zip(tile.sides, tile.outputs, strict=True), 2):
        patches = patches.unfold(axis, 2 * side, 2 * outputs)
    phases = patches.unflatten(7, (-1, 2)).unflatten(6, (-1, 2))
    return phases.permute(6, 8, 2, 3, 0, 7, 9, 1, 4, 5)


def _padded(images: Tensor, weight1: Tensor, weight2: Tensor) -> Tensor:
    """Pad images by the zeros of both convolutions."""
    margins = zip(_margins(images, weight1, 1), _margins(images, weight2, 2), strict=True)
    return pad(images, tuple(map(sum, margins)))


def _margins(images: Tensor, weight: Tensor, stride: int) -> tuple[int, ...]:
    """Count the zeros of SAME padding as `pad` takes them: before and after columns, then rows."""
    sizes = zip(images.shape[2:], weight.shape[2:], strict=True)
    rows, columns = (same_margins(size, kernel, stride) for size, kernel in sizes)
    return *columns, *rows


def _outside(images: Tensor, weight2: Tensor, sizes: Sizes, tile: Tile) -> Tensor:
    """Make what Conv1 adds before its ReLU: −∞ where the second convolution pads, so that it is 0.

    [side, side, tiles, tiles, 1, 2, 2, 1], 0 inside of the image.
    """
    inside = images.new_zeros(1, 1, *images.shape[2:])
    padded = pad(inside, _margins(images, weight2, 2), value=float("-inf"))
    return _patches(padded, sizes._replace(in_channels=1, kernel1=(1, 1)), tile)[..., 0, 0]


def _conv1(patches: Tensor, weight: Tensor, bias: Tensor, outside: Tensor | None) -> Tensor:
    """ReLU of Conv1 as [side · side, tiles · tiles · batch · 4 · channels1]."""
    columns = patches.reshape(-1, weight[0].numel())
    x = matmul(columns, weight.flatten(1).T).add_(bias)
    if outside is not None:
        x.view(*patches.shape[:7], -1).add_(outside)
    return x.relu_().view(patches.shape[:2].numel(), -1)


def _phases(weight: Tensor) -> Tensor:
    """Cut the kernel: [taps · taps, 4 · channels1, channels2]; missing taps are 0."""
    height, width = weight.shape[2:]
    even = pad(weight, (0, width % 2, 0, height % 2)).permute(2, 3, 1, 0)
    taps = even.unflatten(1, (-1, 2)).unflatten(0, (-1, 2)).transpose(1, 2)
    return taps.flatten(0, 1).flatten(1, 3)
