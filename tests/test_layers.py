"""The layers: what they compute, number for number."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from capsnet.layers import ClassCapsules, Decoder, PrimaryCapsules, SameConv2d, same_margins
from helpers import oracle

assert_equal = partial(torch.testing.assert_close, rtol=0.0, atol=1e-12)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def randomised(layer: nn.Module) -> nn.Module:
    """Draw every parameter anew, in float64: the layers themselves start at 0."""
    layer.double()
    for seed, parameter in enumerate(layer.parameters()):
        parameter.data = normal(*parameter.shape, seed=seed)
    return layer


def array(tensor: Tensor) -> oracle.Array:
    return tensor.detach().numpy()


def primary_capsules_of_one_image(
    image: oracle.Array, kernels: oracle.Array, bias: oracle.Array, types: int, scale: float
) -> oracle.Array:
    """Capsule by capsule: type, then row, then column; a type owns consecutive channels."""
    side, dim = kernels.shape[-1], len(kernels) // types
    rows, columns = ((size - side) // 2 + 1 for size in image.shape[1:])
    capsules = []
    for kind in range(types):
        for row in range(rows):
            for column in range(columns):
                patch = image[:, 2 * row : 2 * row + side, 2 * column : 2 * column + side]
                own = range(kind * dim, (kind + 1) * dim)
                capsules.append([scale * np.sum(kernels[k] * patch) + bias[k] for k in own])
    return oracle.squash(np.array(capsules))


@pytest.mark.parametrize(("coupled", "scale"), [(True, 1 / 5), (False, 1.0)])
def test_primary_capsules_equal_a_naive_convolution_cut_into_capsules(
    coupled: bool, scale: float
) -> None:
    # All sizes differ (5 types, 3 dimensions, 2 × 4 places), so that no two axes can be swapped.
    layer = PrimaryCapsules(channels=2, types=5, dim=3, kernel=3, coupled=coupled)
    randomised(layer)
    images = normal(2, 2, 6, 9, seed=9)
    expected = [
        primary_capsules_of_one_image(
            array(image), array(layer.conv.weight), array(layer.bias), types=5, scale=scale
        )
        for image in images
    ]
    ours = layer(images)
    assert ours.shape == (2, 5 * 2 * 4, 3)
    assert_equal(ours, torch.tensor(np.array(expected)))


def test_the_first_capsules_are_those_of_the_first_channels_at_all_places() -> None:
    layer = PrimaryCapsules(channels=1, types=2, dim=2, kernel=1, coupled=False)
    layer.conv.weight.data.zero_()
    layer.conv.weight.data[0] = 1  # only channel 0 sees the image: dimension 0 of type 0
    image = torch.tensor([[[[1.0, 9.0, 2.0], [9.0, 9.0, 9.0], [3.0, 9.0, 4.0]]]])
    # Stride 2 reads 1, 2, 3 and 4, row by row; a length x is squashed to x² / (1 + x²).
    expected = torch.zeros(8, 2)
    expected[:4, 0] = torch.tensor([1 / 2, 4 / 5, 9 / 10, 16 / 17])
    torch.testing.assert_close(layer(image)[0], expected)


def test_coupling_scales_the_convolution_but_not_the_bias() -> None:
    layer = PrimaryCapsules(channels=1, types=4, dim=1, kernel=1, coupled=True)
    layer.conv.weight.data.fill_(1.0)
    layer.bias.data.fill_(2.0)
    # 4 × 1/4 + 2 = 3 before the squash, so 9/10 after it; (4 + 2)/4 would give 9/13.
    torch.testing.assert_close(layer(torch.full((1, 1, 1, 1), 4.0)), torch.full((1, 4, 1), 0.9))


def test_primary_bias_enters_before_the_squash_one_value_per_channel() -> None:
    layer = PrimaryCapsules(channels=1, types=2, dim=2, kernel=1)
    layer.conv.weight.data.zero_()
    layer.bias.data = torch.tensor([3.0, 4.0, 0.0, 1.0])
    # Type 0 is squash(3, 4) = 25/26 × (3/5, 4/5) at both places, type 1 is squash(0, 1).
    first, second = [15 / 26, 20 / 26], [0.0, 1 / 2]
    expected = torch.tensor([[first, first, second, second]])
    torch.testing.assert_close(layer(torch.ones(1, 1, 1, 3)), expected)


@pytest.mark.parametrize(
    ("coupled", "leaky", "scale"),
    [(True, True, 1 / 65), (True, False, 1 / 64), (False, True, 1.0)],
)
def test_the_first_iteration_of_64_leaky_types_gives_each_a_65th(
    coupled: bool, leaky: bool, scale: float
) -> None:
    layer = PrimaryCapsules(
        channels=1, types=64, dim=1, kernel=1, coupled=coupled, leaky=leaky
    ).double()
    layer.conv.weight.data.fill_(1.0)
    # x = 3 / scale makes s = 3 before the squash, so 9/10 after it.
    image = torch.full((1, 1, 1, 1), 3 / scale, dtype=torch.float64)
    assert_equal(layer(image), torch.full((1, 64, 1), 0.9, dtype=torch.float64))


# By hand from TensorFlow's rule: ⌈size / stride⌉ outputs, the odd zero after.
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "margins"),
    [
        (24, 9, 1, (4, 4)),  # Conv1
        (24, 9, 2, (3, 4)),  # PrimaryCapsules: 12 outputs see 11 · 2 + 9 = 31 = 3 + 24 + 4
        (23, 9, 2, (4, 4)),
        (28, 9, 2, (3, 4)),
        (2, 9, 2, (3, 4)),
        (1, 9, 2, (4, 4)),
        (7, 1, 2, (0, 0)),  # never below 0
        (5, 2, 1, (0, 1)),
    ],
)
def test_same_margins_are_tensorflows(
    size: int, kernel: int, stride: int, margins: tuple[int, int]
) -> None:
    assert same_margins(size, kernel, stride) == margins


def same_convolution_by_loops(
    image: oracle.Array, kernels: oracle.Array, stride: int
) -> oracle.Array:
    """Add up pixel by pixel: what lies outside of the image counts as 0."""
    _, rows, columns = image.shape
    side = kernels.shape[-1]
    high, wide = -(-rows // stride), -(-columns // stride)
    top = max(0, (high - 1) * stride + side - rows) // 2
    left = max(0, (wide - 1) * stride + side - columns) // 2
    out = np.zeros((len(kernels), high, wide))
    for k, y, x in np.ndindex(*out.shape):
        for c, dy, dx in np.ndindex(*kernels.shape[1:]):
            row, column = y * stride + dy - top, x * stride + dx - left
            if 0 <= row < rows and 0 <= column < columns:
                out[k, y, x] += kernels[k, c, dy, dx] * image[c, row, column]
    return out


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(6, 9), (5, 4), (1, 2)])
def test_same_convolutions_equal_an_explicit_loop(size: tuple[int, int], stride: int) -> None:
    layer = SameConv2d(2, 3, 5, stride, bias=False)
    randomised(layer)
    images = normal(2, 2, *size, seed=9)
    expected = [same_convolution_by_loops(array(x), array(layer.weight), stride) for x in images]
    assert_equal(layer(images), torch.tensor(np.array(expected)))


def test_same_at_stride_2_is_not_pytorchs_padding_of_four() -> None:
    layer = SameConv2d(1, 1, 9, 2, bias=False)
    randomised(layer)
    image = normal(1, 1, 24, 24, seed=9)
    centred = nn.functional.conv2d(image, layer.weight, stride=2, padding=4)
    assert centred.shape == layer(image).shape == (1, 1, 12, 12)
    assert (centred - layer(image)).abs().max() > 1


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("iterations", [1, 3])
def test_class_capsules_equal_the_oracle_with_the_same_parameters(
    iterations: int, bias: bool
) -> None:
    layer = ClassCapsules(
        in_capsules=6, iterations=iterations, classes=3, in_dim=2, dim=4, bias=bias
    )
    randomised(layer)
    u = normal(2, 6, 2, seed=9)
    own_bias = None if layer.bias is None else array(layer.bias)
    assert (own_bias is not None) == bias
    expected = oracle.routing(array(u), array(layer.weight), iterations, own_bias)[-1].v
    assert_equal(layer(u), torch.tensor(expected))


def test_class_capsules_learn_once_their_weights_are_initialised() -> None:
    layer, u = ClassCapsules(in_capsules=6, iterations=3), normal(2, 6, 8).float()
    gradients = []
    for _ in range(2):
        layer.zero_grad()
        (layer(u) - 1).square().sum().backward()
        gradients.append([p.grad is not None and bool(p.grad.any()) for p in layer.parameters()])
        nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
    assert gradients == [[False, False], [True, True]]


def small_decoder() -> Decoder:
    return Decoder(capsules=6, image=(2, 3, 4), hidden=(5, 7))


def test_decoder_equals_its_three_matrices_worked_in_numpy() -> None:
    decoder = small_decoder()
    randomised(decoder)
    w1, b1, w2, b2, w3, b3 = (array(parameter) for parameter in decoder.parameters())
    capsules = normal(3, 6, seed=9)
    hidden = np.maximum(0, array(capsules) @ w1.T + b1)
    hidden = np.maximum(0, hidden @ w2.T + b2)
    pixels = 1 / (1 + np.exp(-(hidden @ w3.T + b3)))
    expected = torch.tensor(pixels.reshape(3, 2, 3, 4))  # channel, row, column
    assert_equal(decoder(capsules), expected)


def test_decoder_draws_from_the_marked_capsule_alone_in_its_own_place() -> None:
    decoder, capsules = small_decoder(), normal(2, 3, 2, seed=9).float()
    drawn = decoder.reconstruct(capsules, torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    masked = torch.zeros(2, 6)
    masked[0, 2:4], masked[1, 4:6] = capsules[0, 1], capsules[1, 2]
    assert drawn.equal(decoder(masked))


def test_decoder_pixels_lie_strictly_between_0_and_1_row_by_row() -> None:
    decoder = small_decoder()
    for parameter in decoder.parameters():
        parameter.data.zero_()
    logits = torch.linspace(-4, 4, 24)
    list(decoder.parameters())[-1].data = logits
    pixels = decoder(torch.ones(1, 6))
    torch.testing.assert_close(pixels.flatten(), 1 / (1 + (-logits).exp()))
    # Silent hidden layers: the pixels are the sigmoid of the last bias, e.g. 1 / (1 + e⁴).
    assert pixels[0, 0, 0, 0].item() == pytest.approx(0.0179862, rel=1e-5)
    assert 0 < pixels.min() < pixels.max() < 1


def test_decoder_of_the_paper_has_512_and_1024_hidden_units() -> None:
    decoder = Decoder(capsules=160, image=(1, 28, 28))
    shapes = [tuple(layer.weight.shape) for layer in decoder if isinstance(layer, nn.Linear)]
    assert shapes == [(512, 160), (1024, 512), (784, 1024)]
