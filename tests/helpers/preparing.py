"""`python -m capsnet.prepare` within the test's process, from a mirror that is a folder."""

import sys
from pathlib import Path

import pytest

from capsnet.prepare import main


def run(root: Path, *arguments: str) -> None:
    """Run the command with `arguments`, and `root` as the folder of all data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["prepare", *arguments, "--root", str(root)])
        main()


def refusal(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line that a failing command prints; it leaves nothing in `root`."""
    with pytest.raises(SystemExit, match=r"^1$"):
        run(root, *arguments)
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert not root.exists() or [*root.iterdir()] == []
    return line
