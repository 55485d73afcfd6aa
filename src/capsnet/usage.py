"""The text of `python -m capsnet`: commands, experiments, and the hours of training here.

Hours are an estimate from committed measurements: seconds of a training step times this machine's
rate of fp32 matrix products (sgemm) relative to that of the machine which was measured.
"""

import ctypes
import sys
import time
from statistics import median
from typing import cast

import numpy as np
from omegaconf import DictConfig, OmegaConf

from capsnet import paper
from capsnet.compose import names
from capsnet.config import CONF

HELP = ("--help", "-h")
COMMANDS = {
    "prepare": "build a data set in data/",
    "train": "train a network, test it and write its record",
    "evaluate": "test the weights of a finished run",
    "attack": "accuracy of a finished run under FGSM and BIM",
    "ensemble": "errors of the models of several seeds together",
    "report": "tables, figures and one page of all results",
    "explorer": "look into a trained CapsNet, in the browser",
    "parallel_repro": "run the stages of dvc.yaml side by side",
    "compose": "write the configurations that dvc.yaml trains",
    "benchmark": "time training steps on this machine",
    "gpu_check": "check and time a GPU, and recommend settings",
    "tracking.dashboards": "make W&B's workspace and report",
}
SCHEDULES = ("short", "epochs50", "paper")  # whose hours are shown
BATCH = 128  # images a step, where these were measured

# 10^9 operations of sgemm that take as long as one training step: the least and the most of the
# CPUs in results/benchmark/*.json, median step × median sgemm rate. tests/test_usage.py compares.
STEP_SGEMM = {
    "affnist_baseline": (156, 250),
    "affnist_capsnet": (183, 342),
    "cifar10_capsnet": (800, 800),
    "mnist_baseline": (309, 490),
    "mnist_capsnet_r1": (47, 91),
    "mnist_capsnet_r1_recon": (47, 93),
    "mnist_capsnet_r3": (62, 127),
    "mnist_capsnet_r3_recon": (61, 126),
    "multimnist_baseline": (205, 378),
    "multimnist_capsnet_r1_recon": (100, 162),
    "multimnist_capsnet_r3_recon": (142, 251),
    "smallnorb_capsnet": (199, 199),
    "svhn_capsnet": (59, 59),
}

TEXT = """\
capsnet: 'Dynamic Routing Between Capsules' (Sabour, Frosst, Hinton 2017), reproduced

Commands (each of them has --help):
{commands}

Examples:
  # without a download: 1,797 small digits, and a short training of a small network
  python -m capsnet.prepare digits
  python -m capsnet.train experiment=mnist_capsnet_r3_recon profile=demo
  # on MNIST: ten epochs, fifty, and the paper's 640
  python -m capsnet.prepare mnist
  python -m capsnet.train experiment=mnist_capsnet_r3_recon schedule=short
  python -m capsnet.train experiment=mnist_capsnet_r3_recon schedule=epochs50
  python -m capsnet.train experiment=mnist_capsnet_r3_recon
  # three seeds, one after the other
  python -m capsnet.train -m experiment=mnist_capsnet_r3 schedule=short seed=0,1,2
  # every value of a run, without training
  python -m capsnet.train experiment=mnist_capsnet_r3 --cfg job

What `capsnet.train` takes:
  experiment=   one of those below
{choices}
  KEY=VALUE     any other value, such as seed=1 or model.width=0.5
  --hydra-help  Hydra's own options

Hours of training on this machine, an estimate:
  {header}
{hours}
The estimate takes this machine's fp32 matrix products, {rate:.0f} GFLOP/s just now, and
training steps measured on two kinds of CPU with two threads, which give the least
and the most; those of section 7 on one. Testing is not in it (MultiMNIST's 10
million pairs take hours), and affNIST's runs end at an accuracy: the first six did
after 9,500 to 16,500 of the 300,000 steps.
{gpu}
"""
NO_GPU = "No GPU was found here. docs/gpu.md has what was measured on one."
GPU = "There is a GPU here, but the hours are those of this CPU: docs/gpu.md, `make gpu-check`."


def answer_help() -> None:
    """Print the guide and exit if the command line asks for help."""
    if set(HELP) & set(sys.argv[1:]):
        print(text(), end="")
        raise SystemExit


def text() -> str:
    """Return the guide, with hours for this machine as busy as it is now."""
    rate = sgemm_rate()
    commands = (f"  python -m capsnet.{name:<22}{about}" for name, about in COMMANDS.items())
    choices = (
        f"  {f'{group}=':<14}{', '.join(names(group))}"
        for group in ("schedule", "profile", "recipe", "data", "logger")
    )
    return TEXT.format(
        commands="\n".join(commands),
        choices="\n".join(choices),
        header=_line("schedule=", [*SCHEDULES]),
        hours="\n".join(f"  {_line(name, _hours(name, rate))}" for name in names("experiment")),
        rate=rate / 1e9,
        gpu=GPU if gpu_present() else NO_GPU,
    )


def _line(experiment: str, cells: list[str]) -> str:
    return f"{experiment:<28}" + "".join(f"{cell:>14}" for cell in cells)


def _hours(experiment: str, rate: float) -> list[str]:
    if experiment not in STEP_SGEMM:
        return ["not measured" for _ in SCHEDULES]
    return ["–".join(map(_digits, hours(experiment, name, rate))) for name in SCHEDULES]


def _digits(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}"


def hours(experiment: str, schedule: str, rate: float) -> tuple[float, float]:
    """Estimate the least and the most hours of a run, where sgemm does `rate` FLOP/s."""
    values = cast(DictConfig, OmegaConf.load(CONF / "schedule" / f"{schedule}.yaml"))
    planned = paper.steps(experiment) if schedule == "paper" else values["steps"]
    steps = planned * values.get("batch", BATCH) / BATCH
    low, high = (steps * cost * 1e9 / rate / 3600 for cost in STEP_SGEMM[experiment])
    return low, high


def sgemm_rate(side: int = 1024, rounds: int = 7) -> float:
    """Time fp32 products of two square matrices; return the median FLOP/s."""
    matrix = np.ones((side, side), np.float32)
    return median(2 * side**3 / _seconds(matrix) for _ in range(rounds))


def _seconds(matrix: np.ndarray) -> float:
    start = time.perf_counter()
    np.matmul(matrix, matrix)
    return time.perf_counter() - start


def gpu_present() -> bool:
    """Ask NVIDIA's driver for a GPU, which takes less time than importing torch."""
    try:
        return ctypes.CDLL("libcuda.so.1").cuInit(0) == 0
    except OSError:
        return False
