"""Charts in Vega-Lite, by Altair: one drawing for the page, which embeds it, and for PNG and SVG.

The files are the same bytes every time: vl_convert is given the fonts that come with matplotlib.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import matplotlib
import vl_convert
from jinja2 import Environment
from markupsafe import Markup

from capsnet.records.files import write_atomically
from capsnet.report.figures.style import HAIR, NAMED, QUIET, described, files

FONT = "DejaVu Sans"
HEIGHT = 240  # of a panel, in pixels, as are all sizes here
WIDTH = 340  # of a panel in a file, on the page it is as wide as its place allows
ALONE = 640  # of a panel without another beside it, so that title and caveats do not meet
LETTER = 5.9  # the mean width of a letter of the caption
DOTS = 2  # a pixel in a PNG, each way
TICKS = [digit * 10.0**power for power in range(-9, 5) for digit in (1, 1.5, 2, 3, 4, 5, 7)]
FRAME = Environment(autoescape=True, trim_blocks=True).from_string(
    (Path(__file__).parent / "frame.svg").read_text()
)
STEP = alt.X("step:Q", title="training step", axis=alt.Axis(tickCount=5))


class Panel(NamedTuple):
    """One pair of axes. `chart` has no width."""

    title: str
    chart: alt.LayerChart


class Chart(NamedTuple):
    """A figure's panels, in rows, and its texts; `caveats` are those of `report.runs`."""

    title: str
    caption: str
    caveats: list[str]
    rows: list[list[Panel]]
    own_legends: bool = False  # of each panel, in place of one for all


def layers(*marks: alt.Chart, height: int = HEIGHT) -> alt.LayerChart:
    """Draw `marks` on one another."""
    return alt.LayerChart(layer=[*marks], height=height)


def lines(
    values: Sequence[Mapping[str, Any]], dots: bool = True, **encoding: Any
) -> alt.LayerChart:
    """Draw a line for each `run` of the values, with dots that answer to the pointer."""
    chart = alt.Chart(alt.Data(values=values)).encode(detail="run:N", **encoding)
    points = [chart.mark_circle(size=25, opacity=1, tooltip=True)] if dots else []
    return layers(chart.mark_line(strokeWidth=1.5), *points)


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


def save_chart(stem: Path, chart: Chart) -> tuple[Path, Path]:
    """Write the chart as stem.png and stem.svg, its caveats at the top right."""
    vl_convert.register_font_directory(str(Path(matplotlib.get_data_path()) / "fonts/ttf"))
    svg = _framed(_numbered(vl_convert.vegalite_to_svg(_side_by_side(chart))), chart)
    png = vl_convert.svg_to_png(svg, scale=DOTS)
    for path, contents in zip(files(stem), (png, svg.encode()), strict=True):
        write_atomically(path, contents)
    return files(stem)


def _side_by_side(chart: Chart) -> dict[str, Any]:
    """Return the Vega-Lite of all panels."""
    width = WIDTH if max(map(len, chart.rows)) > 1 else ALONE
    how = "independent" if chart.own_legends else "shared"
    rows = [
        alt.hconcat(
            *(panel.chart.properties(title=panel.title, width=width) for panel in row)
        ).resolve_scale(color=how, strokeDash=how, opacity="independent")
        for row in chart.rows
    ]
    every = alt.vconcat(*rows).resolve_scale(color=how, strokeDash=how, opacity="independent")
    return every.configure(**config(FONT)).to_dict()


def _numbered(svg: str) -> str:
    """Count the names of clips from 0: Vega counts them on from one chart to the next."""
    names = dict.fromkeys(re.findall(r'id="(\w+)"', svg))
    places = {name: f"clip{place}" for place, name in enumerate(names)}
    return re.sub(r'(id="|url\(#)(\w+)', lambda found: found[1] + places[found[2]], svg)


def _framed(svg: str, chart: Chart) -> str:
    """Put the title and the caveats above a drawing, the caption below it."""
    sizes = re.findall(r' (?:width|height)="([\d.]+)"', svg.partition(">")[0])
    width, height = (round(float(size)) for size in sizes)
    wrapped = (textwrap.wrap(line, int(width / LETTER)) for line in chart.caption.splitlines())
    return FRAME.render(
        chart=chart,
        description=described(chart.caption, chart.caveats),
        drawing=Markup(svg),
        lines=[*chain.from_iterable(wrapped)],
        width=width + 24,
        bottom=height + 60,
        font=FONT,
        colours=NAMED,
    )
