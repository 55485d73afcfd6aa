"""Failed sweep jobs: a failure stops no other job, and all are listed at the end."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra.errors import CompactHydraException

from capsnet.errors import UserError

# The folder for failed jobs' notes. Jobs may run in other processes, which inherit it.
NOTES = "CAPSNET_FAILED_JOBS"


@contextmanager
def failed_jobs_named() -> Iterator[None]:
    """Surround a sweep. Raises UserError at the end, which names every job that failed."""
    with TemporaryDirectory() as folder:
        os.environ[NOTES] = folder
        try:
            yield
        except BaseException:
            if failed := _noted(folder):
                print("\n".join((f"{_jobs(failed)} before:", *failed)), file=sys.stderr)
            raise
        failed = _noted(folder)
    if failed:
        raise UserError("\n".join((f"{_jobs(failed)}; the others are finished:", *failed)))


def _noted(folder: str) -> list[str]:
    """Write a line for each job that has failed so far."""
    notes = (json.loads(note.read_text()) for note in sorted(Path(folder).iterdir()))
    return [f"  {_swept(overrides)}: {error}" for overrides, error in notes]


def _jobs(failed: Sequence[str]) -> str:
    return "1 job failed" if len(failed) == 1 else f"{len(failed)} jobs failed"


@contextmanager
def failure_noted(number: int, overrides: Sequence[str]) -> Iterator[None]:
    """Surround job `number` of a sweep: print its error, and note it for `failed_jobs_named`.

    A job on another machine finds no folder for the note: there Hydra reports the error.
    """
    try:
        yield
    except (UserError, OSError) as error:
        folder = Path(os.environ.get(NOTES, ""))
        if not folder.is_absolute() or not folder.is_dir():
            raise CompactHydraException(f"error: {error}") from None
        print(f"failed: job #{number}: {error}", file=sys.stderr)
        (folder / f"{number:06}").write_text(json.dumps([list(overrides), str(error)]))


def _swept(overrides: Sequence[str]) -> str:
    """Join the overrides that the command line does not set to one value for all jobs."""
    fixed = {word.split("=")[0] for word in sys.argv if "," not in word and "(" not in word}
    differing = (one for one in overrides if one.split("=")[0] not in fixed)
    return " ".join(differing) or "the only job"
