"""`python -m capsnet.report page`: all that is known of a profile, as one file for a browser."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from capsnet import paper
from capsnet.analysis.selection import exclude_demo
from capsnet.records.record import Record
from capsnet.records.runs import Run, read_runs
from capsnet.report.figures.comparison import TITLE, comparison
from capsnet.report.figures.draw import charts
from capsnet.report.figures.sweep import figure_sweep
from capsnet.report.figures.training_curves import SMOOTHED, metrics
from capsnet.report.runs import (
    caveats,
    counted,
    exclude_mnist_ablations,
    no_results,
    runs_below,
)
from capsnet.report.tables.claims import claims_table
from capsnet.report.tables.costs import costs_table
from capsnet.report.tables.document import extra_tables, paper_tables
from capsnet.report.tables.paper_tables import PaperRow
from capsnet.report.tables.runs_table import runs_table as every_run
from capsnet.report.tables.status import status_table
from capsnet.report.tables.sweep import REMARK, Sweep, means_table, runs_table, sweep_of
from capsnet.report.tables.table import Table
from capsnet.report.web import images
from capsnet.report.web.caveats import caveats as page_caveats
from capsnet.report.web.caveats import summary
from capsnet.report.web.charts import Embedded, curves, embedded, last, networks, script, spec
from capsnet.report.web.facts import hours, table_caveats
from capsnet.report.web.render import rendered

CITATION = Path(__file__).with_name("CITATION.bib")
SECTIONS = {
    "caveats": "Caveats",
    "status": "Decided and open",
    "results": "Results",
    "claims": "Claims",
    "extras": "Not in the paper",
    "training": "Training",
    "sweep": "Sweep",
    "figures": "Figures",
    "failures": "Failures",
    "data": "Data",
    "runs": "Runs",
    "cost": "Cost of the paper's schedule",
    "cite": "How to cite",
}


def page(folder: Path, swept: Path | None = None) -> str:
    """Return the page of the records in `folder` and of the sweep in `swept`.

    Figures, contact sheets and benchmarks are those beside `folder`; the page says which it lacks.
    Raises UserError when there are no records, or no sweep where one is named.
    """
    if not (runs := read_runs(folder)):
        raise no_results(folder)
    found = sweep_of(runs_below(swept, "**/record.json")) if swept else None
    known = results(runs)
    optional = {"status": known["status"], "extras": known["extras"], "sweep": found}
    absent = {name for name, shown in optional.items() if not shown}
    return rendered(
        head(folder, [run.record for run in runs], absent)
        | known
        | training(runs)
        | {"swept": sweep_section(found) if found else None, "library": Markup(script())}
        | beside(folder)
    )


def head(folder: Path, records: Sequence[Record], absent: set[str]) -> dict[str, Any]:
    """Return the head of the page: whose numbers these are, and how far they can be trusted.

    `absent` are the SECTIONS that the page lacks.
    """
    found = page_caveats(records)
    trained = hours(sum(one.train_seconds for one in records))
    experiments = counted(len({one.experiment for one in records}), "experiment")
    return {
        "profile": folder.name,
        "sections": {name: words for name, words in SECTIONS.items() if name not in absent},
        "caveats": found,
        "summary": summary(found),
        "counted": f"{counted(len(records), 'run')} of {experiments}",
        "took": f"{counted(len(records), 'run')}, {trained} of training in all.",
        "paper_url": paper.URL,
        "bibtex": CITATION.read_text().strip(),
    }


def results(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the tables, the paper's each with a chart where anything was run.

    What is decided and open has no meaning for the demo's runs.
    """
    real = exclude_demo(runs)
    return {
        "margins": ", ".join(f"{table.title} {table.margin:g}" for table in paper.TABLES),
        "status": status_table(real) if real else None,
        "tables": [(one, compared(one)) for one in paper_tables(runs)],
        "claims": claims_table(runs, paper.CLAIMS),
        "extras": extra_tables(runs),
        "every_run": every_run(runs, "Every run"),
    }


def compared(table: Table[PaperRow]) -> Embedded | None:
    """Chart one of the paper's tables. None where nothing was run."""
    chart = comparison(table)
    words = f"{table.title}: the paper's number and ours with its interval, as in the table below."
    name = f"compared-{table.rows[0].result.experiment}"
    return chart and Embedded(name, TITLE, words, table_caveats(table), spec(chart))


def training(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the parts made from arrays: curves, figures and failures."""
    drawn = exclude_mnist_ablations(runs)
    return {
        "curves": curves(drawn),
        "metrics": metrics(drawn),
        "networks": networks(drawn),
        "last": last(runs),
        "smoothed": SMOOTHED,
        "charts": [
            (chart, embedded(name, chart))
            for name, chart in charts(drawn).items()
            if name != "curves"  # the page has them to choose from
        ],
        "galleries": images.shown_failing(runs),
    }


def sweep_section(sweep: Sweep) -> dict[str, Any]:
    """Return a sweep's charts and numbers."""
    return {
        "charts": embedded("sweep", figure_sweep(sweep)),
        "caveats": caveats(sweep.runs),
        "description": f"Swept: {sweep.label}. {REMARK}",
        "tables": [means_table(sweep), runs_table(sweep)],
    }


def beside(folder: Path) -> dict[str, Any]:
    """Return the parts that other commands made: figures, contact sheets, a benchmark."""
    return {
        "figures": images.figures(folder.with_name(f"{folder.name}-figures")),
        "sheets": images.sheets(folder.with_name(f"{folder.name}-data")),
        "costs": costs_table((folder.parent / "benchmark").glob("*.json")),
    }
