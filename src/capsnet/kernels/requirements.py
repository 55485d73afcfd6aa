"""What compiled kernels need of a machine, asked before Triton fails with a traceback."""

import os
import shutil
import sysconfig
from pathlib import Path

import torch

CAPABILITY = (8, 0)  # the oldest that Triton supports; from it on the kernels' 76 KB fit


def lacking_for_fused() -> str | None:
    """Name what the kernels of `kernels.fused` lack here, to follow "needs"; None: nothing."""
    if not torch.cuda.is_available():
        return "a CUDA GPU, and there is none"
    capability = torch.cuda.get_device_capability()
    if capability < CAPABILITY:
        has = f"{torch.cuda.get_device_name()} has {capability[0]}.{capability[1]}"
        return f"a GPU of compute capability 8.0 (Ampere) or newer, and {has}"
    return lacking_for_compiling()


def lacking_for_compiling() -> str | None:
    """Name what Triton lacks to build its launchers, to follow "needs"; None: nothing.

    `trainer.compile` on CUDA needs it, and so does `fused`.
    """
    if compiler() is None:
        return "a C compiler, and there is none: install gcc or clang, or name one in CC"
    if not header().is_file():
        return (
            f"Python's headers, and {header()} does not exist: install python3-dev (Debian, "
            "Ubuntu) or python3-devel (Fedora)"
        )
    return None


def compiler() -> str | None:
    """Return the path of the C compiler that Triton would call, or None."""
    names = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]
    return next(filter(None, map(shutil.which, names)), None)


def header() -> Path:
    """Return where Python.h should be."""
    return Path(sysconfig.get_path("include")) / "Python.h"
