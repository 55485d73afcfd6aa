"""Facts about a machine with a GPU: card, driver, packages, and what compiling kernels needs."""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, version

import torch

from capsnet.kernels import requirements

GIB = 2**30
UNKNOWN = "not found"


def facts() -> dict[str, str]:
    """Return what there is by name, in words, for the current CUDA GPU."""
    card = torch.cuda.get_device_properties(torch.cuda.current_device())
    free, total = torch.cuda.mem_get_info()
    header = requirements.header()
    return {
        "GPU": f"{card.name}, {card.multi_processor_count} multiprocessors",
        "compute capability": f"{card.major}.{card.minor}",
        "memory": f"{free / GIB:.1f} of {total / GIB:.1f} GiB free",
        "driver": driver(),
        "torch": f"{torch.__version__}, CUDA {torch.version.cuda}",
        "triton": package("triton"),
        "C compiler": requirements.compiler() or UNKNOWN,
        "Python.h": str(header) if header.is_file() else UNKNOWN,
        "processor cores": str(os.cpu_count()),
    }


def driver() -> str:
    """Return the version of NVIDIA's driver, as nvidia-smi tells it."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    return done.stdout.split()[0]


def package(name: str) -> str:
    """Return the version of an installed package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return UNKNOWN
