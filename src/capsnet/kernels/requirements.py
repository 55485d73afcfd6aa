"""Requirements of compiled kernels, checked before Triton fails with a traceback."""

import os
import shutil
import sysconfig
from pathlib import Path

import torch

from capsnet.errors import UserError

CAPABILITY = (8, 0)  # the oldest that Triton supports; from it on the kernels' 76 KB fit
COLUMNS, BELOW = 256, 16  # padded numbers in the class capsules of an example, and in a primary one


def check_fused() -> None:
    """Raise UserError where the kernels of `routing_triton` cannot run on the current GPU."""
    if not torch.cuda.is_available():
        raise UserError("trainer.kernels=fused needs a CUDA GPU and there is none: use fast")
    capability = torch.cuda.get_device_capability()
    if capability < CAPABILITY:
        raise UserError(
            f"trainer.kernels=fused needs compute capability 8.0 (Ampere) or newer and "
            f"{torch.cuda.get_device_name()} has {capability[0]}.{capability[1]}: use fast"
        )
    check_compiler()


def check_sizes(classes: int, class_dim: int, primary_dim: int) -> None:
    """Raise UserError for capsules so many or so large that a GPU's shared memory is too small."""
    columns = _power_of_two(classes) * max(16, _power_of_two(class_dim))
    if columns > COLUMNS or primary_dim > BELOW:
        raise UserError(
            f"trainer.kernels=fused routes to at most 16 classes of 16 numbers, from {BELOW}, and "
            f"not to {classes} of {class_dim}, from {primary_dim}: use fast"
        )


def _power_of_two(number: int) -> int:
    """Return the least power of two that is at least `number`."""
    return 1 << (number - 1).bit_length()


def check_compiler() -> None:
    """Raise UserError where Triton cannot build launchers: `fused`, and `trainer.compile` on CUDA.

    It looks for a C compiler as Triton does: $CC, gcc, clang.
    """
    if compiler() is None:
        raise UserError(
            "trainer.kernels=fused and trainer.compile=true need a C compiler and there is none: "
            "install gcc or clang, or name one in CC"
        )
    if not header().is_file():
        raise UserError(
            f"trainer.kernels=fused and trainer.compile=true need Python's headers and {header()} "
            "does not exist: install python3-dev (Debian, Ubuntu) or python3-devel (Fedora)"
        )


def compiler() -> str | None:
    """Return the path of the C compiler that Triton would call, or None."""
    names = [os.environ["CC"]] if "CC" in os.environ else ["gcc", "clang"]
    return next(filter(None, map(shutil.which, names)), None)


def header() -> Path:
    """Return where Python.h should be."""
    return Path(sysconfig.get_path("include")) / "Python.h"
