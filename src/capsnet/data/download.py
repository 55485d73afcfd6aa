"""Files from a mirror: a URL or a folder. A full disk is never taken for a missing mirror."""

import errno
import shutil
from pathlib import Path
from urllib.error import URLError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UnavailableError(Exception):
    """Says why a file could not be had from a mirror."""


def fetch(mirror: str, name: str, folder: Path, md5: str | None = None) -> Path:
    """Download or copy file `name` of `mirror` into `folder`, and check its md5 if it is known.

    Raises UnavailableError when the mirror does not give it, OSError when this disk does not
    take it.
    """
    from torchvision.datasets.utils import check_integrity, download_url  # imports torch

    origin, path = f"{mirror.rstrip('/')}/{name}", folder / name
    folder.mkdir(exist_ok=True)
    try:
        if "://" in mirror:
            download_url(origin, folder, name, md5)
        else:
            shutil.copyfile(origin, path)
            if not check_integrity(str(path), md5):
                raise RuntimeError
    except FileNotFoundError as error:
        raise UnavailableError(f"{error.filename} does not exist") from error
    except RuntimeError as error:
        raise UnavailableError(f"{mirror} gives a truncated or altered file (wrong md5)") from error
    except OSError as error:
        if (local := _of_this_disk(error)) is not None:
            raise local from None
        why = getattr(error, "reason", error)
        raise UnavailableError(f"{mirror} cannot be reached ({why})") from error
    return path


def _of_this_disk(error: BaseException | None) -> OSError | None:
    """Find a disk's error in a chain of errors: torchvision tries http once https has failed."""
    while error is not None:
        match error:
            case URLError():
                pass
            case OSError(errno=number, filename=file) if number in FULL or file is not None:
                return error
            case _:
                pass
        error = error.__context__
    return None
