"""Read tables by the names of their columns, wherever these stand."""

from typing import Any

from capsnet.report.tables.table import Table


def by_name(table: Table[Any]) -> list[dict[str, str]]:
    """Give each row's cells by the name of their column."""
    return [dict(zip(table.names, row, strict=True)) for row in table.cells]
