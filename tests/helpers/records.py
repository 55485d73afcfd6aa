"""A record as a run of the whole paper would leave it, and any part of it changed."""

from typing import Any

from capsnet import paper
from capsnet.records.record import Record, outcome


def record(errors: int = 25, total: int = 10_000, **changes: Any) -> Record:
    test = outcome("mnist", errors, total)
    values: dict[str, Any] = {
        "experiment": "mnist_capsnet_r3_recon",
        "seed": 0,
        "recipe": "released",
        "schedule": "paper",
        "steps_done": paper.STEPS,
        "steps_planned": paper.STEPS,
        "stop_at": None,
        "stopped": None,
        "batch": 128,
        "tests": {"test": test},
        "training_examples": 60_000,
        "parameters": 8_215_728,
        "model": {"name": "capsnet", "width": 1.0, "routing_iterations": 3, "decoder": True},
        "train_seconds": 300.0,
        "images_per_second": 128_000.0,
        "device": "none: made up by a test",
        "identity": {"data": "the same"},
        "commit": None,
        "clean": None,
        "versions": {},
        "wandb_id": None,
    }
    return Record(**(values | changes))
