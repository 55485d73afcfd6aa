"""The networks of the paper, each on one screen."""

from itertools import pairwise
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.init import trunc_normal_, zeros_

from capsnet.functional import RoutingStep, lengths
from capsnet.layers import (
    CONVOLUTIONS,
    ClassCapsules,
    Decoder,
    Linear,
    Padding,
    PrimaryCapsules,
    Route,
    full_precision,
)
from capsnet.routing import DYNAMIC, Routing

Images = Float[Tensor, "batch channels height width"]
Capsules = Float[Tensor, "batch classes dim"]
Scores = Float[Tensor, "batch classes"]
Initialisation = Literal["released", "text"]
Sharing = Literal["none", "positions", "all"]


class CapsNet(nn.Module):
    """Conv1 9×9 → PrimaryCapsules 9×9/2 → DigitCaps, and a decoder: [P] section 4, figures 1, 2.

    The defaults are the MNIST network under the released recipe. `image` is (channels, height,
    width); 28×28 gives 1152 primary capsules, 36×36 3200, 40×40 4608 [D]. Without `decoder` there
    are no reconstruction parameters at all [P]. `routing_bias`, `primary_coupling` and
    `initialisation` are where the released code [C] and the text of the paper [P] differ.
    `sharing` is an ablation: over the positions of a type of primary capsules, or over all of
    them, one W_j in place of the paper's own W_ij for each [Gu & Tresp 2020].
    `primary_dim` and `class_dim` count a capsule's dimensions. `padding` is that of both
    convolutions: valid, or TensorFlow's same, whose zeros follow Conv1's ReLU [C]. Raises
    ValueError for images below 17×17 under valid, which leave the second convolution no position.
    """

    def __init__(
        self,
        image: tuple[int, int, int] = (1, 28, 28),
        iterations: int = 3,
        decoder: bool = True,
        *,
        routing: Routing = DYNAMIC,
        routing_bias: bool = True,
        primary_coupling: bool = True,
        initialisation: Initialisation = "released",
        channels: int = 256,
        types: int = 32,
        primary_dim: int = 8,
        class_dim: int = 16,
        padding: Padding = "valid",
        sharing: Sharing = "none",
        decoder_hidden: tuple[int, int] = (512, 1024),
        classes: int = 10,
    ) -> None:
        super().__init__()
        height, width = self.grid = _primary_grid(image, padding)
        positions = height * width
        self.padding: Padding = padding
        self.conv1 = CONVOLUTIONS[padding](image[0], channels, 9)
        self.primary = PrimaryCapsules(
            channels,
            types,
            primary_dim,
            coupled=primary_coupling,
            leaky=routing.leaky,
            padding=padding,
            nonlinearity=routing.nonlinearity,
        )
        self.routing = routing
        self.class_capsules = ClassCapsules(
            types * positions,
            iterations,
            classes,
            primary_dim,
            class_dim,
            bias=routing_bias,
            route=self.routing_function(routing),
            shared={"none": 1, "positions": positions, "all": types * positions}[sharing],
        )
        self.decoder = Decoder(classes * class_dim, image, decoder_hidden) if decoder else None
        initialise_released(self) if initialisation == "released" else initialise_text(self)

    @staticmethod
    def routing_function(algorithm: Routing) -> Route:
        """Return the function that computes a routing algorithm: here its own."""
        return algorithm.route

    def forward(self, images: Images) -> Capsules:
        """Compute class capsules of images in [0, 1]; the longest are the prediction."""
        return self.class_capsules(self.primary_capsules(images))

    def primary_capsules(self, images: Images) -> Float[Tensor, "batch capsules dim"]:
        """Compute the primary capsules of images in [0, 1]."""
        return self.primary(self.conv1(images).relu())

    def trace(
        self, u: Float[Tensor, "batch capsules dim"], iterations: int | None = None
    ) -> list[RoutingStep]:
        """Route primary capsules `u` step by step, by the network's own number of iterations."""
        layer = self.class_capsules
        count = iterations or layer.iterations
        with full_precision(u):
            return self.routing.trace(u, layer.transformations, count, layer.bias)

    def class_scores(self, images: Images) -> Scores:
        """Return the lengths of the class capsules; the longest are the prediction."""
        return lengths(self(images))

    def reconstruct(self, capsules: Capsules, mask: Scores) -> Images:
        """Draw the object of the class that `mask` marks with a 1; all other capsules are 0 [P].

        Raises ValueError when the network has no decoder.
        """
        if self.decoder is None:
            raise ValueError("this CapsNet was built without a decoder: it cannot reconstruct")
        return self.decoder.reconstruct(capsules, mask)


