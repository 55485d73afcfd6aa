"""The tables of a set of runs, in the order in which one reads them; for terminals and files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from capsnet import paper
from capsnet.errors import UserError
from capsnet.records.record import Record, read_arrays
from capsnet.report.analysis.runs import RunResult
from capsnet.report.analysis.selection import exclude_demo, longest
from capsnet.report.tables.affnist import equal_error_table
from capsnet.report.tables.claims import claims_table
from capsnet.report.tables.costs import costs_table, used_table
from capsnet.report.tables.paper_rows import (
    Text,
    ablations_table,
    markdown,
    paper_table,
    runs_table,
    state_table,
)
from capsnet.report.tables.recipes import recipes_table
from capsnet.report.tables.speed import speed_tables
from capsnet.report.tables.sweep import sweep_tables


def tables(runs: Mapping[Path, Record]) -> dict[str, list[Text]]:
    """The paper's tables, then its claims, by title."""
    return paper_tables(runs) | {"Claims": claims_table(runs, paper.CLAIMS)}


def extra_tables(runs: Mapping[Path, Record]) -> dict[str, list[Text]]:
    """The tables that the paper does not have, by title, where there is anything to show."""
    every = {
        "Ablations, not in the paper": ablations_table(runs),
        "affNIST at equal clean test error": equal_error_table(runs),
    }
    return {title: table for title, table in every.items() if len(table) > 1}


def paper_tables(runs: Mapping[Path, Record]) -> dict[str, list[Text]]:
    """The paper's tables by title."""
    return {f"{name}: test error": paper_table(runs, rows) for name, rows in paper.TABLES.items()}


def document(runs: Mapping[Path, Record], title: str) -> str:
    """A page of Markdown: the tables, and every run by itself."""
    every = tables(runs) | extra_tables(runs) | {"Runs": runs_table(runs.values())}
    return f"# {title}\n\n" + _sections(every, "##")


def _sections(every: Mapping[str, list[Text]], mark: str) -> str:
    return "\n".join(f"{mark} {title}\n\n{markdown(table)}" for title, table in every.items())


def generated(
    runs: Mapping[Path, Record], others: Mapping[Path, Record], benchmarks: Sequence[Path]
) -> dict[str, dict[str, str]]:
    """Return the generated Markdown of each documentation file, by the name of its marks.

    README.md gets the state of every row of the paper, docs/results.md the tables of the longest
    of `runs` of each experiment, of claims, recipes, sweeps and costs, and docs/speed.md the tables
    of the JSON files `benchmarks`. Runs of `others` are shown as sweeps alone, never as rows of the
    paper's tables; their hours are counted.
    """
    known = {
        **paper_tables(longest(runs)),
        "Claims": claims_table(exclude_demo(runs), paper.CLAIMS),
        **extra_tables(exclude_demo(runs)),
        "Recipes at equal steps": recipes_table(runs),
        **_sweeps(others),
        "Hours that all runs have taken": used_table([*runs.values(), *others.values()]),
        "Cost of one run, at the measured speed": costs_table(benchmarks),
    }
    speeds = [_sections(speed_tables(json.loads(path.read_text())), "###") for path in benchmarks]
    return {
        "README.md": {"state": markdown(state_table(longest(runs)))},
        "docs/results.md": {"tables": _sections(known, "###")},
        "docs/speed.md": {"speed": "\n".join(speeds)},
    }


def _sweeps(records: Mapping[Path, Record]) -> dict[str, list[Text]]:
    """The tables of each sweep, whose runs are somewhere below sweeps/NAME."""
    sweeps: dict[str, list[RunResult]] = {}
    for path, record in records.items():
        if "sweeps" in path.parts:
            name = path.parts[path.parts.index("sweeps") + 1]
            sweeps.setdefault(name, []).append(RunResult(record, read_arrays(path)))
    return {title: table for runs in sweeps.values() for title, table in sweep_tables(runs).items()}


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
