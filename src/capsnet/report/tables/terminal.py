"""Tables in a terminal, or in what it is piped into."""

import sys
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

Text = tuple[str, ...]
WIDTH = 150  # letters a line, where no terminal says how many it has
GAP = 3  # letters between columns


def show(tables: Mapping[str, Sequence[Text]]) -> None:
    """Print each table under its title; wider than the terminal where its words would break."""
    given = Console().width if sys.stdout.isatty() else WIDTH
    for title, table in tables.items():
        widths = fitted(table, given - GAP * len(table[0]))
        whole = sum(widths) + GAP * len(widths)
        Console(width=max(given, whole)).print(_drawn(table, title, widths))


def fitted(table: Sequence[Text], room: int) -> list[int]:
    """Share `room` letters out to the columns: the widest give way first, none below its words.

    The first column, which names the row, keeps its lines whole.
    """
    columns = [*zip(*table, strict=True)]
    whole = [max(map(len, column)) for column in columns]
    words = [max(len(word) for cell in one for word in cell.split() or [""]) for one in columns]
    least = [whole[0], *words[1:]]
    for level in range(max(whole), 0, -1):
        widths = [max(low, min(high, level)) for low, high in zip(least, whole, strict=True)]
        if sum(widths) <= room:
            return widths
    return least


def _drawn(table: Sequence[Text], title: str, widths: Sequence[int]) -> Table:
    drawn = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    for name, width in zip(table[0], widths, strict=True):
        drawn.add_column(name, width=width)
    for row in table[1:]:
        drawn.add_row(*row)
    return drawn
