"""Charts that answer to the pointer: Vega-Lite by Altair, drawn by scripts within the page.

Colours are named, not told: `var(--blue)` is whatever the page's style makes of look.BLUE, so that
light and dark need no second chart.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import altair as alt
import vl_convert

from capsnet.report.figures import style

NAMES = ("BLACK", "ORANGE", "SKY", "GREEN", "BLUE", "VERMILION", "PURPLE", "GREY")
COLOURS = {getattr(style, name): f"var(--{name.lower()})" for name in NAMES}
INK, QUIET, HAIR, ACCENT = "var(--ink)", "var(--quiet)", "var(--hair)", "var(--accent)"
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, 'Liberation Sans', sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": QUIET,
        "titleColor": QUIET,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "gridColor": HAIR,
        "domainColor": QUIET,
        "tickColor": QUIET,
        "titlePadding": 8,
    },
}
TALL = 260  # pixels


class Chart(NamedTuple):
    """`spec` is Vega-Lite; `told` says in words what is drawn, for those who cannot see it."""

    name: str
    title: str
    told: str
    marks: list[str]
    spec: dict[str, Any]
    metrics: Sequence[str] = ()  # which of the curves' metrics it has


class Kind(NamedTuple):
    """A colour's meaning: a kind of network, a series of a sweep."""

    name: str
    colour: str


def drawn(*layers: alt.Chart, height: int = TALL, params: Sequence[alt.Parameter] = ()) -> Any:
    """Vega-Lite of `layers` on one another, as wide as the box that it will stand in."""
    chart = alt.layer(*layers).add_params(*params).properties(width="container", height=height)
    return chart.configure(**CONFIG).to_dict()


@cache
def script() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that defines `vegaEmbed`."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
