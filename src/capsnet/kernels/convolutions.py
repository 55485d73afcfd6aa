"""Conv1 and the convolution of PrimaryCapsules as matrix products: fewer multiplications, exactly.

A convolution of stride 2 is the sum of four of stride 1, between the even and odd rows and columns
of image and kernel: 9×9 taps become four times 5×5. These go over tiles of the output through a
real two-dimensional discrete Fourier transform of (tile + 4)² points,

    conv2(x) = C ((A x) ∘ (B w)),

with constant matrices A, B, C and ∘ a matrix product over channels at every point. A complex point
is three real ones (Gauss), so that 28×28 images need 148·1024·256 multiplications in place of
36·81·256·256. The transform of tiles is a cyclic correlation of which only the outputs without
wrap-around are kept (overlap-save), and the whole is as accurate in fp32 as the direct sum.
"""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from capsnet.kernels.products import matmul

# Moving a number between memory and the processor costs about as much as this many
# multiplications in a matrix product: it decides between tile sizes, not about values.
MULTIPLICATIONS_PER_MOVE = 32


def stacked_convolutions(
    images: Float[Tensor, "batch in_channels in_height in_width"],
    weight1: Float[Tensor, "channels1 in_channels kernel1_height kernel1_width"],
    bias1: Float[Tensor, "channels1"],
    weight2: Float[Tensor, "channels2 channels1 kernel2_height kernel2_width"],
) -> Float[Tensor, "batch channels2 height width"]:
    """conv2d(relu(conv2d(images, weight1, bias1)), weight2, stride=2), to rounding [D].

    Raises ValueError when the images are too small for one output.
    """
    sizes = Sizes.of(images, weight1, weight2)
    tile = best_tile(sizes)
    to_points, kernel_to_points, from_points = transform(tile, weight2.dtype, weight2.device)
    x = _conv1(_patches(images, sizes, tile), weight1, bias1)
    x = matmul(to_points, x.flatten(1)).view(tile.points, -1, 4 * sizes.channels1)
    w = matmul(kernel_to_points, _phases(weight2).flatten(1))
    y = matmul(x, w.view(tile.points, -1, sizes.channels2))
    return _untiled(matmul(from_points, y.flatten(1)), sizes, tile)


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
        """Raises ValueError when not one output fits."""
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


class Tile(NamedTuple):
    """A rectangle of outputs that is computed at once, from `sides` inputs of each phase."""

    outputs: tuple[int, int]
    taps: tuple[int, int]  # of the kernel, in one phase

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


@cache
def best_tile(sizes: Sizes) -> Tile:
    """The tile that makes a training step cheapest: one for 28×28 images, of 6×6 outputs."""
    taps = (sizes.kernel2[0] + 1) // 2, (sizes.kernel2[1] + 1) // 2
    height, width = (range(1, side + 1) for side in sizes.outputs)
    tiles = (Tile(outputs, taps) for outputs in product(height, width))
    return min(tiles, key=lambda tile: cost(sizes, tile))


def cost(sizes: Sizes, tile: Tile) -> int:
    """Multiplications of a step, forward and backward, and its moves of numbers as such."""
    return sum(
        2 * rows * inner * columns + MULTIPLICATIONS_PER_MOVE * 4 * rows * columns
        for rows, inner, columns in _matrix_products(sizes, tile)
    )


def _matrix_products(sizes: Sizes, tile: Tile) -> Iterator[tuple[int, int, int]]:
    """[rows × inner] · [inner × columns] of the forward pass."""
    down, across = tile.covering(sizes.outputs)
    tiles, below = down * across * sizes.batch, 4 * sizes.channels1
    side, taps, outputs = (h * w for h, w in (tile.sides, tile.taps, tile.outputs))
    patch = sizes.in_channels * sizes.kernel1[0] * sizes.kernel1[1]
    yield tiles * side * 4, patch, sizes.channels1
    yield tile.points, side, tiles * below
    yield tile.points, taps, below * sizes.channels2
    yield tile.points * tiles, below, sizes.channels2
    yield outputs, tile.points, tiles * sizes.channels2


def _patches(images: Tensor, sizes: Sizes, tile: Tile) -> Tensor:
    """What Conv1 sees: [side, side, tiles, tiles, batch, 2, 2, in_channels, kernel, kernel].

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


def _conv1(patches: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """ReLU of Conv1 as [side · side, tiles · tiles · batch, 4 · channels1]."""
    side = patches.shape[:2].numel()
    columns = patches.reshape(-1, weight[0].numel())
    x = matmul(columns, weight.flatten(1).T).add_(bias).relu_()
    return x.view(side, -1, 4 * len(bias))


def _phases(weight: Tensor) -> Tensor:
    """The kernel as [taps · taps, 4 · channels1, channels2], the missing taps of odd phases 0."""
    height, width = weight.shape[2:]
    even = pad(weight, (0, width % 2, 0, height % 2)).permute(2, 3, 1, 0)
    taps = even.unflatten(1, (-1, 2)).unflatten(0, (-1, 2)).transpose(1, 2)
    return taps.flatten(0, 1).flatten(1, 3)


def _untiled(y: Tensor, sizes: Sizes, tile: Tile) -> Tensor:
    """The outputs [outputs, tiles · batch · channels2] in their places."""
    tiled = y.view(*tile.outputs, *tile.covering(sizes.outputs), sizes.batch, sizes.channels2)
    whole = tiled.permute(4, 5, 2, 0, 3, 1).flatten(4, 5).flatten(2, 3)
    return whole[:, :, : sizes.outputs[0], : sizes.outputs[1]]


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
