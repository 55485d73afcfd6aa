"""Convolutions through the discrete Fourier transform, as matrix products: fewer, and exact.

A convolution of stride 1 goes over tiles of its output through a transform of as many points as the
inputs of a tile,

    conv(x) = C ((A x) ∘ (B w)),

with constant matrices A, B, C and ∘ a matrix product over channels at every point. A complex
multiplication takes three real ones (Gauss). Frequencies along the height are odd multiples of half
the lowest: they come in conjugate pairs, none is real, and half of them suffice. Wrapped-around
values come back negated, but only in outputs that are discarded (overlap-save); the result is as
accurate in fp32 as the direct sum. A large matrix is applied as two, along the height and along the
width.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from capsnet.kernels.matmul import matmul
from capsnet.kernels.tiling import Tile, of_map


def convolved(
    tiles: Float[Tensor, "side2 tiles_in"],
    weight: Float[Tensor, "taps2 in out"],
    tile: Tile,
) -> Float[Tensor, "outputs tiles_out"]:
    """C ((A x) ∘ (B w)): each tile, and each tap, with its channels last."""
    of_tiles, of_taps, of_outputs = transform(tile, weight.dtype, weight.device)
    x = of_tiles.to_points(tiles).view(tile.points, -1, weight.shape[1])
    w = of_taps.to_points(weight.flatten(1)).view(tile.points, *weight.shape[1:])
    return of_outputs.from_points(matmul(x, w).flatten(1))


class AtOnce(NamedTuple):
    """A linear map from the places of a grid to points, by one matrix [points, height · width]."""

    matrix: Tensor

    def to_points(self, x: Float[Tensor, "places n"]) -> Float[Tensor, "points n"]:
        """Apply the map."""
        return matmul(self.matrix, x)

    def from_points(self, y: Float[Tensor, "points n"]) -> Float[Tensor, "places n"]:
        """Apply its transpose."""
        return matmul(self.matrix.T, y)


class InTurn(NamedTuple):
    """The same map as two products: along the height [2 · rows, height], then along the width."""

    rows: Tensor
    columns: Tensor  # [points of a row, 2 · width]

    def to_points(self, x: Float[Tensor, "places n"]) -> Float[Tensor, "points n"]:
        """Apply the map."""
        by_rows = matmul(self.rows, x.reshape(self.rows.shape[1], -1))
        return _each(self.columns, by_rows.view(len(self.rows) // 2, -1, x.shape[1])).flatten(0, 1)

    def from_points(self, y: Float[Tensor, "points n"]) -> Float[Tensor, "places n"]:
        """Apply its transpose."""
        by_rows = _each(self.columns.T, y.view(len(self.rows) // 2, len(self.columns), -1))
        return matmul(self.rows.T, by_rows.view(len(self.rows), -1)).view(-1, y.shape[1])


def _each(matrix: Tensor, stack: Tensor) -> Tensor:
    """Multiply the matrix by each of the stack."""
    return matmul(matrix.expand(len(stack), -1, -1), stack)


class Transform(NamedTuple):
    """A, B, and C transposed."""

    tiles: AtOnce | InTurn
    taps: AtOnce | InTurn
    outputs: AtOnce | InTurn


Real, Complex = NDArray[np.float64], NDArray[np.complex128]

# The products of Gauss for (a + ib)(c + id) are c (a + b), a (d − c) and b (c + d).
OF_INPUT = np.array([[1.0, 1], [1, 0], [0, 1]])  # (a, b)
OF_KERNEL = np.array([[1.0, 0], [-1, 1], [1, 1]])  # (c, d)
OF_OUTPUT = np.array([[1.0, 1], [0, 1], [-1, 0]])  # transposed: (first − third, first + second)


@cache
def transform(tile: Tile, dtype: torch.dtype, device: torch.device) -> Transform:
    """Compute the constant matrices in float64."""
    back = OF_OUTPUT / (tile.rows * tile.sides[1])
    with torch.inference_mode(False):  # else inference_mode caches tensors that autograd refuses
        maps = (
            _map(tile, tile.sides, -1, OF_INPUT),
            _map(tile, tile.taps, 1, OF_KERNEL),  # at the conjugate frequencies: a correlation
            _map(tile, tile.outputs, -1, back),
        )
        return Transform(*(type(one)(*(m.to(device, dtype) for m in one)) for one in maps))


def _map(tile: Tile, grid: tuple[int, int], sign: int, gauss: Real) -> AtOnce | InTurn:
    """Build the map as one matrix or as two, whichever costs less."""
    rows, width = tile.rows, tile.sides[1]
    along_height = _parts(_waves(sign * np.arange(0.5, rows) / (2 * rows), grid[0]))
    waves = _as_real(_waves(sign * np.arange(width) / width, grid[1]))
    along_width = np.kron(gauss, np.eye(width)) @ waves
    in_turn = InTurn(torch.from_numpy(along_height), torch.from_numpy(along_width))
    if len(of_map(tile, grid)) > 1:
        return in_turn
    return AtOnce(in_turn.to_points(torch.eye(grid[0] * grid[1], dtype=torch.float64)))


def _waves(frequencies: Real, places: int) -> Complex:
    """e^(2πi f p) of each frequency, in turns, at each place [frequencies, places]."""
    return np.exp(2j * np.pi * np.outer(frequencies, np.arange(places)))


def _parts(waves: Complex) -> Real:
    """Return the real and the imaginary part of each wave: [2 · frequencies, places]."""
    return np.stack([waves.real, waves.imag], 1).reshape(-1, waves.shape[1])


def _as_real(matrix: Complex) -> Real:
    """Turn a complex matrix into a real one, for real parts before imaginary ones."""
    return np.block([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])
