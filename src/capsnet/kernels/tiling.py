"""Tilings of a convolution that `fourier` computes at once, and their cost."""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

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
        """Count the tiles, down and across, that cover so many outputs."""
        return -(-outputs[0] // self.outputs[0]), -(-outputs[1] // self.outputs[1])


def untiled(
    y: Float[Tensor, "outputs tiles_out"], tile: Tile, outputs: tuple[int, int], channels: int
) -> Float[Tensor, "batch channels height width"]:
    """Put the outputs of tiles [down, across, batch, channels] in their places, channels last."""
    tiled = y.view(*tile.outputs, *tile.covering(outputs), -1, channels)
    whole = tiled.permute(2, 0, 3, 1, 4, 5).flatten(2, 3).flatten(0, 1)
    return whole[: outputs[0], : outputs[1]].permute(2, 3, 0, 1)


Product = tuple[int, int, int]  # rows, inner and columns of a product of two matrices


def products(tile: Tile, tiles: int, channels_in: int, channels_out: int) -> Iterator[Product]:
    """List the matrix products of `fourier.convolved`."""
    for grid, n in (
        (tile.sides, tiles * channels_in),
        (tile.taps, channels_in * channels_out),
        (tile.outputs, tiles * channels_out),
    ):
        yield from ((rows, inner, columns * n) for rows, inner, columns in of_map(tile, grid))
    yield tile.points * tiles, channels_in, channels_out


def of_map(tile: Tile, grid: tuple[int, int]) -> list[Product]:
    """List the matrix products of one transform, in the way that costs less.

    A single product, or one along each axis and a join.
    """
    height, width = grid
    at_once = [(tile.points, height * width, 1)]
    along_height = 2 * tile.rows, height, width
    along_width = 3 * tile.sides[1], 2 * width, tile.rows
    return min(at_once, [along_height, along_width, (tile.points, 0, 1)], key=cost)


def cost(products: Iterable[Product]) -> int:
    """Count a step's multiplications, forward and backward, and moves of numbers as such."""
    return sum(
        2 * rows * inner * columns + MULTIPLICATIONS_PER_MOVE * 4 * rows * columns
        for rows, inner, columns in products
    )


def candidates(outputs: tuple[int, int], taps: tuple[int, int]) -> list[Tile]:
    """List every tile that could cover so many outputs."""
    height, width = (range(1, side + 1) for side in outputs)
    return [Tile(sides, taps) for sides in product(height, width)]
