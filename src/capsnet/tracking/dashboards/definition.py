"""Define the workspace and the report, without contacting the server."""

from dataclasses import dataclass
from typing import Any

import wandb_workspaces.reports.v2.interface as wr
import wandb_workspaces.workspaces as ws

from capsnet.paper import TABLES
from capsnet.tracking.dashboards import bars
from capsnet.tracking.metrics import Metric, metrics
from capsnet.tracking.wandb_summary import CONFUSED, CONFUSION, TABLE

KIND = ("recipe.name", "identity.config")  # where these agree, so do all values but the seed


@dataclass(frozen=True)
class Place:
    """Name the account and project of a dashboard, and the schedule of the runs that it shows."""

    entity: str
    project: str
    schedule: str

    @property
    def title(self) -> str:
        """Name the schedule, and say when its runs get no verdict."""
        short = "" if self.schedule == "paper" else ": no verdict, not the paper's schedule"
        return f"CapsNet, schedule {self.schedule}{short}"

    @property
    def chart(self) -> str:
        """Return the name by which panels refer to the bars."""
        return f"{self.entity}/{bars.name()}"


def sections(place: Place) -> dict[str, list[Any]]:
    """List all panels under their headings."""
    return {
        "The paper's tables": [_bars(place, table.title) for table in TABLES],
        "Error against routing iterations": [
            _over_iterations("test/error", "test error after the last step"),
            _over_iterations("train/loss", "training loss at the last step"),
        ],
        **_logged(),
        "Pictures": [
            wr.MediaBrowser(title="reconstructions", media_keys=["reconstructions"]),
            _table(CONFUSION, "test/confusion_table", CONFUSED),
        ],
    }


def _logged() -> dict[str, list[Any]]:
    """Draw the table of metrics, a section for each of its headings."""
    found: dict[str, list[Any]] = {}
    for metric in metrics():
        if metric.section is not None:
            found.setdefault(metric.section, []).append(_panel(metric))
    return found


def _panel(metric: Metric) -> wr.LinePlot | wr.BarPlot:
    title = f"{metric.title} ({metric.remark})" if metric.remark else metric.title
    return (
        _lines(title, metric.name)
        if metric.value is None
        else wr.BarPlot(title=title, metrics=[metric.name])
    )


def _bars(place: Place, table: str) -> wr.CustomChart:
    strings = {"title": bars.TITLES[table], "table": table}
    return _table(place.chart, TABLE, bars.FIELDS, strings)


def _table(chart: str, key: str, columns: tuple[str, ...], strings: Any = None) -> wr.CustomChart:
    """Build a Vega chart of the tables that runs logged as `key`."""
    return wr.CustomChart(
        query={"summaryTable": {"tableKey": key}},
        chart_name=chart,
        chart_fields={column: column for column in columns},
        chart_strings=strings or {},
    )


def _over_iterations(metric: str, title: str) -> wr.ScatterPlot:
    iterations = wr.Config("model.routing_iterations")
    return wr.ScatterPlot(title=title, x=iterations, y=wr.SummaryMetric(metric))


def _lines(title: str, metric: str) -> wr.LinePlot:
    """Over images seen; runs are grouped as the run set says, with their standard deviation."""
    return wr.LinePlot(
        title=title,
        x="images_seen",
        y=[metric],
        title_x="images seen",
        groupby_aggfunc="mean",
        groupby_rangefunc="stddev",
    )


def workspace(place: Place) -> ws.Workspace:
    """Build every section of one schedule's training runs, by experiment and kind."""
    return ws.Workspace(
        entity=place.entity,
        project=place.project,
        name=place.title,
        sections=[
            ws.Section(name=name, panels=panels, is_open=True)
            for name, panels in sections(place).items()
        ],
        settings=ws.WorkspaceSettings(x_axis="images_seen", max_runs=30),
        runset_settings=ws.RunsetSettings(
            filters=_chosen(place),
            groupby=[ws.Metric("Group"), *map(ws.Config, KIND)],
            pinned_columns=["summary:test/error", "summary:steps_done", "config:seed.value"],
        ),
    )


def _chosen(place: Place) -> ws.And:
    return ws.And(ws.Tags().isin([place.schedule]), ws.Metric("JobType") == "train")


def report(place: Place) -> wr.Report:
    """Build a report of the same sections, after the paper's numbers."""
    blocks: list[Any] = [wr.TableOfContents(), wr.MarkdownBlock(_words(place))]
    for name, panels in sections(place).items():
        runs = wr.Runset(
            name=place.title,
            filters=_chosen(place),
            groupby=["group", *(f"config.{key}" for key in KIND)],
        )
        blocks += [wr.H2(name), wr.PanelGrid(runsets=[runs], panels=panels)]
    return wr.Report(
        entity=place.entity,
        project=place.project,
        title=place.title,
        description="Sabour, Frosst, Hinton 2017: Dynamic Routing Between Capsules, reproduced",
        blocks=blocks,
        width="fluid",
    )


def _words(place: Place) -> str:
    numbers = [
        f"| {table.title} | {row.name} | {row.error_percent} |"
        for table in TABLES
        for row in table.rows
    ]
    head = ["| table | row | the paper's test error, % |", "| --- | --- | --- |"]
    about = (
        f"Training runs of the schedule *{place.schedule}*. Runs that differ in their seed alone "
        "are one line, with their standard deviation. W&B shows; the verdicts come from the "
        "records in git: `python -m capsnet.report table`."
    )
    return "\n".join([about, "", *head, *numbers])


def definition(place: Place) -> dict[str, Any]:
    """Return all that would be uploaded, as JSON's types."""
    built = {"workspace": workspace(place), "report": report(place)}
    models = {
        name: one._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)
        for name, one in built.items()
    }
    return models | {"chart": bars.spec()}
