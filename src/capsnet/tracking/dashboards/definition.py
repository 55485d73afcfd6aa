"""The workspace and the report: what is shown, without a word to the server."""

from dataclasses import dataclass
from typing import Any

import wandb_workspaces.reports.v2.interface as wr
import wandb_workspaces.workspaces as ws

from capsnet.paper import TABLES
from capsnet.tracking.dashboards import bars
from capsnet.tracking.wandb_summary import CONFUSED, CONFUSION, TABLE

KIND = ("recipe.name", "identity.config")  # where these agree, so do all values but the seed


@dataclass(frozen=True)
class Place:
    """Where it goes, and of which schedule the runs are that it shows."""

    entity: str
    project: str
    schedule: str

    @property
    def title(self) -> str:
        """Also says when the runs cannot speak for or against the paper."""
        short = "" if self.schedule == "paper" else ": no verdict, not the paper's schedule"
        return f"CapsNet, schedule {self.schedule}{short}"

    @property
    def chart(self) -> str:
        """The bars, as panels name them."""
        return f"{self.entity}/{bars.name()}"


def sections(place: Place) -> dict[str, list[Any]]:
    """All panels, under their headings."""
    return {
        "The paper's tables": [_bars(place, table.title) for table in TABLES],
        "Error against routing iterations": [
            _over_iterations("test/error", "test error after the last step"),
            _over_iterations("train/loss", "training loss at the last step"),
        ],
        "Loss and error": [
            _lines("training loss", "train/loss"),
            _lines("margin loss", "train/margin"),
            _lines("reconstruction loss", "train/reconstruction"),
            _lines("cross-entropy of the baselines", "train/cross_entropy"),
            _lines("error on held-out training digits", "validation/error"),
            _lines("learning rate", "learning_rate"),
        ],
        "Routing": [
            _lines(f"mean |Δb| of iteration {iteration}", f"routing/change_{iteration}")
            for iteration in (1, 2, 3)
        ],
        "Throughput": [
            _lines("images a second", "train/images_per_second"),
            wr.BarPlot(title="images a second, whole training", metrics=["images_per_second"]),
        ],
        "Pictures": [
            wr.MediaBrowser(title="reconstructions", media_keys=["reconstructions"]),
            _table(CONFUSION, "test/confusion_table", CONFUSED),
        ],
    }


def _bars(place: Place, table: str) -> wr.CustomChart:
    strings = {"title": bars.TITLES[table], "table": table}
    return _table(place.chart, TABLE, bars.FIELDS, strings)


def _table(chart: str, key: str, columns: tuple[str, ...], strings: Any = None) -> wr.CustomChart:
    """A Vega chart of the tables that runs logged as `key`."""
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
    """Every section of one schedule's training runs, by experiment and kind."""
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
    """The same sections as a text, after the paper's numbers."""
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
    """All that would be uploaded, as JSON's types."""
    built = {"workspace": workspace(place), "report": report(place)}
    models = {
        name: one._to_model().model_dump(mode="json", by_alias=True, exclude_none=True)
        for name, one in built.items()
    }
    return models | {"chart": bars.spec()}
