"""Charts within the page, as Vega-Lite that answers to the pointer: panels of figures, curves."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import altair as alt
import vl_convert

from capsnet.records.runs import Run
from capsnet.report.figures.chart import Chart, config
from capsnet.report.figures.style import NAMED
from capsnet.report.figures.training_curves import called, choices, logged, metrics, series
from capsnet.report.runs import by_dataset, caption, caveats
from capsnet.report.tables.table import Column, Table
from capsnet.report.web.render import slug

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
    """Return Vega-Lite as wide as its place on the page.

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


def curves(runs: Sequence[Run]) -> list[Embedded]:
    """Draw all that was logged; the page's form sets which metric and which networks are shown."""
    able = [run for run in runs if logged(run)]
    shown = next(iter(metrics(able)), "")
    return [
        Embedded(
            f"curves-{slug(name)}",
            name,
            f"Training curves on {name}: {caption(group)}.",
            caveats(group),
            spec(choices(name, able, shown)),
            [*metrics(group)],
        )
        for name, group in by_dataset(able).items()
    ]


def networks(runs: Sequence[Run]) -> dict[str, str]:
    """Return the page's name for the colour of each network that has curves, baselines first."""
    names = {colour: f"var(--{name})" for name, colour in NAMED.items()}
    able = [run for run in runs if logged(run)]
    return {label: names[colour] for label, colour in series(able).items()}


def last(runs: Sequence[Run]) -> Table[Run]:
    """Tabulate what was logged last of each metric, for each run that has curves."""
    values = [Column(words, _last(name)) for name, words in metrics(runs).items()]
    columns = [Column("run", called, "text"), *values]
    return Table("Last values", columns, [run for run in runs if logged(run)])


def _last(metric: str) -> Callable[[Run], str | None]:
    return lambda run: f"{logged(run)[metric][-1, 1]:.4g}" if metric in logged(run) else None
