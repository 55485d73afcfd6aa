"""One small record a run: written once, read by the report, kept in git."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

PACKAGES = ("capsnet", "torch", "torchvision", "pytorch-lightning", "numpy")


@dataclass(frozen=True)
class Record:
    """What a run was and what came out. Percentages are derived from the counts, never stored."""

    experiment: str
    seed: int
    recipe: str
    schedule: str
    steps_done: int
    steps_planned: int
    batch: int
    source: str  # of the digits: mnist, uci-digits
    errors: int
    total: int
    interval_percent: tuple[float, float]  # Wilson, 95 %
    parameters: int
    width: float  # 1: the paper's network
    train_seconds: float
    images_per_second: float
    device: str
    identity: dict[str, str]
    commit: str | None
    clean: bool | None  # whether src/ and conf/ were the commit's
    versions: dict[str, str]
    wandb_id: str | None

    @property
    def error_percent(self) -> float:
        """Errors in 100 test examples."""
        return 100 * self.errors / self.total


def wilson(errors: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson interval of errors/total, in percent."""
    from scipy.stats import binomtest

    interval = binomtest(errors, total).proportion_ci(0.95, method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def write(record: Record, path: Path) -> None:
    """Store the record, whole or not at all."""
    write_atomically(path, (json.dumps(asdict(record), indent=2) + "\n").encode())


def write_atomically(path: Path, content: bytes) -> None:
    """A reader finds the old content or the new, whatever kills the writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def read(path: Path) -> Record:
    """The record at `path`."""
    values: dict[str, Any] = json.loads(path.read_text())
    values["interval_percent"] = tuple(values["interval_percent"])
    return Record(**values)


def read_all(folder: Path) -> list[Record]:
    """Every record below `folder`, in the order of their paths."""
    return [read(path) for path in sorted(folder.glob("**/*.json"))]


def device_name(device: "torch.device") -> str:
    """The GPU's name, or the processor's with the number of threads that compute."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def versions() -> dict[str, str]:
    """Of Python and of the packages that compute."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit(folder: Path = Path(__file__).parent) -> tuple[str | None, bool | None]:
    """The commit that is checked out, and whether its src/ and conf/ are as they lie on disk.

    None where there is no git or no repository.
    """
    head = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", ":/src", ":/conf")
    return head, None if head is None or changes is None else not changes


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(("git", *arguments), cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
