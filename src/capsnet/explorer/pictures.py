"""Arrays as pictures that a page can show: PNG inside the page, and SVG lines.

Handwriting is white on black, as the network gets it; a light page inverts it.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

# More than an equal share, less, and just that: the first two are Okabe and Ito's.
ORANGE, BLUE, EQUAL = (230, 159, 0, 255), (0, 114, 178, 255), (128, 128, 128, 40)
GAP = 1  # pixels between tiles


def png(pixels: UInt8[np.ndarray, "height width *channels"]) -> str:
    """Encode a picture as a data URI: grey, RGB or RGBA."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def shares(
    couplings: Float[np.ndarray, "types rows columns"], low: float, equal: float, high: float
) -> UInt8[np.ndarray, "types rows columns 4"]:
    """Colour couplings: faint grey at the equal share, orange up to `high`, blue down to `low`.

    Colours grow as the root of the difference, since most couplings stay near the equal share.
    """
    # One iteration of routing leaves all at the equal share: then there is no low and no high.
    ends = [min(low, equal - 1e-6), equal, max(high, equal + 1e-6)]
    more = np.interp(couplings, ends, [-1, 0, 1])[..., None]
    full = np.where(more > 0, np.array(ORANGE), np.array(BLUE))
    colours = np.array(EQUAL) + np.sqrt(np.abs(more)) * (full - np.array(EQUAL))
    return np.round(colours).astype(np.uint8)


def contest(
    red: Float[np.ndarray, "types rows columns"],
    green: Float[np.ndarray, "types rows columns"],
    equal: float,
    high: float,
) -> UInt8[np.ndarray, "types rows columns 4"]:
    """Colour each digit's excess over an equal share of the votes; `high` is full colour.

    Colours grow as in `shares`.
    """
    more = np.interp([red, green], [equal, max(high, equal + 1e-6)], [0, 1])
    pixels = np.stack([*np.sqrt(more), np.zeros_like(red), np.ones_like(red)], -1)
    return np.round(255 * pixels).astype(np.uint8)


def tiled(
    tiles: UInt8[np.ndarray, "types rows columns 4"], across: int
) -> UInt8[np.ndarray, "height width 4"]:
    """Lay tiles in rows of `across`, with clear gaps between them."""
    count, height, width, _ = tiles.shape
    down = -(-count // across)
    spaced = np.zeros((down * across, height + GAP, width + GAP, 4), np.uint8)
    spaced[:count, :height, :width] = tiles
    grid = spaced.reshape(down, across, height + GAP, width + GAP, 4).swapaxes(1, 2)
    return grid.reshape(down * (height + GAP), across * (width + GAP), 4)[:-GAP, :-GAP]


def row(
    pictures: UInt8[np.ndarray, "n height width *colour"],
) -> UInt8[np.ndarray, "height n_width *colour"]:
    """Put pictures side by side."""
    return np.concatenate(list(pictures), axis=1)


def lines(
    numbers: Float[np.ndarray, "places n"], bottom: float, top: float, marked: Sequence[int]
) -> str:
    """Draw an SVG curve for each column, as wide as its place on the page, `marked` ones on top.

    Places are columns of equal width, and a curve has its points in their middles. The first of
    `marked` is of class m0, the second m1 …
    """
    count, dim = numbers.shape
    height = (top - numbers) / (top - bottom) * 100
    faint = [_curve(height[:, one], one, "") for one in range(dim) if one not in marked]
    strong = [_curve(height[:, one], one, f"m{rank}") for rank, one in enumerate(marked)]
    zero = top / (top - bottom) * 100
    return (
        f'<svg viewBox="0 0 {count} 100" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="M0 {zero:.1f}H{count}"/>{"".join(faint + strong)}</svg>'
    )


def _curve(heights: Float[np.ndarray, "places"], column: int, name: str) -> str:
    points = " ".join(f"{place + 0.5:g},{height:.2f}" for place, height in enumerate(heights))
    return f'<polyline class="{name}" data-number="{column + 1}" points="{points}"/>'


def columns(
    lengths: Float[np.ndarray, "classes"], colours: Mapping[int, str], names: Sequence[str]
) -> str:
    """Draw small columns as SVG, 1 the full height, with class names and lengths as tooltips.

    `colours` names the CSS class of those columns that stand out.
    """
    bars = "".join(
        f'<rect class="{colours.get(place, "")}" x="{place + 0.1:g}" width="0.8" '
        f'y="{1 - length:.3f}" height="{length:.3f}"><title>{escape(names[place])}: {length:.3f}'
        "</title></rect>"
        for place, length in enumerate(lengths)
    )
    return (
        f'<svg viewBox="0 0 {len(lengths)} 1" preserveAspectRatio="none" aria-hidden="true">'
        f"{bars}</svg>"
    )
