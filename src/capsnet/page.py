"""What a finished run's W&B page shows beside its curves: its record, pictures and files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capsnet.results import Record
from capsnet.saving import CONFIG, WEIGHTS

if TYPE_CHECKING:
    import wandb

    Page = wandb.Run

KINDS = ("true", "predicted", "forced")  # as in `illustrate.Shown`


def complete(
    page: "Page",
    record: Record,
    arrays: Mapping[str, NDArray[Any]],
    folder: Path,
    manifests: Sequence[Path],
) -> None:
    """The record as the page's summary, what `illustrate` kept as pictures, data and weights."""
    seen = {"images_seen": float(record.steps_done * record.batch)}
    page.log(seen | histograms(arrays) | pictures(arrays))
    page.summary.update(summary(record))
    for manifest in manifests:
        page.log_artifact(artifact(f"data-{manifest.parent.name}", "dataset", manifest))
    files = folder / WEIGHTS, folder / CONFIG
    page.log_artifact(artifact(f"{record.experiment}-seed{record.seed}", "model", *files))


def artifact(name: str, kind: str, *files: Path) -> "wandb.Artifact":
    """Files that stay where they are until they are uploaded."""
    import wandb

    made = wandb.Artifact(name, kind)
    for file in files:
        made.add_file(str(file), policy="immutable")
    return made


def summary(record: Record) -> dict[str, float | int | None]:
    """The numbers of the record that tables show."""
    counts = {
        f"{name}/{what}": value
        for name, test in record.tests.items()
        for what, value in (("errors", test.errors), ("total", test.total))
    }
    shares = {f"{name}/error": test.errors / test.total for name, test in record.tests.items()}
    return counts | shares | {"steps_done": record.steps_done, "stopped": record.stopped}


def histograms(arrays: Mapping[str, NDArray[Any]]) -> dict[str, "wandb.Histogram"]:
    """Of the capsules' lengths and of the couplings, for networks that have them."""
    import wandb

    if "couplings" not in arrays:
        return {}
    counts = arrays["couplings"]
    edges = np.linspace(0, 1, len(counts) + 1)
    return {
        "capsules/lengths": wandb.Histogram(arrays["lengths"].ravel().tolist()),
        "capsules/couplings": wandb.Histogram(np_histogram=(counts, edges)),
    }


def pictures(arrays: Mapping[str, NDArray[Any]]) -> dict[str, list["wandb.Image"]]:
    """Each example beside its digits alone and what the decoder makes of them."""
    import wandb

    if "targets" not in arrays:
        return {}
    shown = zip(*(arrays[name] for name in ("images", "parts", "targets")), strict=True)
    drawn = arrays["reconstructions"]
    return {
        "reconstructions": [
            wandb.Image(np.hstack([image, *parts, *drawn[place, 0]]), caption=told(targets))
            for place, (image, parts, targets) in enumerate(shown)
        ]
    }


def told(targets: NDArray[np.integer]) -> str:
    """'true 4, predicted 9', say, from targets [3, digits]."""
    words = (" and ".join(map(str, digits)) for digits in targets)
    return ", ".join(f"{kind} {word}" for kind, word in zip(KINDS[:2], words, strict=False))
