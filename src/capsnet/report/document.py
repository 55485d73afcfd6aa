"""The tables of a set of runs, in the order in which one reads them; for terminals and files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from capsnet import paper
from capsnet.errors import Mistake
from capsnet.report.affnist import equal_error_table
from capsnet.report.claims import claims_table
from capsnet.report.costs import costs_table, used_table
from capsnet.report.groups import longest, real
from capsnet.report.recipes import recipes_table
from capsnet.report.runs import Run
from capsnet.report.speed import speed_tables
from capsnet.report.sweep import sweep_tables
from capsnet.report.tables import Text, ablations_table, markdown, paper_table, runs_table
from capsnet.results import Record, read_arrays


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


def in_readme(
    text: str,
    runs: Mapping[Path, Record],
    others: Mapping[Path, Record],
    benchmarks: Sequence[Path],
) -> str:
    """The README with what is known so far between its marks.

    `tables`: the longest of `runs` of each experiment, the longest that a claim compares, all that
    compare recipes, the sweeps among `others` (which are rows of no table of the paper), and costs;
    `speed`: what the JSON files of `benchmarks` say. Raises Mistake when the marks are not there.
    """
    known = {
        **paper_tables(longest(runs)),
        "Claims": claims_table(real(runs), paper.CLAIMS),
        **extra_tables(real(runs)),
        "Recipes at equal steps": recipes_table(runs),
        **_sweeps(others),
        "Hours that all runs have taken": used_table([*runs.values(), *others.values()]),
        "Cost of one run, at the measured speed": costs_table(benchmarks),
    }
    text = between(text, "tables", _sections(known, "###"))
    speeds = [_sections(speed_tables(json.loads(path.read_text())), "###") for path in benchmarks]
    return between(text, "speed", "\n".join(speeds))


def _sweeps(records: Mapping[Path, Record]) -> dict[str, list[Text]]:
    """The tables of each sweep, whose runs are somewhere below sweeps/NAME."""
    sweeps: dict[str, list[Run]] = {}
    for path, record in records.items():
        if "sweeps" in path.parts:
            name = path.parts[path.parts.index("sweeps") + 1]
            sweeps.setdefault(name, []).append(Run(record, read_arrays(path)))
    return {title: table for runs in sweeps.values() for title, table in sweep_tables(runs).items()}


def between(text: str, mark: str, content: str) -> str:
    """`text` with `content` between the lines that name `mark`. Raises Mistake without them."""
    begin, end = f"<!-- {mark}: `python -m capsnet.report readme` -->\n", f"<!-- end of {mark} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise Mistake(f"README.md has lost its marks: a line {begin.strip()}, later {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"
