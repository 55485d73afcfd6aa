"""Random contrast: each channel stretched about its own mean by the image's factor [C]."""

from jaxtyping import Float, Int
from torch import Tensor

from capsnet.data.counter_rng import integers

LOW, HIGH = 0.2, 1.8  # [C] tf.image.random_contrast(0.2, 1.8)
LEVELS = 2**23  # factors that can be drawn; as many as TensorFlow's, each a float of 32 bits
KEY = 3  # crops have 0 and 1, flips 2


def random_factors(seed: int, step: int, indices: Int[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    """Draw the factor of image i at a step, uniform in [LOW, HIGH): of (seed, step, i)."""
    return LOW + (HIGH - LOW) * (integers(0, LEVELS, seed, step, indices, KEY).float() / LEVELS)


def contrasted(
    images: Float[Tensor, "batch channels height width"], factors: Float[Tensor, "batch"]
) -> Float[Tensor, "batch channels height width"]:
    """Return (x − m) f + m, with m the mean of the channel. Nothing is clipped."""
    means = images.mean((2, 3), keepdim=True)
    return (images - means) * factors[:, None, None, None] + means
