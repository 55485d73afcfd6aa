"""How time and memory grow with batch, input and iterations: votes stored, and never stored."""

from functools import partial

from rich.table import Table

from capsnet.benchmark.paths import Path
from capsnet.benchmark.turns import Candidate, Measured

POINTS = {  # one is varied at a time; the others are the paper's on MNIST
    "batch": (32, 64, 128, 256, 512, 1024),
    "side": (28, 36, 40, 64),
    "iterations": (1, 2, 3, 5, 10),
}
PATHS = ("textbook", "fast")


def candidates(varied: str, value: int) -> dict[str, Candidate]:
    """Both paths at one point, without the decoder, which is the same for both."""
    options = {"decoder": False, varied: value}
    return {path: Candidate(partial(Path, path, **options)) for path in PATHS}


def table(found: dict[tuple[str, int], dict[str, Measured]]) -> Table:
    """A line for each point."""
    columns = [f"{path} {what}" for what in ("step ms", "peak MiB") for path in PATHS]
    shown = Table("", "", *columns, "times faster", title="Growth")
    for (varied, value), paths in found.items():
        seconds = [paths[path].seconds() for path in PATHS]
        shown.add_row(
            varied,
            str(value),
            *(f"{1000 * one:.0f}" for one in seconds),
            *(f"{paths[path].peak_mib:.0f}" for path in PATHS),
            f"{seconds[0] / seconds[1]:.1f}",
        )
    return shown
