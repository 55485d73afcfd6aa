"""Standardisation of each image by its own mean and deviation [C].

The released code also draws a brightness for each training image. That is left out: a constant
that is added to all pixels leaves no trace in a standardised image [D], which a test shows.
"""

from jaxtyping import Float
from torch import Tensor


def standardised(
    images: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    """Return (x − mean) / max(sd, 1/√n) of pixels in 0 … 255, like per_image_standardization [C].

    Mean and sd (of the population) are those of all n numbers of an image, channels together.
    """
    numbers = images.flatten(1)
    mean, deviation = numbers.mean(1), numbers.std(1, correction=0)
    floor = numbers.shape[1] ** -0.5  # an image of one colour becomes zeros
    shape = (-1, 1, 1, 1)
    return (images - mean.view(shape)) / deviation.clamp(min=floor).view(shape)


def normalise(
    pictures: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels height width"]:
    """Standardise pictures in [0, 1], which is what `specification.View.normalise` gets."""
    return standardised(255 * pictures)
