"""`python -m capsnet.prepare NAME`: build a data set in `data/NAME`."""

import argparse
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from capsnet.data.storage import SOURCES
from capsnet.errors import UserError, exit_on_user_error

PATIENCE = 60  # seconds without a byte before a mirror counts as unreachable


def main() -> None:
    """Build the named data set; a failed build leaves nothing behind."""
    options = vars(_parser().parse_args())
    name, root = options.pop("name"), options.pop("root")
    socket.setdefaulttimeout(PATIENCE)
    with exit_on_user_error():
        prepare(name, root / name, **options)


def _parser() -> argparse.ArgumentParser:
    """Each data set with its own options; what is not given is left to the data set's default."""
    parser = argparse.ArgumentParser(prog="python -m capsnet.prepare", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")

    def add(name: str, about: str) -> argparse.ArgumentParser:
        added = names.add_parser(name, help=about, argument_default=argparse.SUPPRESS)
        added.add_argument("--root", type=Path, default=Path("data"))
        return added

    add("mnist", "MNIST, downloaded")
    add("digits", "the UCI digits, no download")
    for source in SOURCES:
        _multimnist_options(add(f"multimnist-{source}", f"pairs of digits of {source}"))
        _seed(add(f"expanded-{source}", f"digits of {source} in a 40x40 frame"))
        affine = add(f"affnist-{source}", f"affine copies of {source}'s test digits")
        affine.add_argument("--copies", type=_whole(1, 1000), help="of each digit (32)")
        _seed(affine)
    official = add("affnist-official", "the official affNIST test set, downloaded")
    official.add_argument("--file", type=Path, help="test.mat or test.mat.zip, to download nothing")
    official.add_argument("--pixels", choices=["columns", "rows"], help="their order (columns)")
    return parser


def _multimnist_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=_whole(1), dest="count", help="for each digit (1000)")
    parser.add_argument("--reach", type=_whole(0, 14), help="largest shift in pixels (4)")
    parser.add_argument("--holdout", type=_whole(0), help="training digits that validate (0)")
    _seed(parser)


def _seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=_whole(0, 2**32 - 1), help="of all that is drawn (0)")


def _whole(low: int, high: float = float("inf")) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return int(text)

    return number


def prepare(name: str, folder: Path, **options: Any) -> None:
    """Build data set `name` in `folder`; a set made of digits finds them beside it.

    Raises UserError when its source cannot be had.
    """
    match name.split("-"):
        case ["mnist"]:
            from capsnet.data import mnist

            mnist.prepare(folder)
        case ["digits"]:
            from capsnet.data import digits

            digits.prepare(folder)
        case ["affnist", "official"]:
            from capsnet.data import affnist_official

            affnist_official.prepare(folder, **options)
        case [made, source]:
            _prepare_made(made, source, folder, options)
        case _:
            raise UserError(f"there is no data set {name}")


def _prepare_made(made: str, source: str, folder: Path, options: dict[str, Any]) -> None:
    """A set that is made of the digits of `source`."""
    from capsnet.data import affnist, expanded, multimnist, storage

    digits = storage.read_images(folder.parent / source)
    match made:
        case "multimnist":
            multimnist.prepare(folder, digits, **options)
        case "expanded":
            expanded.prepare(folder, digits, **options)
        case "affnist":
            affnist.prepare(folder, digits, **options)
        case _:
            raise UserError(f"there is no data set {made}-{source}")


if __name__ == "__main__":
    main()