def initialise_released(network: CapsNet) -> None:
    """Draw truncated normals, sd 0.1 (Conv1: 0.05), cut at two sd; every bias is 0.1 [C]."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.constant_(parameter, 0.1)
        else:
            sd = 0.05 if name.startswith("conv1") else 0.1
            trunc_normal_(parameter, std=sd, a=-2 * sd, b=2 * sd)


def initialise_text(network: CapsNet) -> None:
    """Keep PyTorch's own for convolutions and decoder; W_ij as released; capsule biases 0 [?]."""
    trunc_normal_(network.class_capsules.weight, std=0.1, a=-0.2, b=0.2)
    for layer in (network.primary, network.class_capsules):
        if layer.bias is not None:
            zeros_(layer.bias)


class Baseline(nn.Module):
    """A convolutional network without capsules: images in [0, 1] → logits [batch, classes].

    All baselines keep PyTorch's initialisation [?], and `conv` computes their convolutions.
    """

    def class_scores(self, images: Images) -> Scores:
        """Return the logits; the highest are the prediction."""
        return self(images)


class MnistBaseline(Baseline, nn.Sequential):
    """Three 5×5 convolutions, FC 328, FC 192, dropout, 10 logits: [P] section 5, 35.4M.

    SAME padding and no pooling: with these the parameters add up to 35,445,522 [D]. The dropout
    rate is not stated; 0.5 is the common one [?].
    """

    def __init__(
        self,
        image: tuple[int, int, int] = (1, 28, 28),
        channels: tuple[int, int, int] = (256, 256, 128),
        hidden: tuple[int, int] = (328, 192),
        dropout: float = 0.5,
        classes: int = 10,
        conv: type[nn.Conv2d] = nn.Conv2d,
    ) -> None:
        depth, height, width = image
        super().__init__(
            *_conv_relu(conv, depth, channels[0]),
            *_conv_relu(conv, channels[0], channels[1]),
            *_conv_relu(conv, channels[1], channels[2]),
            *_dense(channels[2] * height * width, hidden, dropout, classes),
        )


class MnistBaselineWithDecoder(Baseline):
    """An ablation: the MNIST baseline with CapsNet's decoder, to measure what reconstruction adds.

    Its last layer gives every class `class_dim` features in place of a logit. The logit is their
    sum [?], and the decoder draws from the features of one class, as from a capsule: such baselines
    are those of Frosst 2018 and Qin 2019. `body` are other settings of the MNIST baseline.
    """

    def __init__(
        self,
        image: tuple[int, int, int] = (1, 28, 28),
        *,
        classes: int = 10,
        class_dim: int = 16,
        decoder_hidden: tuple[int, int] = (512, 1024),
        **body: Any,
    ) -> None:
        super().__init__()
        layers = MnistBaseline(image, classes=classes * class_dim, **body)
        self.body = nn.Sequential(*layers, nn.Unflatten(1, (classes, class_dim)))
        self.decoder = Decoder(classes * class_dim, image, decoder_hidden)

    def features(self, images: Images) -> Capsules:
        """Compute the features of every class, of images in [0, 1]."""
        return self.body(images)

    def forward(self, images: Images) -> Scores:
        """Compute the logits of images in [0, 1]."""
        return self.features(images).sum(-1)

    def reconstruct(self, features: Capsules, mask: Scores) -> Images:
        """Draw the object of the class that `mask` marks with a 1; all other features are 0."""
        return self.decoder.reconstruct(features, mask)


