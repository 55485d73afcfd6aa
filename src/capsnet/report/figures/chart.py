"""Charts in Vega-Lite, by Altair: one drawing for the page, which embeds it, and for PNG and SVG.

The files are the same bytes every time: vl_convert is given the fonts that come with matplotlib.
"""

import io
import re
import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import matplotlib
import vl_convert
from jinja2 import Environment
from markupsafe import Markup
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from capsnet.records.files import write_atomically
from capsnet.report.figures.style import HAIR, QUIET, VERMILION, described, files

FONT = "DejaVu Sans"
HEIGHT = 240  # of a panel, in pixels, as are all sizes here
WIDTH = 340  # of a panel in a file, on the page it is as wide as its place allows
ALONE = 640  # of a panel without another beside it, so that title and caveats do not meet
EDGE, TOP = 12, 44  # the margins, and the space for the title
LINE, LETTER = 16, 5.9  # of the caption: the height of a line, the mean width of a letter
DOTS = 2  # a pixel in a PNG, each way
TICKS = [digit * 10.0**power for power in range(-9, 5) for digit in (1, 1.5, 2, 3, 4, 5, 7)]
FRAME = Environment(autoescape=True, trim_blocks=True).from_string(
    """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
width="{{ width }}" height="{{ bottom + line * caption | length }}" font-family="{{ font }}">
<title>{{ title }}</title><desc>{{ description }}</desc>
<rect width="100%" height="100%" fill="white"/>
<text x="{{ edge }}" y="24" font-size="15" font-weight="bold">{{ title }}</text>
<text x="{{ width - edge }}" y="24" font-size="15" font-weight="bold" text-anchor="end"
 fill="{{ red }}">{{ caveats | join(" · ") }}</text>
{{ drawing }}
{% for words in caption %}
<text x="{{ edge }}" y="{{ bottom + line * loop.index0 }}" font-size="11"
 fill="{{ quiet }}">{{ words }}</text>
{% endfor %}
</svg>
"""
)


class Panel(NamedTuple):
    """One pair of axes. `chart` has no width."""

    title: str
    chart: alt.LayerChart


class Chart(NamedTuple):
    """A figure's panels, in rows, and its texts; `caveats` are those of `analysis.runs`."""

    title: str
    caption: str
    caveats: list[str]
    rows: list[list[Panel]]
    own_legends: bool = False  # of each panel, in place of one for all

    @property
    def panels(self) -> list[Panel]:
        """Give the panels of all rows."""
        return [panel for row in self.rows for panel in row]


def layers(*marks: alt.Chart, height: int = HEIGHT) -> alt.LayerChart:
    """Draw `marks` on one another."""
    return alt.LayerChart(layer=[*marks], height=height)


def colours(field: str, by_name: Mapping[str, str]) -> alt.Color:
    """Colour by a field whose values are the keys of `by_name`; a single one needs no legend."""
    scale = alt.Scale(domain=[*by_name], range=[*by_name.values()])
    legend = alt.Legend(title=None) if len(by_name) > 1 else None
    return alt.Color(f"{field}:N", scale=scale, legend=legend)


def logarithmic(title: str | None) -> dict[str, Any]:
    """Return the options of a logarithmic axis, which labels as many of TICKS as fit."""
    scale = alt.Scale(type="log", nice=False, padding=10)
    axis = alt.Axis(format="~g", values=TICKS, labelOverlap="greedy", labelSeparation=5)
    return {"scale": scale, "axis": axis, "title": title}


def config(font: str) -> dict[str, Any]:
    """Return Vega-Lite's style of every chart."""
    axis = {"labelColor": QUIET, "titleColor": QUIET, "domainColor": QUIET, "tickColor": QUIET}
    sizes = {"labelFontSize": 12, "titleFontSize": 12, "titlePadding": 8}
    legend = {"orient": "bottom", "direction": "vertical", "labelLimit": 0, "labelColor": QUIET}
    return {
        "background": "transparent",
        "font": font,
        "view": {"stroke": None},
        "title": {"anchor": "start", "frame": "group", "fontSize": 13, "color": QUIET},
        "axis": axis | sizes | {"titleFontWeight": "normal", "gridColor": HAIR},
        "axisX": {"grid": False},
        "legend": legend | {"labelFontSize": 12, "symbolOpacity": 1, "rowPadding": 4},
    }


def save_chart(stem: Path, chart: Chart) -> None:
    """Write the chart as stem.png and stem.svg, its caveats at the top right.

    Title, caption and caveats are also in the files' metadata, for readers who cannot see.
    """
    register_font()
    svg = _framed(_numbered(vl_convert.vegalite_to_svg(specification(chart))), chart)
    png = _with_texts(vl_convert.svg_to_png(svg, scale=DOTS), chart)
    for path, contents in zip(files(stem), (png, svg.encode()), strict=True):
        write_atomically(path, contents)


@cache
def register_font() -> None:
    """Make vl_convert measure and draw text as on any other machine."""
    vl_convert.register_font_directory(str(Path(matplotlib.get_data_path()) / "fonts/ttf"))


def specification(chart: Chart) -> dict[str, Any]:
    """Give the Vega-Lite of all panels of a file."""
    width = WIDTH if max(map(len, chart.rows)) > 1 else ALONE
    rows = [
        alt.hconcat(*(panel.chart.properties(title=panel.title, width=width) for panel in row))
        for row in chart.rows
    ]
    how = "independent" if chart.own_legends else "shared"
    return (
        alt.vconcat(*(row.resolve_scale(color=how, strokeDash=how) for row in rows))
        .resolve_scale(color=how, strokeDash=how)
        .configure(**config(FONT))
        .to_dict()
    )


def _numbered(svg: str) -> str:
    """Count the names of clips from 0: Vega counts them on from one chart to the next."""
    names = dict.fromkeys(re.findall(r'id="(\w+)"', svg))
    places = {name: f"clip{place}" for place, name in enumerate(names)}
    return re.sub(r'(id="|url\(#)(\w+)', lambda found: found[1] + places[found[2]], svg)


def _framed(svg: str, chart: Chart) -> str:
    """Put the title and the caveats above a chart, the caption below it."""
    width, height = (
        round(float(one))
        for one in re.findall(r' (?:width|height)="([\d.]+)"', svg.partition(">")[0])
    )
    lines = [
        line
        for part in chart.caption.splitlines()
        for line in textwrap.wrap(part, int(width / LETTER))
    ]
    description = described(chart.caption, chart.caveats)
    return FRAME.render(
        **chart._asdict() | {"caption": lines, "description": description},
        drawing=Markup(svg.replace("<svg ", f'<svg x="{EDGE}" y="{TOP}" ', 1)),
        **{"width": width + 2 * EDGE, "edge": EDGE, "line": LINE, "bottom": TOP + height + LINE},
        **{"font": FONT, "red": VERMILION, "quiet": QUIET},
    )


def _with_texts(png: bytes, chart: Chart) -> bytes:
    texts, buffer = PngInfo(), io.BytesIO()
    texts.add_itxt("Title", chart.title)
    texts.add_itxt("Description", described(chart.caption, chart.caveats))
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(buffer, "PNG", pnginfo=texts)
    return buffer.getvalue()
