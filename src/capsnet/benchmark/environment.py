"""The machine and the versions of a benchmark: the head of its JSON."""

from collections.abc import Sequence
from typing import Any

import torch

from capsnet.records.provenance import processor, versions


def environment(device: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the machine, what runs on it, and the `overrides` of all experiments."""
    gpu = device == "cuda"
    return {
        "device": device,
        "processor": torch.cuda.get_device_name() if gpu else processor(),
        "threads": torch.get_num_threads(),
        "overrides": list(overrides),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "versions": versions(),
    }
