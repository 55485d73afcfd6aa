"""`make gpu-check`, or `python -m capsnet.gpu_check`: check this GPU and time it, in ten minutes.

Compares compiled kernels with float64, counts what makes a training step wait, times every setting
in Lightning's loop, and says which to train with and how long the paper takes with them. What it
finds is written after each part, in the form that results/benchmark/ takes.
"""

import argparse
from pathlib import Path

from capsnet.errors import UserError, exit_on_user_error
from capsnet.records.files import check_writable

MINUTES = 9.0  # and a last group of processes may need one more


def main() -> None:
    """Check the GPU, if there is one."""
    asked = arguments()
    with exit_on_user_error():
        if asked.output is not None:
            check_writable("--output", asked.output)
        name = card()
        from capsnet.gpu_check.check import check

        check(asked.output or Path("results/benchmark") / f"{name}.json", asked.minutes)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m capsnet.gpu_check", description=__doc__)
    parser.add_argument("--output", type=Path, help="default: results/benchmark/CARD.json")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="after which it stops")
    return parser.parse_args()


def card() -> str:
    """Return the GPU's name as part of a file's. Raises UserError when there is no GPU."""
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            "this check needs a CUDA GPU, and PyTorch finds none here: run it on a machine where "
            "`nvidia-smi` shows one"
        )
    return "-".join(torch.cuda.get_device_name().lower().split())


if __name__ == "__main__":
    main()
