"""Convolutions through the discrete Fourier transform, as matrix products: fewer, and exact.

A convolution of stride 1 goes over tiles of its output through a transform of as many points as the
inputs of a tile,

    conv(x) = C ((A x) ∘ (B w)),

with constant matrices A, B, C, each over rows first and columns then, and ∘ a matrix product over
channels at every point. A complex point is three real ones (Gauss). Frequencies of rows are odd
multiples of half of the lowest: these come in conjugate pairs, none is real, and half of them say
all. What wraps around then comes back negated, where no output is kept (overlap-save), and the
whole is as accurate in fp32 as the direct sum.
"""

from collections.abc import Iterable, Iterator
from functools import cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
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
    def rows(self) -> int:
        """Complex frequencies along the height: a transform of odd height takes a zero more."""
        return (self.sides[0] + 1) // 2

    @property
    def points(self) -> int:
        """Real multiplications: three at each complex frequency (Gauss)."""
        return 3 * self.rows * self.sides[1]

    def covering(self, outputs: tuple[int, int]) -> tuple[int, int]:
        """How many tiles, down and across, cover so many outputs."""
        return -(-outputs[0] // self.outputs[0]), -(-outputs[1] // self.outputs[1])


def convolved(
    tiles: Float[Tensor, "side2 tiles_in"],
    weight: Float[Tensor, "taps2 in out"],
    tile: Tile,
) -> Float[Tensor, "outputs tiles_out"]:
    """C ((A x) ∘ (B w)): each tile, and each tap, with its channels last."""
    constants = transform(tile, weight.dtype, weight.device)
    x = _to_points(tiles, tile.sides, *constants.tiles).view(tile.points, -1, weight.shape[1])
    w = _to_points(weight.flatten(1), tile.taps, *constants.taps).view(-1, *weight.shape[1:])
    return _from_points(matmul(x, w), tile, *constants.outputs)


def _to_points(x: Tensor, places: tuple[int, int], rows: Tensor, columns: Tensor) -> Tensor:
    """From [height · width, n] to [rows, points of a row, n]."""
    by_rows = matmul(rows, x.reshape(places[0], -1))
    return _each(columns, by_rows.view(-1, 2 * places[1], x.shape[1]))


def _from_points(y: Tensor, tile: Tile, rows: Tensor, columns: Tensor) -> Tensor:
    """From [points, tiles, out] to [height · width, tiles · out]."""
    by_rows = _each(columns, y.view(tile.rows, 3 * tile.sides[1], -1))
    return matmul(rows, by_rows.view(2 * tile.rows, -1)).view(-1, by_rows.shape[2])


def _each(matrix: Tensor, stack: Tensor) -> Tensor:
    """The matrix times each of the stack."""
    return matmul(matrix.expand(len(stack), -1, -1), stack)


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
    rows, width = tile.rows, tile.sides[1]
    for (down, across), n in (
        (tile.sides, tiles * channels_in),
        (tile.taps, channels_in * channels_out),
    ):
        yield 2 * rows, down, across * n
        yield 3 * width, 2 * across, rows * n
    yield tile.points * tiles, channels_in, channels_out
    yield 2 * tile.outputs[1], 3 * width, rows * tiles * channels_out
    yield tile.outputs[0], 2 * rows, tile.outputs[1] * tiles * channels_out


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


Real, Complex = NDArray[np.float64], NDArray[np.complex128]
Pair = tuple[Tensor, Tensor]  # along the height, along the width

# The products of Gauss for (a + ib)(c + id) are c (a + b), a (d − c) and b (c + d).
OF_INPUT = np.array([[1, 1], [1, 0], [0, 1]])  # (a, b)
OF_KERNEL = np.array([[1, 0], [-1, 1], [1, 1]])  # (c, d)
TO_COMPLEX = np.array([[1, 0, -1], [1, 1, 0]])  # first − third, first + second


class Transform(NamedTuple):
    """A of tiles, B of taps and C to outputs, each along the height and along the width."""

    tiles: Pair
    taps: Pair
    outputs: Pair


@cache
def transform(tile: Tile, dtype: torch.dtype, device: torch.device) -> Transform:
    """The constant matrices, computed in float64; taps have the conjugate frequencies."""
    rows, width = tile.rows, tile.sides[1]
    down = np.arange(0.5, rows) / (2 * rows)
    across = np.arange(width) / width
    x_rows, x_columns = _waves(-down, tile.sides[0]), _waves(-across, tile.sides[1])
    w_rows, w_columns = _waves(down, tile.taps[0]), _waves(across, tile.taps[1])
    y_rows, y_columns = _waves(-down, tile.outputs[0]) / rows, _waves(across, tile.outputs[1]).T
    gauss = [np.kron(matrix, np.eye(width)) for matrix in (OF_INPUT, OF_KERNEL, TO_COMPLEX)]

    def pair(along_height: Real, along_width: Real) -> Pair:
        tensor = partial(torch.tensor, dtype=dtype, device=device)
        return tensor(along_height), tensor(along_width)

    with torch.inference_mode(False):  # else a first call in evaluation would spoil training
        return Transform(
            tiles=pair(_parts(x_rows), gauss[0] @ _as_real(x_columns)),
            taps=pair(_parts(w_rows), gauss[1] @ _as_real(w_columns)),
            outputs=pair(_parts(y_rows).T, _as_real(y_columns) @ gauss[2] / width),
        )


def _waves(frequencies: Real, places: int) -> Complex:
    """e^(2πi f p) of each frequency, in turns, at each place [frequencies, places]."""
    return np.exp(2j * np.pi * np.outer(frequencies, np.arange(places)))


def _parts(waves: Complex) -> Real:
    """Of each wave its real and its imaginary part: [2 · frequencies, places]."""
    return np.stack([waves.real, waves.imag], 1).reshape(-1, waves.shape[1])


def _as_real(matrix: Complex) -> Real:
    """A complex matrix as a real one, for real parts before imaginary ones."""
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])
