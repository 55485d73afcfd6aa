"""Charts within the page: the panels of figures as Vega-Lite that answers to the pointer."""

import json
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import altair as alt
import vl_convert

from capsnet.report.figures.chart import Chart, config
from capsnet.report.figures.style import NAMED

FONT = "system-ui, 'Liberation Sans', sans-serif"


class Embedded(NamedTuple):
    """`spec` is Vega-Lite; `description` says in words what is drawn, for those who cannot see."""

    name: str
    title: str
    description: str
    caveats: list[str]
    spec: dict[str, Any]
    metrics: Sequence[str] = ()  # which of the training curves' metrics it has


def embedded(name: str, chart: Chart) -> list[Embedded]:
    """Embed each panel of a chart by itself, so that a narrow screen has them below one another."""
    description = f"{chart.title}: {chart.caption}"
    return [
        Embedded(f"{name}-{place}", panel.title, description, [], spec(panel.chart))
        for place, panel in enumerate(chain.from_iterable(chart.rows))
    ]


def spec(chart: alt.LayerChart) -> dict[str, Any]:
    """Give Vega-Lite as wide as its place on the page.

    `var(--blue)` is what the page's style makes of BLUE, so light and dark need no second chart.
    """
    text = json.dumps(chart.properties(width="container").configure(**config(FONT)).to_dict())
    for name, colour in NAMED.items():
        text = text.replace(f'"{colour}"', f'"var(--{name})"')
    return json.loads(text)


@cache
def script() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script that defines `vegaEmbed`."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
