"""smallNORB as its networks see it: crops of 32×32 [P] of random contrast [C].

The order is that of the released code: contrast on the whole image, crop, standardise. Its eyes
are two channels, cropped at the same place.
"""

from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from capsnet.data.contrast import contrasted, random_factors
from capsnet.data.crops import cropped, random_corners
from capsnet.data.standardised_crops import Pixels, StandardisedCrops, crops_view


class SmallNorbCrops(StandardisedCrops):
    """Crops of 32 of 48 pixels: 289 places in training [P]."""

    side: ClassVar[int] = 32

    def altered(
        self, images: Pixels, indices: Int[Tensor, "batch"], step: int
    ) -> tuple[Float[Tensor, "batch channels side side"], Pixels]:
        """Change the contrast, then crop."""
        corners = random_corners(self.seed, step, indices, images, self.side)
        pixels = contrasted(images.float(), random_factors(self.seed, step, indices))
        sides = self.side, self.side
        return cropped(pixels, corners, *sides), cropped(images, corners, *sides)


SPEC = crops_view("smallnorb_crops", SmallNorbCrops)
