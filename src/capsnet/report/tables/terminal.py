"""Tables in a terminal, or in what it is piped into."""

import sys
from collections.abc import Iterable
from typing import Any

from rich import table as rich_table
from rich.box import SIMPLE_HEAD
from rich.console import Console

from capsnet.report.tables.table import Table

WIDTH = 150  # letters a line, where no terminal says how many it has
GAP = 3  # letters between columns


def show(tables: Iterable[Table[Any]]) -> None:
    """Print each table under its title; wider than the terminal where its words would break."""
    given = Console().width if sys.stdout.isatty() else WIDTH
    for table in tables:
        if not table.columns:  # text_table has none without rows
            continue
        widths = fitted(table, given - GAP * len(table.columns))
        total = sum(widths) + GAP * len(widths)
        drawn = rich_table.Table(title=table.title, box=SIMPLE_HEAD, pad_edge=False)
        for name, width in zip(table.names, widths, strict=True):
            drawn.add_column(name, width=width)
        for cells in table.cells:
            drawn.add_row(*cells)
        Console(width=max(given, total)).print(drawn)


def fitted(table: Table[Any], room: int) -> list[int]:
    """Share `room` letters out to the columns: the widest give way first, none below its words.

    The first column, which names the row, keeps its lines whole.
    """
    columns = [*zip(table.names, *table.cells, strict=True)]
    whole = [max(map(len, column)) for column in columns]
    words = [max(len(word) for cell in one for word in cell.split() or [""]) for one in columns]
    least = [whole[0], *words[1:]]
    for level in range(max(whole), 0, -1):
        widths = [max(low, min(high, level)) for low, high in zip(least, whole, strict=True)]
        if sum(widths) <= room:
            return widths
    return least
