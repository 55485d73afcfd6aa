"""Options of `capsnet.prepare` that several data sets have."""

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable


def whole_number(low: int, high: float = float("inf")) -> Callable[[str], int]:
    """Make an option's type: a whole number from `low` to `high`."""

    def number(text: str) -> int:
        if not low <= int(text) <= high:
            raise ArgumentTypeError(f"{text} is not between {low} and {high}")
        return int(text)

    return number


def add_seed(parser: ArgumentParser) -> None:
    """Declare --seed."""
    parser.add_argument("--seed", type=whole_number(0, 2**32 - 1), help="of all that is drawn (0)")
