"""README.md and docs/: their links lead somewhere, and README stays short."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGES = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((PROJECT / "docs").glob("*.md")),
]
OTHERS = [  # with links, but without commands of their own
    *(PROJECT / name for name in ("CHANGELOG.md", "data/README.md")),
    *sorted((PROJECT / "results").glob("**/README.md")),
]
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|href)=\"([^\"]+)\"")


def prose(page: Path) -> str:
    return CODE.sub("", page.read_text())


def links(text: str) -> list[str]:
    """The relative ones, of Markdown and of HTML's images."""
    every = [markdown or html for markdown, html in LINK.findall(text)]
    return [link for link in every if not re.match(r"[a-z]+:", link)]


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists():
        return True
    return bool(anchor) and anchor not in anchors(prose(target))


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: "/".join(page.parts[-2:]))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert [link for link in links(prose(page)) if dead(page, link)] == []


def test_a_dead_link_is_noticed() -> None:
    text = '[a](no.md) <img src="no.png"> [b](README.md#no) [c](https://a.example) [d](#licence)'
    assert links(text) == ["no.md", "no.png", "README.md#no", "#licence"]
    assert all(dead(PROJECT / "README.md", link) for link in links(text))
    assert anchors("## W&B: runs, `a_b` & Co.\n# Two words") == {"wb-runs-a_b--co", "two-words"}


def test_every_page_is_reached_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in links(prose(PROJECT / "README.md"))}
    assert {str(page.relative_to(PROJECT)) for page in PAGES[1:]} <= linked


def test_the_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_and_files_that_commands_name_exist(page: Path) -> None:
    """Every file of conf/ is there, or shown on the page for the reader to make."""
    text, package = page.read_text(), PROJECT / "src/capsnet"
    modules = {*re.findall(r"python -m capsnet\.([\w.]*\w)", text)}
    asked = {*re.findall(r"\b(experiment|schedule|recipe|profile|sweep)=(\w+)", text)}
    commands = {path.stem for path in package.glob("*.py")}
    folders = (path.parent.relative_to(package) for path in package.glob("*/**/__main__.py"))
    commands |= {".".join(folder.parts) for folder in folders}
    assert modules <= commands
    files = {f"conf/{group}/{name}.yaml" for group, name in asked if name != "NAME"}
    assert [file for file in files if file not in text and not (PROJECT / file).is_file()] == []
