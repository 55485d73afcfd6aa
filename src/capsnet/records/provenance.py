"""The provenance of a run: device, versions and commit."""

import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


MARK = "functional.py"  # a file of the package, by which a checkout is known
PACKAGES = ("capsnet", "torch", "torchvision", "pytorch-lightning", "numpy")


@dataclass(frozen=True)
class Provenance:
    """State what a run was made from, as it is before training: files may change meanwhile."""

    identity: dict[str, str]  # digests of configuration, data and code, and the seed
    commit: str | None
    clean: bool | None  # whether src/ and conf/ were the commit's
    overrides: tuple[str, ...]  # values set on the command line: KEY=VALUE


def device_name(device: "torch.device") -> str:
    """Name the GPU, or the processor with its number of threads; other devices by kind."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = processor() if device.type == "cpu" else device.type
    return f"{name}, {threads(torch.get_num_threads())}"


def threads(count: int) -> str:
    """Write a number of threads in words: 1 thread, 2 threads."""
    return f"{count} thread" if count == 1 else f"{count} threads"


def processor() -> str:
    """Name the processor, as far as the system does."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_commit(folder: Path = Path(__file__).parents[1]) -> tuple[str | None, bool | None]:
    """Read the commit that is checked out, and whether src/ and conf/ on disk are the commit's.

    None where there is no git, or `folder` is not the package in a checkout of this project: an
    installed package may be inside the repository of another one.
    """
    if _git(folder, "ls-files", "--full-name", MARK) != f"src/capsnet/{MARK}":
        return None, None
    head = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", ":/src", ":/conf")
    return head, None if head is None or changes is None else not changes


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(("git", *arguments), cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
