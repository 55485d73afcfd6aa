"""Imports of large packages in less time."""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without garbage collection, and leave what was imported out of later collections.

    Torch and Lightning leave little garbage when they are imported, but so many objects that each
    pass through all of them takes tenths of a second.
    """
    known, enabled = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
            atexit.register(gc.unfreeze)  # else modules written in C report leaks at the end
        if enabled:
            gc.enable()
