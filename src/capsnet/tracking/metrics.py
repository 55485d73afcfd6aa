"""The table of logged numbers: the one place to add a metric for W&B and for the report's page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from capsnet import registry
from capsnet.records.record import Record

CHANGE = "routing/change_"  # before the number of the iteration
Arrays = Mapping[str, NDArray[Any]]
LOSS, ROUTING, THROUGHPUT = "Loss and error", "Routing", "Throughput"  # sections of dashboards


@dataclass(frozen=True)
class Metric:
    """Describe a number that W&B shows as `name`.

    Without `value` it is logged along the training, by the module or a callback, and the dashboards
    draw it over the images seen. With `value` it is computed once from a finished run's record and
    arrays (those of `evaluation.arrays.record_arrays`), becomes part of the run's summary, and the
    dashboards draw a bar for each run; None leaves it out. `section` is its heading in the
    dashboards: without one it is in the summary alone. `remark` says what to know before comparing.
    The report's page shows a `share` in percent.
    """

    name: str
    title: str
    section: str | None = None
    remark: str = ""
    share: bool = False
    value: Callable[[Record, Arrays], float | None] | None = None


def routing_change(iteration: int) -> Metric:
    """Describe by how much a routing iteration changes the logits: [P] figure A.1."""
    return Metric(f"{CHANGE}{iteration}", f"mean |Δb| of iteration {iteration}", ROUTING)


ENTROPY, ERROR = "train/cross_entropy", "validation/error"
METRICS: list[Metric] = [
    Metric("train/margin", "CapsNets: margin loss", LOSS, "not comparable with cross-entropy"),
    Metric(ENTROPY, "baselines: cross-entropy", LOSS, "not comparable with margin loss"),
    Metric(ERROR, "validation error", LOSS, share=True),
    Metric("train/loss", "training loss", LOSS),
    Metric("train/reconstruction", "CapsNets: reconstruction loss", LOSS),
    Metric("learning_rate", "learning rate", LOSS),
    *map(routing_change, (1, 2, 3)),
    Metric("train/images_per_second", "images per second", THROUGHPUT),
    Metric(
        "images_per_second",
        "images per second, over the training",
        THROUGHPUT,
        value=lambda record, _: record.images_per_second,
    ),
    Metric("steps_done", "steps", value=lambda record, _: record.steps_done),
    Metric("stopped", "step at which it stopped", value=lambda record, _: record.stopped),
    Metric("parameters", "parameters", value=lambda record, _: record.parameters),
    Metric("train_seconds", "seconds of training", value=lambda record, _: record.train_seconds),
]


def metrics() -> list[Metric]:
    """List the table's metrics and those of installed packages."""
    group: registry.Group = "capsnet.metrics"
    return [*METRICS, *(registry.load(group, name) for name in registry.names(group))]


def final(record: Record, arrays: Arrays) -> dict[str, float | None]:
    """Compute the metrics of a finished run by name."""
    return {one.name: one.value(record, arrays) for one in metrics() if one.value is not None}
