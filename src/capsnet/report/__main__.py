"""`python -m capsnet.report [table | data]`: what the records say, what the data look like."""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from capsnet.errors import Mistake, told_plainly
from capsnet.report.document import document, in_readme, tables
from capsnet.report.tables import rich_table
from capsnet.results import read_all, write_atomically

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
    """The tables of the records in `folder`. Raises Mistake when there are none."""
    runs, path = read_all(folder, "*/*.json"), folder.with_suffix(".md")
    if not runs:
        raise Mistake(f"there are no results in {folder}: run `dvc repro` first")
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    for title, rows in tables(runs).items():
        console.print(rich_table(rows, f"{title} ({folder.name})"))
    write_atomically(path, document(runs, folder.name).encode())
    console.print(f"Written to {path}")


def readme(path: Path, results: Path) -> None:
    """Bring the tables in the README at `path` up to date with the records below `results`."""
    written = in_readme(path.read_text(), read_all(results, "*/*/*.json"))
    write_atomically(path, written.encode())
    print(f"Written to {path}")


def data(root: Path, source: str, folder: Path) -> None:
    """Contact sheets of every set made of the digits of `source`."""
    from capsnet.report import sheets

    for path in sheets.draw(root, source, folder):
        print(f"Drawn: {path}")


if __name__ == "__main__":
    main()
