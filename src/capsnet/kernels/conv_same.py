"""A convolution of stride 1 and SAME padding by fewer multiplications, for the baselines.

At 28×28 and 256 channels a tile of 28×14 outputs takes 864 products of channels in place of the
392·25 of the direct sum.
"""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from capsnet.kernels import fourier, tiling
from capsnet.kernels.tiling import Tile


def same_convolution(
    x: Float[Tensor, "batch in height width"],
    weight: Float[Tensor, "out in kernel_height kernel_width"],
) -> Float[Tensor, "batch out height width"]:
    """conv2d(x, weight, padding="same"), to rounding [D]. Channels lie last in the result."""
    sizes = Sizes.of(x, weight)
    tile = best_tile(sizes)
    taps = weight.permute(2, 3, 1, 0).flatten(0, 1)
    y = fourier.convolved(_Tiles.apply(x, tile), taps, tile)
    return tiling.untiled(y, tile, sizes.outputs, sizes.channels_out)


def pays(
    x: Float[Tensor, "batch in height width"],
    weight: Float[Tensor, "out in kernel_height kernel_width"],
) -> bool:
    """Return whether `same_convolution` costs less than the direct sum: not for one channel."""
    sizes = Sizes.of(x, weight)
    direct = sizes.batch * x[0, 0].numel(), weight[0].numel(), sizes.channels_out
    return tiling.cost(_products(sizes, best_tile(sizes))) < tiling.cost([direct])


class Sizes(NamedTuple):
    """All that the arithmetic depends on."""

    batch: int
    channels_in: int
    channels_out: int
    taps: tuple[int, int]
    outputs: tuple[int, int]  # height and width

    @classmethod
    def of(cls, x: Tensor, weight: Tensor) -> "Sizes":
        """Read the sizes of a convolution."""
        taps, outputs = ((t.shape[2], t.shape[3]) for t in (weight, x))
        return cls(len(x), x.shape[1], len(weight), taps, outputs)


@cache
def best_tile(sizes: Sizes) -> Tile:
    """Choose the tile that makes a training step cheapest."""
    tiles = tiling.candidates(sizes.outputs, sizes.taps)
    return min(tiles, key=lambda tile: tiling.cost(_products(sizes, tile)))


def _products(sizes: Sizes, tile: Tile) -> Iterator[tiling.Product]:
    down, across = tile.covering(sizes.outputs)
    count = down * across * sizes.batch
    return tiling.products(tile, count, sizes.channels_in, sizes.channels_out)


class _Tiles(torch.autograd.Function):
    """Images as tiles [side · side, down · across · batch · channels] that overlap by taps − 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, tile: Tile) -> Tensor:
        ctx.tile, ctx.shape = tile, x.shape
        down, across = (_margins(tile, x.shape, axis) for axis in (0, 1))
        padded = pad(x.permute(2, 3, 0, 1), (0, 0, 0, 0, *across, *down))
        rows = padded.unfold(0, tile.sides[0], tile.outputs[0])
        tiles = rows.unfold(1, tile.sides[1], tile.outputs[1])
        return tiles.permute(4, 5, 0, 1, 2, 3).reshape(tile.sides[0] * tile.sides[1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad,), tile, (batch, channels, height, width) = grads, ctx.tile, ctx.shape
        grid = tile.covering((height, width))
        (top, bottom), (left, right) = (_margins(tile, ctx.shape, axis) for axis in (0, 1))
        tiles = grad.view(*tile.sides, *grid, batch, channels)
        padded = grad.new_zeros(top + height + bottom, left + width + right, batch, channels)
        for row, column in product(*map(range, grid)):
            y, x = row * tile.outputs[0], column * tile.outputs[1]
            padded[y : y + tile.sides[0], x : x + tile.sides[1]] += tiles[:, :, row, column]
        return padded[top : top + height, left : left + width].permute(2, 3, 0, 1), None


def _margins(tile: Tile, shape: torch.Size, axis: int) -> tuple[int, int]:
    """Count the zeros around the images, so that tiles fit: SAME padding, and the rest."""
    before = (tile.taps[axis] - 1) // 2
    tiles = -(-shape[2 + axis] // tile.outputs[axis])
    whole = tiles * tile.outputs[axis] + tile.taps[axis] - 1
    return before, whole - shape[2 + axis] - before
