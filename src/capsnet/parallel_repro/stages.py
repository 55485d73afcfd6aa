"""The stages of a dvc.yaml, and what is known of each while they run."""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from capsnet.errors import UserError
from capsnet.parallel_repro.schedule import State

if TYPE_CHECKING:
    from dvc.stage import Stage as DvcStage

# A stage that fails with one of these has met another process and is tried again: DVC's locks on
# paths, which `--wait-for-lock` does not wait for, and the one of `checkpoints.exclusive`.
TRANSIENT = (
    "Unable to acquire lock",
    "is busy, it is being blocked by",
    "another process is training in",
)
MAX_BACKOFF_TRIES = 10  # tries that each wait longer than the one before: the last 29 s
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass
class Stage:
    """A DVC stage: its state, device, time and last line of output."""

    name: str  # as DVC calls it in the project's folder
    log: Path
    state: State = State.WAITING
    device: str = ""
    began: float = 0.0
    seconds: float = 0.0
    line: str = ""
    tries: int = 0
    not_before: float = 0.0

    def refresh(self) -> None:
        """Bring time and last line up to date."""
        self.seconds = time.monotonic() - self.began
        self.line = last_line(self._log(4096))

    def end(self, code: int) -> None:
        """Set the final state, from its exit code and its log."""
        self.refresh()
        lines = self._log().splitlines()
        transient = [line for line in lines if any(reason in line for reason in TRANSIENT)]
        if code == 0:
            ran = any(line.startswith("Running stage '") for line in lines)
            self.state, self.line = State.DONE, "" if ran else "was up to date"
        elif transient:
            self.state, self.line = State.WAITING, printable(transient[-1])
            self.not_before = time.monotonic() + 0.5 * 1.5**self.tries
            self.tries = min(self.tries + 1, MAX_BACKOFF_TRIES)
        else:
            self.state = State.FAILED

    def _log(self, last: int | None = None) -> str:
        """Read the log, or its `last` bytes; nothing where somebody has deleted it."""
        if not self.log.is_file():
            return ""
        with self.log.open("rb") as log:
            log.seek(0 if last is None else max(0, self.log.stat().st_size - last))
            return log.read().decode(errors="replace")


def last_line(text: str) -> str:
    """Return the last line that is not blank, as a terminal would show it."""
    lines = (printable(line) for line in reversed(re.split(r"[\r\n]", text)))
    return next(filter(None, lines), "")


def printable(line: str) -> str:
    """Remove from a line what would move a terminal's cursor."""
    return "".join(filter(str.isprintable, ESCAPES.sub("", line))).strip()


def load_stages(file: Path) -> tuple[list[Stage], dict[str, set[str]], Path]:
    """Return the stages of `file` and of its needs, all needs of each, and the project's folder.

    Raises UserError when DVC finds something wrong with the file, or is not installed.
    """
    try:
        import networkx
        from dvc.exceptions import DvcException
        from dvc.repo import Repo
    except ImportError as error:
        raise UserError(f"{error}: `pip install -e '.[pipeline]'` installs DVC") from None
    if not file.is_file():
        raise UserError(f"there is no file {file}")
    try:
        with Repo(str(file.resolve().parent)) as repo:
            graph, root = repo.index.graph, Path(repo.root_dir)  # an edge leads to what is needed
    except DvcException as error:
        raise UserError(f"{file}: {' '.join(str(error).split())}") from None
    every = {stage: networkx.descendants(graph, stage) for stage in graph}
    asked = {stage for stage in graph if Path(stage.path).resolve() == file.resolve()}
    if not asked:
        raise UserError(f"{file} holds no stages of DVC: give a dvc.yaml")
    wanted = asked.union(*(every[stage] for stage in asked))
    needs = {
        address(stage): {address(need) for need in every[stage]}
        for stage in graph
        if stage in wanted
    }
    return [Stage(name, log(name, root)) for name in needs], needs, root


def address(stage: "DvcStage") -> str:
    """Return DVC's name of the stage: `mnist`, `demo/dvc.yaml:digits`."""
    name = getattr(stage, "name", None)  # that of a single .dvc file has none
    return f"{stage.path_in_repo}:{name}".removeprefix("dvc.yaml:") if name else stage.path_in_repo


def log(name: str, root: Path) -> Path:
    """Return the log of a stage: runs/pipeline/mnist.log, runs/pipeline/demo/digits.log."""
    return root / "runs" / "pipeline" / f"{name.replace('dvc.yaml:', '')}.log"
