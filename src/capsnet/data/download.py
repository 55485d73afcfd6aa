"""Files from a mirror: a URL or a folder. A full disk is never taken for a missing mirror."""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rich import progress

from capsnet.data import storage
from capsnet.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
AGENT = "capsnet"  # some servers refuse that of Python


class UnavailableError(Exception):
    """Says why a file could not be had from a mirror."""


def fetch_from(
    variable: str, mirrors: Sequence[str], name: str, folder: Path, md5: str | None, what: str
) -> Path:
    """Fetch file `name` into `folder` from the first of `mirrors` that gives it; see `fetch`.

    Environment variable `variable`, if set, names the one mirror to ask instead. `what` describes
    all that a mirror has to hold. Raises UserError when no mirror gives a file with the right md5.
    """
    mirror = os.environ.get(variable)
    problems: list[str] = []
    for origin in [mirror] if mirror else mirrors:
        try:
            return fetch(origin, name, folder, md5)
        except UnavailableError as problem:
            problems.append(str(problem))
    raise UserError(
        f"could not get {name}: {'; '.join(problems)}. "
        f"Set {variable} to a URL or a folder that holds {what}."
    )


def fetch(mirror: str, name: str, folder: Path, md5: str | None = None) -> Path:
    """Download or copy file `name` of `mirror` into `folder`, and check its md5 if it is known.

    Raises UnavailableError when the mirror does not give it, OSError when this disk does not
    take it.
    """
    origin, path = f"{mirror.rstrip('/')}/{name}", folder / name
    folder.mkdir(exist_ok=True)
    try:
        with _opened(origin, name) as source, path.open("wb") as file:
            shutil.copyfileobj(source, file)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnavailableError(f"{origin} does not exist") from error
    except HTTPError as error:
        raise UnavailableError(f"{origin} is not there ({error})") from error
    except (OSError, HTTPException, ValueError) as error:
        if _of_this_disk(error, path):
            raise
        why = getattr(error, "reason", error)
        raise UnavailableError(f"{mirror} cannot be reached ({why})") from error
    if md5 is not None and (found := storage.md5(path)) != md5:
        raise UnavailableError(f"{origin} is {_fault(path)} (md5 {found}, the right one is {md5})")
    return path


@contextmanager
def _opened(origin: str, name: str) -> Iterator[BinaryIO]:
    """Open a URL or a file; a progress bar called `name` shows how much of it has been read."""
    if "://" not in origin:
        with progress.open(origin, "rb", description=name) as file:
            yield file
        return
    with (
        urlopen(Request(origin, headers={"User-Agent": AGENT})) as response,
        progress.wrap_file(response, response.length or 0, description=name) as file,
    ):
        yield file


def _fault(path: Path) -> str:
    """Describe a file that has the wrong md5."""
    with path.open("rb") as file:
        start = file.read(1024).lstrip().lower()
    if not start:
        return "an empty file"
    if start.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    return f"a truncated or altered file of {path.stat().st_size:,} bytes"


def _of_this_disk(error: Exception, path: Path) -> bool:
    """Tell an error of writing `path` from one of a mirror."""
    return isinstance(error, OSError) and (error.errno in FULL or error.filename == str(path))
