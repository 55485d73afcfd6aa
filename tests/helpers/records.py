"""A record as a run of the whole paper would leave it, and any part of it changed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from capsnet import config, paper
from capsnet.records.older import DATASETS
from capsnet.records.record import Record, outcome, write_record
from capsnet.records.runs import Run


def record(errors: int = 25, total: int = 10_000, **changes: Any) -> Record:
    """`model` is given as it stands in a file; a source other than mnist is a stand-in."""
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
    values |= changes
    model = {"name": "capsnet"} | values["model"]
    values["model"] = config.MODELS[model["name"]](**model)
    known = DATASETS[values["experiment"].split("_")[0]] if "dataset" not in values else None
    if known is not None:
        stand_in = values["tests"]["test"].source != "mnist"
        values["dataset"] = replace(known, stand_in=stand_in)
    return Record(**values)


def run_of(one: Record, arrays: Mapping[str, NDArray[Any]] | None = None) -> Run:
    """Give the run of a record, with these arrays, which are in no file."""
    run = Run(one, Path("none.json"))
    vars(run)["arrays"] = {**(arrays or {})}  # as a cached property keeps them
    return run


def runs_of(records: Iterable[Record]) -> list[Run]:
    """Give the runs of records that are in no file."""
    return [Run(one, Path(f"{place}.json")) for place, one in enumerate(records)]


def by_path(runs: Iterable[Run]) -> dict[Path, Record]:
    """Give the records of runs by their paths, to be compared."""
    return {run.path: run.record for run in runs}


def of_schema_1(one: Record, path: Path) -> dict[str, Any]:
    """Give the JSON that the first version wrote for the record."""
    write_record(one, path)
    old = json.loads(path.read_text())
    for added in ("schema", "dataset", "overrides", "overrides_known"):
        del old[added]
    old["tests"]["test"]["digits"] = old["tests"]["test"].pop("num_distinct")
    return old
