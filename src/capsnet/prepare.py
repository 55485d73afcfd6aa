"""`python -m capsnet.prepare NAME`: build a data set in `data/NAME`."""

import argparse
import socket
from pathlib import Path

from capsnet.errors import told_plainly

PATIENCE = 60  # seconds without a byte before a mirror counts as unreachable


def main() -> None:
    """Build the named data set; a failed build leaves nothing behind."""
    parser = argparse.ArgumentParser(prog="capsnet.prepare", description=__doc__)
    parser.add_argument("name", choices=["mnist", "digits"])
    parser.add_argument("--root", type=Path, default=Path("data"))
    arguments = parser.parse_args()
    socket.setdefaulttimeout(PATIENCE)
    with told_plainly():
        prepare(arguments.name, arguments.root / arguments.name)


def prepare(name: str, folder: Path) -> None:
    """Build data set `name` in `folder`. Raises Mistake when its source cannot be had."""
    match name:
        case "mnist":
            from capsnet.data import mnist

            mnist.prepare(folder)
        case "digits":
            from capsnet.data import digits

            digits.prepare(folder)


if __name__ == "__main__":
    main()
