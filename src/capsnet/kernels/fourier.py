"""Convolutions through the discrete Fourier transform, as matrix products: fewer, and exact.

A convolution of stride 1 goes over tiles of its output through a real two-dimensional transform of
(tile + taps − 1)² points,

    conv(x) = C ((A x) ∘ (B w)),

with constant matrices A, B, C and ∘ a matrix product over channels at every point. A complex point
is three real ones (Gauss). The transform of a tile is a cyclic correlation of which only the
outputs without wrap-around are kept (overlap-save), and the whole is as accurate in fp32 as the
direct sum.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from capsnet.kernels.products import matmul

# Moving a number between memory and the processor costs about as much as this many
# multiplications in a matrix product: it decides between tile sizes, not about values.
MULTIPLICATIONS_PER_MOVE = 32


class Tile(NamedTuple):
    """A rectangle of outputs that is computed at once, from `sides` inputs."""

    outputs: tuple[int, int]
    taps: tuple[int, int]  # of the kernel

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the transform."""
        (height, width), (taps_h, taps_w) = self
        return height + taps_h - 1, width + taps_w - 1

    @property
    def points(self) -> int:
        """Real multiplications: 1 at each real frequency, 3 at each pair of complex ones."""
        height, width = self.sides
        real = (2 - height % 2) * (2 - width % 2)
        return real + 3 * (height * width - real) // 2

    def covering(self, outputs: tuple[int, int]) -> tuple[int, int]:
        """How many tiles, down and across, cover so many outputs."""
        return -(-outputs[0] // self.outputs[0]), -(-outputs[1] // self.outputs[1])


def convolved(
    tiles: Float[Tensor, "side2 tiles_in"],
    weight: Float[Tensor, "taps2 in out"],
    tile: Tile,
) -> Float[Tensor, "outputs tiles_out"]:
    """C ((A x) ∘ (B w)): each tile, and each tap, with its channels last."""
    to_points, kernel_to_points, from_points = transform(tile, weight.dtype, weight.device)
    x = matmul(to_points, tiles).view(tile.points, -1, weight.shape[1])
    w = matmul(kernel_to_points, weight.flatten(1)).view(tile.points, *weight.shape[1:])
    return matmul(from_points, matmul(x, w).flatten(1))


def untiled(
    y: Float[Tensor, "outputs tiles_out"], tile: Tile, outputs: tuple[int, int], channels: int
) -> Float[Tensor, "batch channels height width"]:
    """The outputs of tiles [down, across, batch, channels] in their places; channels lie last."""
    tiled = y.view(*tile.outputs, *tile.covering(outputs), -1, channels)
    whole = tiled.permute(2, 0, 3, 1, 4, 5).flatten(2, 3).flatten(0, 1)
    return whole[: outputs[0], : outputs[1]].permute(2, 3, 0, 1)


Product = tuple[int, int, int]  # rows, inner and columns of a product of two matrices


def products(tile: Tile, tiles: int, channels_in: int, channels_out: int) -> Iterator[Product]:
    """Those of `convolved`."""
    side, taps, outputs = (
        height * width for height, width in (tile.sides, tile.taps, tile.outputs)
    )
    yield tile.points, side, tiles * channels_in
    yield tile.points, taps, channels_in * channels_out
    yield tile.points * tiles, channels_in, channels_out
    yield outputs, tile.points, tiles * channels_out


def cost(products: Iterable[Product]) -> int:
    """Multiplications of a step, forward and backward, and its moves of numbers as such."""
    return sum(
        2 * rows * inner * columns + MULTIPLICATIONS_PER_MOVE * 4 * rows * columns
        for rows, inner, columns in products
    )


def tilings(outputs: tuple[int, int], taps: tuple[int, int]) -> list[Tile]:
    """Every tile that could cover so many outputs."""
    height, width = (range(1, side + 1) for side in outputs)
    return [Tile(sides, taps) for sides in product(height, width)]


class Transform(NamedTuple):
    """A [points, side · side], B [points, taps · taps] and C [outputs, points]."""

    to_points: Tensor
    kernel_to_points: Tensor
    from_points: Tensor


@cache
def transform(tile: Tile, dtype: torch.dtype, device: torch.device) -> Transform:
    """The constant matrices, computed in float64.

    With X = a + ib the transform of the input and c + id the conjugate one of the kernel, the three
    products of Gauss are c (a + b), a (d − c) and b (c + d): Re = first − third, Im = first +
    second. Real frequencies have b = d = 0, and one product.
    """
    real, complex_ = _frequencies(*tile.sides)
    x0, w0, y0 = (_angles(real, tile, grid) for grid in (tile.sides, tile.taps, tile.outputs))
    x, w, y = (_angles(complex_, tile, grid) for grid in (tile.sides, tile.taps, tile.outputs))
    a, b, c, d = np.cos(x), -np.sin(x), np.cos(w), np.sin(w)
    re, im = 2 * np.cos(y), -2 * np.sin(y)  # twice, for the conjugate frequency
    to_points = np.concatenate([np.cos(x0), a + b, a, b])
    kernel_to_points = np.concatenate([np.cos(w0), c, d - c, c + d])
    from_points = np.concatenate([np.cos(y0), re + im, im, -re]).T / x.shape[1]
    with torch.inference_mode(False):  # else a first call in evaluation would spoil training
        return Transform(
            *(
                torch.from_numpy(matrix).to(device, dtype)
                for matrix in (to_points, kernel_to_points, np.ascontiguousarray(from_points))
            )
        )


def _frequencies(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The real frequencies, their own conjugates, and one of each pair of complex ones: [n, 2]."""
    frequencies = np.array(list(product(range(height), range(width))))
    conjugate = -frequencies % (height, width)
    own, other = (f @ (width, 1) for f in (frequencies, conjugate))
    return frequencies[own == other], frequencies[own < other]


def _angles(frequencies: np.ndarray, tile: Tile, grid: tuple[int, int]) -> np.ndarray:
    """The angle of each frequency at each place of a grid [frequencies, height · width]."""
    places = np.array(list(product(*map(range, grid))))
    return 2 * np.pi * (frequencies / tile.sides) @ places.T
