"""A trained network with its test examples, and what must be known of its weights."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from capsnet import config, paper
from capsnet.analysis import selection
from capsnet.data import storage
from capsnet.data.dataset import TestSet
from capsnet.data.info import DatasetInfo
from capsnet.data.loading import load_dataset, load_view
from capsnet.data.specification import LabelledImages
from capsnet.errors import UserError
from capsnet.evaluate import find_run
from capsnet.explorer.inference import capsule_types
from capsnet.networks import CapsNet
from capsnet.records.record import Record
from capsnet.records.weights import load_weights, read_weights
from capsnet.report.runs import counted
from capsnet.training.build_network import build_network


class ExploredRun(NamedTuple):
    """A trained network and the data that the explorer shows it.

    `network` takes pictures in [0, 1] and standardises them itself if it was trained on such.
    `tests` are its test sets by name, and `max_shift` by how many pixels images were shifted in
    training, on each axis, None where that is not known. `singles` are the images that pairs are
    made of, None for networks of single objects; `record` is None where there is none of these
    weights.
    """

    run: config.RunConfig
    network: CapsNet
    info: DatasetInfo
    tests: dict[str, TestSet]
    max_shift: int | None
    singles: LabelledImages | None
    record: Record | None

    @property
    def dim(self) -> int:
        """Return the dimension of a class capsule."""
        return self.network.class_capsules.weight.shape[-1]

    @property
    def ink(self) -> bool:
        """Tell whether pictures are handwriting, which may be shown inverted."""
        return self.info.ink

    def names(self, classes: list[int]) -> str:
        """Join class names: '4', '4 and 7'."""
        return " and ".join(self.info.class_names[one] for one in classes)


def load_run(checkpoint: Path) -> ExploredRun:
    """Load the weights in a run's folder, on the CPU, with the test data of their run.

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
    data = load_dataset(run)
    # The fast paths are made for the batches of training; here single pictures are looked at.
    reference = replace(run, trainer=replace(run.trainer, kernels="reference"))
    network = build_network(reference, data.info)
    assert isinstance(network, CapsNet)
    load_weights(network, weights, data.image)
    if (normalise := load_view(run.data.name).normalise) is not None:
        network.conv1.register_forward_pre_hook(lambda _, inputs: (normalise(*inputs),))
    pairs, trained = data.info.labels_per_image == 2, find_run(checkpoint)
    return ExploredRun(
        run,
        network.eval(),
        data.info,
        data.tests,
        getattr(data.train, "max_shift", None),
        storage.read_images(Path(run.data.root) / run.data.source) if pairs else None,
        trained.record if trained else None,
    )


def caveats(loaded: ExploredRun) -> list[str]:
    """Name what limits the results: other data or another width, and fewer steps.

    A run that stopped at the accuracy that it was to reach is not a short one.
    """
    run, record = loaded.run, loaded.record
    demo = loaded.info.stand_in or run.model.width != 1
    planned = run.schedule.name == "paper" and run.schedule.steps >= paper.steps(run.name)
    short = selection.is_short(record) if record else not planned
    return ["demo"] * demo + ["short schedule"] * short


def describe(loaded: ExploredRun) -> list[str]:
    """Describe the weights, one fact in each line."""
    run, network, info = loaded.run, loaded.network, loaded.info
    source = loaded.tests["test"].source
    schedule, width = run.schedule, run.model.width
    narrow = f"{width:g} of " if width != 1 else ""
    planned = "" if loaded.record else "planned "  # it may have stopped earlier
    return [
        f"{run.name}, recipe {run.recipe.name}, seed {run.seed}",
        f"trained on {info.name}" + f" ({source} in place of the paper's data)" * info.stand_in,
        f"{narrow}the paper's width: {counted(capsule_types(network), 'type')} of primary capsules "
        f"(the paper: 32), {network.conv1.out_channels} channels (256)",
        f"{_steps(loaded):,} {planned}steps of {schedule.batch} (the paper: "
        f"{paper.steps(run.name):,} of {paper.BATCH}), "
        f"{network.class_capsules.iterations} routing iterations",
        *([describe_errors(loaded.record)] if loaded.record else []),
    ]


def describe_errors(record: Record) -> str:
    """Count the errors on each test set."""
    return "; ".join(
        f"{test.errors:,} errors in {test.total:,} {test.source} test examples "
        f"({test.error_percent:.2f} %)"
        for test in record.tests.values()
    )


def _steps(loaded: ExploredRun) -> int:
    return loaded.record.steps_done if loaded.record else loaded.run.schedule.steps
