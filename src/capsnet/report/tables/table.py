"""Tables: named columns over rows. Markdown, terminal and page show the same cells of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import methodcaller
from statistics import mean, stdev
from typing import Any, Generic, Literal, TypeVar

from capsnet.records.record import Outcome

R = TypeVar("R")
Shown = TypeVar("Shown", contravariant=True)  # a column of a row shows any kind of that row too


@dataclass(frozen=True)
class Column(Generic[Shown]):
    """A column: its name, the text of its cell in a row, if any, and what its cells are."""

    name: str
    value: Callable[[Shown], str | None]
    kind: Literal["number", "text"] = "number"


@dataclass(frozen=True)
class Table(Generic[R]):
    """Columns over rows, of any type.

    Where rows are of runs, the column named `lead` leads to the runs of each row on the page.
    """

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
        """Return the text of each row's cells, '–' where there is none."""
        found = (tuple(column.value(row) for column in self.columns) for row in self.rows)
        return [tuple("–" if text is None else text for text in row) for row in found]


def text_table(title: str, rows: Sequence[Mapping[str, str | None]]) -> Table[Any]:
    """Make a table of rows that are texts by column; a row may lack some."""
    names = dict.fromkeys(name for row in rows for name in row)
    return Table(title, [Column(name, methodcaller("get", name), "text") for name in names], rows)


def mean_sd(values: Sequence[float], form: str, sd: str | None = None) -> str:
    """Write '0.26 ± 0.012', mean and standard deviation; one value stands alone."""
    spread = f" ± {stdev(values):{sd or form}}" if len(values) > 1 else ""
    return f"{mean(values):{form}}{spread}"


def span(interval: Sequence[float], form: str = ".2f") -> str:
    """Write '0.17–0.37'."""
    return "–".join(f"{end:{form}}" for end in interval)


def error_and_interval(test: Outcome) -> str:
    """Write an error and its interval in percent: '0.60 (0.47–0.77)'."""
    return f"{test.error_percent:.2f} ({span(test.interval_percent)})"


def with_sign(value: float) -> str:
    """Write '+0.12', or '−0.12' with a minus sign in place of a hyphen."""
    return f"{value:+.2f}".replace("-", "−")


def markdown(table: Table[Any]) -> str:
    """Write the table in Markdown, without its title."""
    lines = [table.names, ("---",) * len(table.columns), *table.cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
