"""The tables of a set of runs, in the order in which one reads them; for terminals and files."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from capsnet import paper
from capsnet.analysis.selection import exclude_demo, longest
from capsnet.errors import UserError
from capsnet.public_results import PUBLIC_RESULTS
from capsnet.questions import QUESTIONS
from capsnet.records.attacks import Attacks
from capsnet.records.routing_reports import RoutingReport
from capsnet.records.runs import Run
from capsnet.report.tables.affnist import equal_error_table
from capsnet.report.tables.attacks import attacks_table
from capsnet.report.tables.claims import claims_table
from capsnet.report.tables.comparisons import comparisons_table
from capsnet.report.tables.costs import costs_table, used_table
from capsnet.report.tables.equal_epochs import equal_epochs_table
from capsnet.report.tables.paper_tables import PaperRow, ablations_table, paper_table, state_table
from capsnet.report.tables.recipes import recipes_table
from capsnet.report.tables.routing import routing_tables
from capsnet.report.tables.rows import Runs
from capsnet.report.tables.runs_table import runs_table
from capsnet.report.tables.speed import speed_tables
from capsnet.report.tables.status import status_table
from capsnet.report.tables.sweep import sweep_tables
from capsnet.report.tables.table import Table, markdown


def tables(runs: Runs) -> list[Table[Any]]:
    """Make the paper's tables, that of its claims, what the paper does not have, and every run."""
    claims = claims_table(runs, paper.CLAIMS)
    return [*paper_tables(runs), claims, *extra_tables(runs), runs_table(runs)]


def extra_tables(runs: Runs) -> list[Table[Any]]:
    """Make the tables that the paper does not have, where there is anything to show."""
    return [one for one in (ablations_table(runs), equal_error_table(runs)) if one.rows]


def paper_tables(runs: Runs) -> list[Table[PaperRow]]:
    """Make the paper's tables."""
    return [paper_table(runs, table) for table in paper.TABLES]


def document(runs: Runs, title: str) -> str:
    """Write a page of Markdown: all `tables`."""
    return f"# {title}\n\n" + sections(tables(runs), "##")


def sections(tables: Iterable[Table[Any]], mark: str) -> str:
    """Write each table in Markdown under its title."""
    return "\n".join(f"{mark} {table.title}\n\n{markdown(table)}" for table in tables)


def generated(
    runs: Runs,
    others: Runs,
    benchmarks: Sequence[Path],
    routed: Iterable[RoutingReport] = (),
    attacks: Sequence[Attacks] = (),
) -> dict[str, dict[str, str]]:
    """Return the generated Markdown of each documentation file, by the name of its marks.

    README.md gets the state of every row of the paper, docs/results.md the tables of the longest
    of `runs` of each experiment, of claims, recipes, sweeps and costs, docs/speed.md the tables of
    the JSON files `benchmarks`, docs/routing.md answers to questions and those of the reports
    `routed`, except the demo's, and docs/robustness.md that of `attacks`. Runs of `others` are
    shown as sweeps alone, never as rows of the paper's tables; their hours are counted.
    """
    known = [
        status_table(exclude_demo(runs)),
        *paper_tables(longest(runs)),
        equal_epochs_table(runs, PUBLIC_RESULTS),
        claims_table(exclude_demo(runs), paper.CLAIMS),
        *extra_tables(exclude_demo(runs)),
        recipes_table(runs),
        *_sweeps(others),
        used_table([run.record for run in (*runs, *others)]),
        costs_table(benchmarks),
    ]
    shown = [one for one in routed if "demo" not in one.network.caveats]
    speeds = [sections(speed_tables(json.loads(path.read_text())), "###") for path in benchmarks]
    return {
        "README.md": {"state": markdown(state_table(longest(runs)))},
        "docs/results.md": {"tables": sections(known, "###")},
        "docs/speed.md": {"speed": "\n".join(speeds)},
        "docs/routing.md": {
            "questions": sections([comparisons_table(exclude_demo(runs), QUESTIONS)], "###"),
            "routing": sections(routing_tables(shown), "###"),
        },
        "docs/robustness.md": {"attacks": markdown(attacks_table(attacks))},
    }


def _sweeps(runs: Runs) -> list[Table[Any]]:
    """Make the tables of each sweep, whose runs are somewhere below sweeps/NAME."""
    sweeps: dict[str, list[Run]] = {}
    for run in runs:
        if "sweeps" in run.path.parts:
            name = run.path.parts[run.path.parts.index("sweeps") + 1]
            sweeps.setdefault(name, []).append(run)
    return [table for found in sweeps.values() for table in sweep_tables(found)]


def updated(name: str, text: str, contents: Mapping[str, str]) -> str:
    """Replace what is between the marks of each of `contents` in `text`, the file `name`.

    Raises UserError when the file lacks a pair of marks.
    """
    for mark, content in contents.items():
        begin = f"<!-- {mark}: `python -m capsnet.report readme` -->\n"
        end = f"<!-- end of {mark} -->"
        before, found, rest = text.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise UserError(f"{name} lacks its marks: it needs a line {begin.strip()}, later {end}")
        text = f"{before}{begin}\n{content}\n{end}{after}"
    return text
