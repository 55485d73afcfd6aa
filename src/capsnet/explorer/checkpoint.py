"""A trained network with its test examples, and what must be known of its weights."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from capsnet import config, paper
from capsnet.data import expanded, storage
from capsnet.data.dataset import TestSet
from capsnet.data.expanded import ExpandedImages
from capsnet.data.loading import load_dataset
from capsnet.data.multimnist import MultiMnist
from capsnet.errors import UserError
from capsnet.networks import CapsNet
from capsnet.records.record import Record, read_record
from capsnet.records.run_folder import run_folder
from capsnet.records.weights import load_weights, read_weights
from capsnet.report.analysis import selection
from capsnet.report.analysis.runs import counted
from capsnet.training import fingerprint
from capsnet.training.factory import build_network


class Subject(NamedTuple):
    """A network and all that the explorer shows it.

    `tests` are its test sets by name; `digits` [n, 28, 28] and `labels` [n] the single test digits
    that pairs are laid of; `record` is None where there is none of these weights.
    """

    run: config.RunConfig
    network: CapsNet
    side: int  # pixels of its frame
    tests: dict[str, TestSet]
    digits: UInt8[np.ndarray, "n 28 28"]
    labels: Int[np.ndarray, "n"]
    record: Record | None


def opened(checkpoint: Path) -> Subject:
    """The weights in a run's folder, on the CPU, with the test data of their run.

    Raises UserError when there are none, when they are of a network that has no capsules or no
    decoder, or when their data are not prepared.
    """
    run, weights = read_weights(checkpoint)
    if not isinstance(run.model, config.CapsNet):
        raise UserError(f"{checkpoint} is a {run.model.name}: the explorer shows CapsNets only")
    if not run.model.decoder:
        raise UserError(
            f"{checkpoint} has no decoder, and so no reconstruction that could be shown: "
            "take a run of an experiment that ends with _recon"
        )
    data, root = load_dataset(run), Path(run.data.root)
    # The fast paths are made for the batches of training; here single pictures are looked at.
    reference = replace(run, trainer=replace(run.trainer, kernels="reference"))
    network = build_network(reference, data.info)
    assert isinstance(network, CapsNet)
    load_weights(network, weights, data.image)
    digits = storage.read_images(root / run.data.source)
    return Subject(
        run,
        network.eval(),
        data.image[1],
        data.tests,
        np.array(digits.test_images[:, 0]),
        np.array(digits.test_labels),
        record(run, run_folder(checkpoint)),
    )


def record(run: config.RunConfig, folder: Path) -> Record | None:
    """The record of the very run, where its folder or the run says it lies."""
    places = [folder / "record.json", *([Path(run.record)] if run.record else [])]
    digest = fingerprint.config_digest(run)
    for place in places:
        if place.is_file():
            found = read_record(place)
            if (found.seed, found.identity.get("config")) == (run.seed, digest):
                return found
    return None


def marks(subject: Subject) -> list[str]:
    """Name the caveats: other digits or a narrower network, and fewer steps.

    A run that stopped at the accuracy that it was to reach is not a short one.
    """
    run, record = subject.run, subject.record
    demo = subject.tests["test"].source != "mnist" or run.model.width != 1
    planned = run.schedule.name == "paper" and run.schedule.steps >= paper.STEPS
    short = selection.is_short(record) if record else not planned
    return ["demo"] * demo + ["short schedule"] * short


def about(subject: Subject) -> list[str]:
    """Describe the weights, one fact in each line."""
    run, network = subject.run, subject.network
    source, schedule, width = subject.tests["test"].source, run.schedule, run.model.width
    types = network.primary.conv.out_channels // network.primary.dim
    narrow = f"{width:g} of " if width != 1 else ""
    planned = "" if subject.record else "planned "  # it may have stopped earlier
    return [
        f"{run.name}, recipe {run.recipe.name}, seed {run.seed}",
        f"trained on {source}" + ", which are not MNIST" * (source != "mnist"),
        f"{narrow}the paper's width: {counted(types, 'type')} of primary capsules "
        f"(the paper: 32), {network.conv1.out_channels} channels (256)",
        f"{_steps(subject):,} {planned}steps of {schedule.batch} (the paper: {paper.STEPS:,} of "
        f"{paper.BATCH}), {network.class_capsules.iterations} routing iterations",
        *([errors(subject.record)] if subject.record else []),
    ]


def errors(record: Record) -> str:
    """On each test set."""
    return "; ".join(
        f"{test.errors:,} errors in {test.total:,} {test.source} test examples "
        f"({test.error_percent:.2f} %)"
        for test in record.tests.values()
    )


def trained_shift(subject: Subject) -> int:
    """By how many pixels digits were moved in training, on each axis."""
    match subject.tests["test"].split:
        case MultiMnist(max_shift=max_shift):
            return max_shift
        case ExpandedImages():
            return expanded.MAX_SHIFT
        case _:
            return subject.run.data.shift


def _steps(subject: Subject) -> int:
    return subject.record.steps_done if subject.record else subject.run.schedule.steps
