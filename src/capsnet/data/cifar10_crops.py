"""CIFAR-10 as its networks see it: crops of 24×24 [P], flipped, of random contrast [C].

The order is that of the released code: crop, flip, contrast, standardise.
"""

from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from capsnet.data.contrast import contrasted, random_factors
from capsnet.data.crops import cropped, random_corners
from capsnet.data.flips import flipped, random_flips
from capsnet.data.standardised_crops import Pixels, StandardisedCrops, crops_view


class Cifar10Crops(StandardisedCrops):
    """Crops of 24 of 32 pixels: 81 places in training [P]."""

    side: ClassVar[int] = 24

    def altered(
        self, images: Pixels, indices: Int[Tensor, "batch"], step: int
    ) -> tuple[Float[Tensor, "batch channels side side"], Pixels]:
        """Crop, flip, change the contrast."""
        corners = random_corners(self.seed, step, indices, images, self.side)
        crops = cropped(images, corners, self.side, self.side)
        crops = flipped(crops, random_flips(self.seed, step, indices))
        return contrasted(crops.float(), random_factors(self.seed, step, indices)), crops


SPEC = crops_view("cifar10_crops", Cifar10Crops)
