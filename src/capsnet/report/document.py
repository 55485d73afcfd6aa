"""The tables of a set of runs, in the order in which one reads them; for terminals and files."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from capsnet import paper
from capsnet.errors import Mistake
from capsnet.report.claims import claims_table
from capsnet.report.costs import costs_table
from capsnet.report.groups import longest
from capsnet.report.tables import Text, markdown, paper_table, runs_table
from capsnet.results import Record

BEGIN, END = "<!-- tables: `python -m capsnet.report readme` -->\n", "<!-- end of tables -->"


def tables(runs: Mapping[Path, Record]) -> dict[str, list[Text]]:
    """The paper's tables, then its claims, by title."""
    of_paper = {
        f"{name}: test error": paper_table(runs.values(), rows)
        for name, rows in paper.TABLES.items()
    }
    return of_paper | {"Claims": claims_table(runs, paper.CLAIMS)}


def document(runs: Mapping[Path, Record], title: str) -> str:
    """A page of Markdown: the tables, and every run by itself."""
    every = tables(runs) | {"Runs": runs_table(runs.values())}
    return f"# {title}\n\n" + _sections(every, "##")


def _sections(every: Mapping[str, list[Text]], mark: str) -> str:
    return "\n".join(f"{mark} {title}\n\n{markdown(table)}" for title, table in every.items())


def in_readme(text: str, runs: Mapping[Path, Record], benchmarks: Iterable[Path]) -> str:
    """The README with what is known so far between its marks: the longest runs of each experiment.

    And what they cost, from the JSON files of `benchmarks`.
    Raises Mistake when the marks are not there.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise Mistake(f"README.md has lost its marks: a line {BEGIN.strip()}, later {END}")
    known = longest(runs)
    cost = {"Cost of one run, at the measured speed": costs_table(benchmarks)}
    return f"{before}{begin}\n{_sections(tables(known) | cost, '###')}\n{end}{after}"
