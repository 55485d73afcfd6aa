"""`python -m capsnet.report [table | data]`: what the records say, what the data look like."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from capsnet import paper
from capsnet.errors import Mistake, told_plainly
from capsnet.report.tables import markdown, rich_table, table_1
from capsnet.results import read_all, write_atomically

COLUMNS = {"MNIST": paper.TABLE_1_MNIST, "MultiMNIST": paper.TABLE_1_MULTIMNIST}
WIDTH = 140  # columns, where no terminal says how many it has


def main() -> None:
    """Print Table 1 and write it as Markdown, or draw contact sheets of the data."""
    parser = argparse.ArgumentParser(prog="capsnet.report", description=__doc__)
    parser.add_argument("what", nargs="?", default="table", choices=["table", "data"])
    parser.add_argument("--profile", default="paper", help="reads and writes results/PROFILE…")
    parser.add_argument(
        "--source", default="mnist", choices=["mnist", "digits"], help="of the data"
    )
    parser.add_argument("--root", type=Path, default=Path("data"), help="where the data lie")
    arguments = parser.parse_args()
    with told_plainly():
        if arguments.what == "table":
            table(Path("results") / arguments.profile)
        else:
            data(arguments.root, arguments.source, Path("results") / f"{arguments.profile}-data")


def table(folder: Path) -> None:
    """Table 1 from the records in `folder`. Raises Mistake when there is no such folder."""
    if not folder.is_dir():
        raise Mistake(f"there are no results in {folder}: run `dvc repro` first")
    records, path, written = list(read_all(folder).values()), folder.with_suffix(".md"), ""
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    for column, wanted in COLUMNS.items():
        title = f"Table 1, {column}: {folder.name}"
        if not {row.experiment for row in wanted} & {record.experiment for record in records}:
            console.print(f"{title}: not yet run")
            continue
        rows = table_1(records, wanted)
        console.print(rich_table(rows, title))
        written += markdown(rows, title) + "\n"
    write_atomically(path, written.encode())
    console.print(f"Written to {path}")


def data(root: Path, source: str, folder: Path) -> None:
    """Contact sheets of every set made of the digits of `source`."""
    from capsnet.report import sheets

    for path in sheets.draw(root, source, folder):
        print(f"Drawn: {path}")


if __name__ == "__main__":
    main()
