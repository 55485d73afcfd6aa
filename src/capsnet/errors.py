"""Errors that the user can fix, printed as one line instead of a traceback."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED, BROKEN_PIPE = 130, 141  # exit codes that a shell gives to SIGINT and SIGPIPE


class UserError(Exception):
    """Says what is wrong, where, and what would be right."""


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Surround an entry point: print its errors in one line, without a traceback.

    Exits with 1 for a UserError, a failing disk or a package that is not installed, with 130 for
    Ctrl-C, and silently with 141 when the reader of the output is gone, as after `| head`.
    """
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        # Python would warn at its end of the coroutines, W&B's for one, that had not begun yet.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        print("stopped by Ctrl-C", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would report the same error again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(BROKEN_PIPE) from None
    except ImportError as error:
        if (error.name or "").startswith("capsnet"):
            raise
        print(f"error: {error}: `pip install -e '.[pipeline]'` installs it", file=sys.stderr)
        raise SystemExit(1) from None
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
