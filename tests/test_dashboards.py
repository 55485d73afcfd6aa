"""The workspace and the report: what they name is logged, and what is uploaded is that."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capsnet import paper
from conftest import Shown
from helpers.running import output
from helpers.wandb_server import serving

pytestmark = pytest.mark.slow

KEY = "a" * 40


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody without an account."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def written(home: Path) -> tuple[dict[str, Any], str]:
    """Return what the command writes without an account, and what it prints."""
    about = {"HOME": str(home), "WANDB_API_KEY": "", "WANDB_BASE_URL": "https://wandb.example"}
    code, printed = output("tracking.dashboards", cwd=home, **about)
    assert code == 0, printed
    return json.loads((home / "results" / "dashboards.json").read_text()), printed


def panels(part: Any) -> Iterator[dict[str, Any]]:
    """All panels anywhere in a definition."""
    if isinstance(part, dict):
        if "viewType" in part:
            yield part
        else:
            for inner in part.values():
                yield from panels(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from panels(inner)


def tables(panel: dict[str, Any]) -> list[str]:
    """The keys of the tables that a chart asks for."""
    [runs] = panel["config"]["userQuery"]["queryFields"]
    return [arg["value"] for one in runs["fields"] for arg in one.get("args", [])]


def metrics(panel: dict[str, Any]) -> set[str]:
    """Return the metrics of a panel, by the names under which runs log them."""
    about = panel["config"]
    match panel["viewType"]:
        case "Run History Line Plot":
            return {about["xAxis"], *about["metrics"]}
        case "Bar Chart":
            return set(about["metrics"])
        case "Scatter Plot":
            assert about["xAxis"] == "config:model.value.routing_iterations"
            return {about["yAxis"].removeprefix("summary:")}
        case "Media Browser":
            return {f"{key}.filenames" for key in about["mediaKeys"]}
        case "Vega2":
            return {f"{key}.path" for key in tables(panel)}
        case other:
            raise AssertionError(other)


@pytest.mark.parametrize("part", ["workspace", "report"])
def test_every_panel_shows_what_runs_log(
    part: str, written: tuple[dict[str, Any], str], shown: dict[str, Shown]
) -> None:
    logged = {
        name
        for run in shown.values()
        for row in [*run.page.history, run.page.summary]
        for name in row
    }
    named = {name for panel in panels(written[0][part]) for name in metrics(panel)}
    assert named <= logged, "named by a panel and logged by no run"
    curves = ("train/", "validation/", "routing/", "learning_rate")
    drawn = {name for name in logged if name.startswith(curves)}
    assert drawn <= named, "logged and shown by no panel"
    assert shown["mnist_capsnet_r3_recon"].page.config["model"]["routing_iterations"] == 3


def test_charts_ask_for_columns_that_the_tables_have(
    written: tuple[dict[str, Any], str], shown: dict[str, Shown]
) -> None:
    page = shown["mnist_capsnet_r3_recon"].page
    charts = [panel for panel in panels(written[0]) if panel["viewType"] == "Vega2"]
    assert len(charts) == 2 * (len(paper.TABLES) + 1)
    for chart in charts:
        [key] = tables(chart)
        assert set(chart["config"]["fieldSettings"].values()) <= set(page.table(key)[0])


def test_the_bars_have_a_line_at_each_number_of_the_paper(
    written: tuple[dict[str, Any], str],
) -> None:
    chart = written[0]["chart"]
    open_names = set(re.findall(r"\$\{(\w+):(\w+)\}", json.dumps(chart)))
    panes = [panel["config"] for panel in panels(written[0]["workspace"])]
    panes = [pane for pane in panes if "table" in pane.get("stringSettings", {})]
    assert [pane["stringSettings"]["table"] for pane in panes] == [
        table.title for table in paper.TABLES
    ]
    for pane in panes:
        filled = {(kind, name) for kind in ("field", "string") for name in pane[f"{kind}Settings"]}
        assert filled == open_names
    expected = [
        {"table": table.title, "row": row.name, "paper_percent": row.error_percent}
        for table in paper.TABLES
        for row in table.rows
    ]
    bars, lines = chart["layer"]
    assert (bars["mark"]["type"], lines["mark"]["type"]) == ("bar", "rule")
    assert lines["data"]["values"] == expected
    across = [layer["encoding"]["x"]["field"] for layer in (bars, lines)]
    assert across == ["${field:error_percent}", "paper_percent"]


def test_runs_of_other_schedules_and_kinds_are_never_pooled(
    written: tuple[dict[str, Any], str],
) -> None:
    told = written[0]
    [chosen] = told["workspace"]["spec"]["section"]["runSets"]
    grids = [part for part in told["report"]["spec"]["blocks"] if part["type"] == "panel-grid"]
    for runs in [chosen, *(runs for grid in grids for runs in grid["metadata"]["runSets"])]:
        filters = {one["key"]["name"]: one["value"] for one in runs["filters"]["filters"]}
        assert filters == {"tags": ["paper"], "jobType": "train"}
        groups = [key["name"] for key in runs["grouping"]]
        assert groups == ["group", "recipe.value.name", "identity.value.config"]


def test_without_an_account_one_sentence_says_so(
    written: tuple[dict[str, Any], str],
) -> None:
    assert written[1].strip() == (
        "No account on wandb.example is known, so nothing was uploaded: the definition is in "
        "results/dashboards.json, and after `wandb login` the same command uploads it"
    )


def test_with_an_account_the_same_is_uploaded(
    written: tuple[dict[str, Any], str], home: Path
) -> None:
    with serving() as server:
        about = {"HOME": str(home), "WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url}
        code, printed = output("tracking.dashboards", cwd=home, **about)
    assert code == 0, printed
    report, workspace = server.sent["upsertView"]
    [chart] = server.sent["createCustomChart"]
    for view, part in ((report, "report"), (workspace, "workspace")):
        assert (view["entityName"], view["projectName"]) == ("me", "capsnet")
        sent, expected = json.loads(view["spec"]), written[0][part]["spec"]
        assert [metrics(panel) for panel in panels(sent)] == [
            metrics(panel) for panel in panels(expected)
        ]
    assert json.loads(chart["spec"]) == written[0]["chart"]
    named = f"{chart['entity']}/{chart['chartName']}"
    used = {panel["config"].get("panelDefId") for panel in panels(json.loads(workspace["spec"]))}
    assert used == {None, named, "wandb/confusion_matrix/v1"}
    assert printed.count(server.url) == 2


def test_a_refusal_gets_a_sentence(home: Path) -> None:
    with serving() as server:
        server.refused = {"upsertView"}
        about = {"HOME": str(home), "WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.url}
        code, printed = output("tracking.dashboards", cwd=home, **about)
    assert code == 1
    [line] = printed.strip().splitlines()
    assert line.startswith("error: 127.0.0.1:")
    assert "did not take it" in line
    assert "no, not that" in line
