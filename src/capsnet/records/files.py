"""Files that are written atomically, and checked before a run starts."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path
from typing import Any

from capsnet.errors import UserError


def check_writable(key: str, path: Path) -> None:
    """Raise UserError unless a file can be written at `path`, named by `key`; make its folder."""
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.touch()
        scratch.unlink()
    except OSError as error:
        raise UserError(f"{key}: {path} cannot be written: {error.strerror}") from None


@contextmanager
def as_written(path: Path, otherwise: str) -> Iterator[None]:
    """Surround the reading of `path`. Raises UserError, saying what it is `otherwise`."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} {otherwise} ({' '.join(repr(error).split())})") from error


def read_json(path: Path, schema: int) -> dict[str, Any]:
    """Read values by key. Raises ValueError when they are of another schema."""
    values: dict[str, Any] = json.loads(path.read_text())
    if values["schema"] != schema:
        raise ValueError(f"schema {values['schema']}, not {schema}")
    return values


def write_json(value: Any, path: Path) -> None:
    """Write `value` atomically, as indented JSON that git can diff."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content: a reader finds the old or the new, whatever kills the writer."""
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
