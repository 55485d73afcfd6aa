"""Tables: named columns over rows. Markdown, terminal and page show the same cells of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, Generic, Literal, TypeVar

from capsnet.records.record import Outcome, Record

Result = tuple[Record, Outcome]  # a run, and its errors on one test set
R = TypeVar("R")
Shown = TypeVar("Shown", contravariant=True)  # a column of a row shows any kind of that row too


class Row:
    """A row that summarises runs; other rows may be of any type."""

    @property
    def results(self) -> Sequence[Result]:
        """Return the results behind the row, which the page shows on hover."""
        return ()


@dataclass(frozen=True)
class Column(Generic[Shown]):
    """A column: its name, the text of its cell in a row, and what its cells are."""

    name: str
    value: Callable[[Shown], str]
    kind: Literal["number", "text"] = "number"


@dataclass(frozen=True)
class Table(Generic[R]):
    """Columns over rows. On the page, the column named `lead` leads to the results of each row."""

    title: str
    columns: Sequence[Column[R]]
    rows: Sequence[R]
    lead: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def cells(self) -> list[tuple[str, ...]]:
        """Return the text of each row's cells."""
        return [tuple(column.value(row) for column in self.columns) for row in self.rows]


def text_table(
    title: str, names: Sequence[str], rows: Sequence[Sequence[str]]
) -> Table[Sequence[str]]:
    """Make a table of cells that are text already."""
    columns = [Column[Sequence[str]](name, itemgetter(k), "text") for k, name in enumerate(names)]
    return Table(title, columns, rows)


def with_sign(value: float) -> str:
    """Write '+0.12', or '−0.12' with a minus sign in place of a hyphen."""
    return f"{value:+.2f}".replace("-", "−")


def markdown(table: Table[Any]) -> str:
    """Write the table in Markdown, without its title."""
    lines = [table.names, ("---",) * len(table.columns), *table.cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
