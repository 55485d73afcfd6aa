"""Picture files as square arrays of 8 bits: grey, or red, green and blue."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from capsnet.errors import UserError

MODES = {1: "L", 3: "RGB"}  # Pillow's names of grey and of colour, by the number of channels


def read_picture(path: Path, size: int, channels: int | None = None) -> NDArray[np.uint8]:
    """Read a file as uint8 [channels, size, size].

    It is turned upright as its EXIF data say, and made grey or RGB, as it is or, if given, by
    `channels`: 1 or 3. Of several frames the first counts, transparent pixels are put on white, and
    16 bits are cut to their upper 8. The longer side becomes `size` and black bars fill the rest.
    Raises UserError, naming the file, when Pillow cannot read it.
    """
    try:
        with Image.open(path) as picture:
            plain = _grey_or_rgb(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        raise UserError(
            f"{path} is not a picture in a format that Pillow knows: replace or remove it"
        ) from None
    except Exception as error:  # Pillow's decoders raise almost any on a damaged file
        raise UserError(
            f"{path} cannot be read as a picture ({error}): replace or remove it"
        ) from error
    kept = plain.convert(MODES[channels]) if channels else plain
    square = ImageOps.pad(kept, (size, size), Image.Resampling.BICUBIC, color=0)
    pixels = np.asarray(square)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _grey_or_rgb(picture: Image.Image) -> Image.Image:
    """Convert to mode L or RGB. Raises ValueError for pixels of 32 bits."""
    if picture.mode in ("I", "F"):
        raise ValueError("its pixels have 32 bits, not 8 or 16")
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    mode = "L" if picture.mode in ("1", "L", "LA", "La") else "RGB"
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert(mode)
    return picture.convert(mode)
