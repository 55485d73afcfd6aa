"""The documentation pages that `python -m capsnet.report readme` fills, with nothing but marks."""

from pathlib import Path

MARKS = (
    ("README.md", "state"),
    ("docs/results.md", "tables"),
    ("docs/speed.md", "speed"),
    ("docs/routing.md", "questions"),
    ("docs/routing.md", "routing"),
    ("docs/robustness.md", "attacks"),
)


def write_marked_pages(project: Path) -> None:
    """Write each page with its marks into `project`."""
    for name, mark in MARKS:
        (project / name).parent.mkdir(exist_ok=True)
        with (project / name).open("a") as page:
            page.write(f"<!-- {mark}: `python -m capsnet.report readme` -->\n")
            page.write(f"<!-- end of {mark} -->\n")
