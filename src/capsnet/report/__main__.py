"""`python -m capsnet.report [table] [--profile NAME]`: what the records say."""

import argparse
from pathlib import Path

from rich.console import Console

from capsnet.errors import Mistake, told_plainly
from capsnet.report.tables import markdown, rich_table, table_1
from capsnet.results import read_all, write_atomically


def main() -> None:
    """Print Table 1 and write it as Markdown beside the records."""
    parser = argparse.ArgumentParser(prog="capsnet.report", description=__doc__)
    parser.add_argument("what", nargs="?", default="table", choices=["table"])
    parser.add_argument("--profile", default="paper", help="whose records: results/PROFILE")
    arguments = parser.parse_args()
    with told_plainly():
        table(Path("results") / arguments.profile)


def table(folder: Path) -> None:
    """Raises Mistake when there is no such folder."""
    if not folder.is_dir():
        raise Mistake(f"there are no results in {folder}: run `dvc repro` first")
    rows, title = table_1(read_all(folder)), f"Table 1, MNIST: {folder.name}"
    path = folder.with_suffix(".md")
    write_atomically(path, markdown(rows, title).encode())
    console = Console()
    console.print(rich_table(rows, title))
    console.print(f"Written to {path}")


if __name__ == "__main__":
    main()