class MultiMnistBaseline(Baseline, nn.Sequential):
    """Conv 512 of 9×9, pool, conv 256 of 5×5, pool, FC 1024, 10 logits: [P] section 6, 24.56M.

    The logits are for sigmoids. With SAME padding and pools of 2×2 the parameters add up to
    24,563,978 [D]. The released code's only such network has 5×5 kernels in both, and halves the
    labels of two digits [C]: docs/design.md. Raises ValueError for images below 4×4, of which the
    pools leave nothing.
    """

    def __init__(
        self,
        image: tuple[int, int, int] = (1, 36, 36),
        channels: tuple[int, int] = (512, 256),
        hidden: int = 1024,
        classes: int = 10,
        conv: type[nn.Conv2d] = nn.Conv2d,
    ) -> None:
        depth, height, width = image
        _require_side(image, 4)
        super().__init__(
            *_conv_relu(conv, depth, channels[0], 9),
            nn.MaxPool2d(2),
            *_conv_relu(conv, channels[0], channels[1]),
            nn.MaxPool2d(2),
            nn.Flatten(),
            Linear(channels[1] * (height // 4) * (width // 4), hidden),
            nn.ReLU(),
            Linear(hidden, classes),
        )


class AffnistBaseline(Baseline, nn.Sequential):
    """A conv net with max-pooling and dropout, about as large as the CapsNet for 40×40: [P].

    The paper says no more. Ours is the MNIST baseline with a 2×2 pool after each of the first two
    convolutions and FC 848, which gives 13,484,826 parameters beside CapsNet's 13,475,648 [?].
    Raises ValueError for images below 4×4, of which the pools leave nothing.
    """

    def __init__(
        self,
        image: tuple[int, int, int] = (1, 40, 40),
        channels: tuple[int, int, int] = (256, 256, 128),
        hidden: tuple[int, int] = (848, 192),
        dropout: float = 0.5,
        classes: int = 10,
        conv: type[nn.Conv2d] = nn.Conv2d,
    ) -> None:
        depth, height, width = image
        _require_side(image, 4)
        super().__init__(
            *_conv_relu(conv, depth, channels[0]),
            nn.MaxPool2d(2),
            *_conv_relu(conv, channels[0], channels[1]),
            nn.MaxPool2d(2),
            *_conv_relu(conv, channels[1], channels[2]),
            *_dense(channels[2] * (height // 4) * (width // 4), hidden, dropout, classes),
        )


def _require_side(image: tuple[int, int, int], least: int) -> None:
    """Raise ValueError for images of fewer than `least` pixels on a side."""
    _, height, width = image
    if min(height, width) < least:
        raise ValueError(
            f"images of {height}×{width} pixels are too small for this network: "
            f"it needs {least}×{least} or more"
        )


def _primary_grid(image: tuple[int, int, int], padding: Padding) -> tuple[int, int]:
    """Count the rows and columns of primary capsules. Raises ValueError where there is none."""
    _, height, width = image
    if padding == "same":
        return (height + 1) // 2, (width + 1) // 2
    _require_side(image, 17)
    return (height - 8 - 8 + 1) // 2, (width - 8 - 8 + 1) // 2


def _conv_relu(
    conv: type[nn.Conv2d], inputs: int, outputs: int, kernel: int = 5
) -> tuple[nn.Module, nn.Module]:
    return conv(inputs, outputs, kernel, padding="same"), nn.ReLU()


def _dense(
    inputs: int, hidden: tuple[int, int], dropout: float, classes: int
) -> tuple[nn.Module, ...]:
    """Build the layers from feature maps to logits, dropout before the last layer [P]."""
    first, second = hidden
    return (
        nn.Flatten(),
        Linear(inputs, first),
        nn.ReLU(),
        Linear(first, second),
        nn.ReLU(),
        nn.Dropout(dropout),
        Linear(second, classes),
    )


@torch.no_grad()
def routing_changes(
    network: CapsNet, images: Images, iterations: int | None = None
) -> Float[Tensor, "iterations"]:
    """Return the mean |Δb_ij| of each routing iteration, over images, i and j: [P] figure A.1.

    `iterations` are the network's own by default. The last change is the update after the last
    iteration, with which one more would begin.
    """
    count = (iterations or network.class_capsules.iterations) + 1
    trace = network.trace(network.primary_capsules(images), count)
    return torch.stack([(b.logits - a.logits).abs().mean() for a, b in pairwise(trace)])


def parameter_count(network: nn.Module) -> int:
    """Count the trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def one_hot(labels: Tensor, classes: int) -> Scores:
    """Turn integer labels [batch] or [batch, labels] into a multi-hot matrix of 0 and 1."""
    rows = labels if labels.ndim == 2 else labels[:, None]
    return torch.zeros(len(labels), classes, device=labels.device).scatter(1, rows, 1.0)
