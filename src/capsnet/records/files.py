"""Files that are written atomically, and checked before a run starts."""

import json
import os
from errno import EISDIR
from pathlib import Path
from typing import Any

from capsnet.errors import UserError


def check_writable(key: str, path: Path) -> None:
    """Raise UserError unless a file can be written at `path`, named by `key`; make its folder."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.touch()
        scratch.unlink()
    except OSError as error:
        raise UserError(f"{key}: {path} cannot be written: {error.strerror}") from None


def write_json(value: Any, path: Path) -> None:
    """Store `value` as text that people can read and git can compare, whole or not at all."""
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
