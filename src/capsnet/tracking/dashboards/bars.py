"""The paper's tables as bars of our runs, with a line at each of the paper's numbers."""

import hashlib
import json
from typing import Any

from capsnet.paper import TABLES, PaperTable

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
LEGEND = {"title": "bars: ours, mean over seeds", "orient": "bottom", "columns": 1, "labelLimit": 0}
FIELDS = ("table", "row", "run", "error_percent")  # columns of `wandb_summary.ROWS`


def title(table: PaperTable) -> str:
    """Head the chart of a table, and name an ensemble, as the bars are single networks."""
    together = max(row.ensemble for row in table.rows)
    whose = f"the paper's ensemble of {together}" if together > 1 else "the paper's"
    return f"{table.title} test error, %; lines: {whose}"


TITLES = {one.title: title(one) for one in TABLES}


def published() -> list[dict[str, Any]]:
    """List every number of the paper, whether it was run or not."""
    return [
        {"table": table.title, "row": row.name, "paper_percent": row.error_percent}
        for table in TABLES
        for row in table.rows
    ]


def spec() -> dict[str, Any]:
    """Build a Vega-Lite chart of the table that W&B is to fill in for `${string:table}`.

    A bar is the mean over the seeds of one kind of run, as W&B hands over their
    `wandb_summary.TABLE`; a line, one of the `published` numbers.
    """
    order = list(dict.fromkeys(number["row"] for number in published()))
    row = {"type": "nominal", "title": None, "sort": order, "axis": {"labelLimit": 0}}
    error = {"type": "quantitative", "title": "test error, %"}
    kind = {"field": "${field:run}", "type": "nominal", "legend": LEGEND}
    bars = {
        "data": {"name": "wandb"},
        "transform": [{"filter": "datum['${field:table}'] == '${string:table}'"}],
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "y": row | {"field": "${field:row}"},
            "yOffset": {"field": "${field:run}"},
            "x": error | {"field": "${field:error_percent}", "aggregate": "mean"},
            "color": kind,
        },
    }
    lines = {
        "data": {"values": published()},
        "transform": [{"filter": "datum.table == '${string:table}'"}],
        "mark": {"type": "rule", "size": 3, "color": "#777777", "tooltip": True},
        "encoding": {
            "y": row | {"field": "row", "bandPosition": 0},
            "y2": {"field": "row", "bandPosition": 1},
            "x": error | {"field": "paper_percent"},
        },
    }
    size = {"width": "container", "height": "container"}
    return {"$schema": SCHEMA, "title": "${string:title}", **size, "layer": [bars, lines]}


def name() -> str:
    """Return the chart's name in an account: another after each change, as none can be edited."""
    digest = hashlib.sha256(json.dumps(spec(), sort_keys=True).encode()).hexdigest()
    return f"capsnet-paper-{digest[:8]}"
