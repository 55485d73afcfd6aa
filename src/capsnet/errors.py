"""Mistakes that a person can mend, told in a sentence instead of a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Mistake(Exception):
    """Says what is wrong, where, and what would be right."""


@contextmanager
def told_plainly() -> Iterator[None]:
    """Around an entry point: a Mistake or a failing disk ends it with one line and exit code 1."""
    try:
        yield
    except (Mistake, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
