"""Git holds what it should: pictures only where the documentation shows them, and a small clone."""

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
MEGABYTE = 10**6
PICTURES = (".png", ".svg")


@pytest.fixture(scope="module")
def committed() -> list[Path]:
    """Every file in git, relative to the project."""
    command = ("git", "ls-files", "-z")
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: what is committed is not known")
    return [Path(name) for name in listed.stdout.split("\0") if (PROJECT / name).is_file()]


def shown() -> set[Path]:
    """Every picture that a page of the documentation shows or links, relative to the project."""
    pages = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")]
    found = {
        (page.parent / link).resolve()
        for page in pages
        for link in re.findall(r"[\w./-]+\.(?:png|svg)", page.read_text())
    }
    return {path.relative_to(PROJECT) for path in found if path.is_relative_to(PROJECT)}


def test_every_committed_picture_is_shown(committed: list[Path]) -> None:
    pictures = {one for one in committed if one.suffix in PICTURES and one.parts[0] != "src"}
    assert pictures
    assert not pictures - shown(), "ignore these, or show them in the documentation"


def test_what_is_committed_is_not_ignored_and_what_is_drawn_is(committed: list[Path]) -> None:
    command = ("git", "ls-files", "--cached", "--ignored", "--exclude-standard", "results")
    both = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert both.stdout == ""
    drawn = ("paper-figures/curves.png", "paper-data/shifted.png", "paper.html", "new/figure_3.svg")
    paths = [f"results/{name}" for name in drawn]
    ignored = subprocess.run(
        ("git", "check-ignore", *paths), cwd=PROJECT, capture_output=True, text=True
    )
    assert ignored.stdout.split() == paths


def test_the_committed_files_leave_a_clone_small(committed: list[Path]) -> None:
    size = sum((PROJECT / path).stat().st_size for path in committed)
    assert size < 64 * MEGABYTE  # half of it are weights, a third the arrays of records


def test_shapes_are_checked_in_modules_that_exist() -> None:
    """`jaxtyping` says nothing about a module that it never meets."""
    options = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["pytest"]
    [listed] = re.findall(r"--jaxtyping-packages=(\S+)", options["ini_options"]["addopts"])
    *modules, checker = listed.split(",")
    assert checker == "beartype.beartype"
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_the_workflow_tries_the_oldest_python() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=")
    assert f'"{oldest}"' in (PROJECT / ".github/workflows/test.yml").read_text()


def test_misspellings_are_found(tmp_path: Path) -> None:
    wrong = "teh"  # codespell:ignore teh
    (tmp_path / "page.md").write_text(f"This is {wrong} page.\n")
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    found = subprocess.run(("codespell",), cwd=tmp_path, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (65, f"./page.md:1: {wrong} ==> the\n")
