"""The colours of all figures, and the files of those that matplotlib draws: PNG and SVG."""

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import offset_copy

from capsnet.records.files import write_atomically

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#666666"
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE, BLACK, GREY)
INK, QUIET, HAIR, ACCENT = "#1B1D20", "#595E66", "#E3E0DA", "#0068A3"
SOLID = [1, 0]
DASHES = (SOLID, [6, 3], [2, 2], [6, 2, 2, 2])
NAMED = {  # as web/style.css calls them, which has a second colour of each name for the dark
    **{"black": BLACK, "orange": ORANGE, "sky": SKY, "green": GREEN, "blue": BLUE},
    **{"vermilion": VERMILION, "purple": PURPLE, "grey": GREY},
    **{"ink": INK, "quiet": QUIET, "hair": HAIR, "accent": ACCENT},
}
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # it comes with matplotlib, so all machines measure alike
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "figure.dpi": 200,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "capsnet",
}
LEFT = 0.012  # where titles begin, as a share of the width


@contextmanager
def save_figure(
    stem: Path, size: tuple[float, float], title: str, caption: str, caveats: Sequence[str] = ()
) -> Iterator[Figure]:
    """Yield a figure of `size` inches to draw on, and store it as stem.png and stem.svg at the end.

    `caveats` are printed at the top right. Title, caption and caveats are also in the files'
    metadata, for readers who cannot see.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(size, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.055))
        figure.suptitle(title, x=LEFT, ha="left", fontsize=11, fontweight="bold")
        figure.supxlabel(_folded(caption, size[0]), x=LEFT, ha="left", fontsize=8, color=GREY)
        if caveats:
            _stamp(figure, " · ".join(caveats))
        yield figure
        _settle(figure)
        metadata = {"Title": title, "Description": described(caption, caveats)}
        for path in files(stem):
            _store(figure, path, metadata)


def described(caption: str, caveats: Sequence[str]) -> str:
    """Join the caveats and the caption in one line."""
    return " · ".join((*caveats, caption.replace("\n", ". ")))


def files(stem: Path) -> tuple[Path, Path]:
    """List a figure's files, PNG first. The stem's own dots stay: 'figure_a.1' has no suffix."""
    return stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")


def _folded(caption: str, inches: float) -> str:
    """Break lines where they would leave the figure: an inch has about 17 letters."""
    lines = (textwrap.fill(line, int(16 * inches)) for line in caption.splitlines())
    return "\n".join(lines)


def _stamp(figure: Figure, words: str) -> None:
    """Write into the corner opposite to the title, whatever the figure's height."""
    corner = offset_copy(figure.transFigure, figure, -6, -4, units="points")
    style = {"fontsize": 11, "fontweight": "bold", "color": VERMILION, "ha": "right", "va": "top"}
    figure.text(1, 1, words, transform=corner, **style)


def _settle(figure: Figure) -> None:
    """Lay it out once, for both files, and round the places.

    The layout's solver differs in the last bit from call to call, and names in an SVG are digests
    of such numbers.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = axes.get_position(original=True).bounds
        axes.set_position((round(left, 5), round(bottom, 5), round(width, 5), round(height, 5)))


def _store(figure: Figure, path: Path, texts: Mapping[str, str]) -> None:
    """Write without a date, so that what did not change stays the same file.

    An SVG keeps each pixel of a picture once, for the viewer to enlarge: the PNG, stored before it,
    has them resampled.
    """
    buffer = io.BytesIO()
    metadata: dict[str, str | None] = {**texts}
    if path.suffix == ".svg":
        metadata["Date"] = None
        for image in figure.findobj(AxesImage):
            image.set_interpolation("none")
    figure.savefig(buffer, format=path.suffix[1:], metadata=metadata)
    write_atomically(path, buffer.getvalue())


def framed(axes: Axes) -> None:
    """Frame a picture: no ticks, a hair line around it, as paper is white on white."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(visible=True, linewidth=0.4, color="#BBBBBB")
