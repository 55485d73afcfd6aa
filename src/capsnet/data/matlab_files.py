"""Errors of MATLAB 5 files, plain or in a zip, in one line."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

from capsnet.errors import UserError


@contextmanager
def mat_errors(path: Path) -> Iterator[None]:
    """Raise UserError where `scipy.io.loadmat` or `zipfile` cannot read the file at `path`.

    SciPy 1.17 crashes on some altered files: a file with a known md5 is checked by that first.
    """
    from scipy.io.matlab import MatReadError

    faults = (MatReadError, ValueError, TypeError, IndexError, NotImplementedError)
    truncated = (OSError, EOFError, zlib.error, BadZipFile)
    try:
        yield
    except (*faults, *truncated) as error:
        raise UserError(f"{path.name} is truncated or no MATLAB 5 file ({error})") from error
