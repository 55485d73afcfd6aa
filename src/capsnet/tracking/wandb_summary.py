"""A finished run's W&B summary: its record, pictures and files beside its curves."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capsnet.config import CapsNet
from capsnet.paper import TABLES
from capsnet.records.record import Outcome, Record
from capsnet.records.run_folder import CONFIG, WEIGHTS
from capsnet.tracking import metrics

if TYPE_CHECKING:
    import wandb

    Page = wandb.Run

KINDS = ("true", "predicted")  # as `figure_data.Reconstructions` has them, before the absent one
TABLE = "paper"  # the key of the table of ROWS
ROWS = ("table", "row", "run", "seed", "error_percent", "paper_percent")
CONFUSION = "wandb/confusion_matrix/v1"  # W&B's own plot, and its columns
CONFUSED = ("Actual", "Predicted", "nPredictions")


def complete(
    page: "Page",
    record: Record,
    arrays: Mapping[str, NDArray[Any]],
    folder: Path,
    manifests: Sequence[Path],
) -> None:
    """Log the record as the run's summary, the figures' arrays as images, data and weights."""
    seen = {"images_seen": float(record.steps_done * record.batch)}
    names = record.dataset.class_names
    shown = histograms(arrays) | pictures(arrays, names) | confusions(arrays, names)
    shown |= beside_the_paper(record)
    page.log(seen | shown)
    page.summary.update(outcomes(record.tests) | metrics.final(record, arrays))
    for manifest in manifests:
        uses(page, data(manifest))
    made = weights(record.experiment, record.seed, folder)
    page.log_artifact(made, aliases=["latest", alias(made)])


def evaluated(
    page: "Page",
    tests: Mapping[str, Outcome],
    weights: "wandb.Artifact",
    manifests: Sequence[Path],
) -> None:
    """Log the outcomes of `weights` as the summary; the weights and the data as inputs."""
    uses(page, weights)
    for manifest in manifests:
        uses(page, data(manifest))
    page.summary.update(outcomes(tests))


def data(manifest: Path) -> "wandb.Artifact":
    """Describe a prepared set by its manifest, which holds the md5 of each of its files."""
    return artifact(f"data-{manifest.parent.name}", "dataset", manifest)


def weights(experiment: str, seed: int, folder: Path) -> "wandb.Artifact":
    """Describe the trained weights in `folder` and the configuration beside them."""
    return artifact(f"{experiment}-seed{seed}", "model", folder / WEIGHTS, folder / CONFIG)


def artifact(name: str, kind: str, *files: Path) -> "wandb.Artifact":
    """Make an artifact of files that stay where they are until they are uploaded."""
    import wandb

    made = wandb.Artifact(name, kind)
    for file in files:
        made.add_file(str(file), policy="immutable")
    return made


def alias(made: "wandb.Artifact") -> str:
    """Return W&B's digest of the content, which names it wherever it was logged."""
    return made.digest[:12]


def uses(page: "Page", made: "wandb.Artifact") -> None:
    """Log `made` as an input artifact of the run.

    W&B's `use_artifact` logs one that the server may not have and then uses it, but raises without
    a connection. The private call below records the same for `wandb sync`.
    """
    aliases = ["latest", alias(made)]
    if page.offline:
        page._log_artifact(made, aliases=aliases, is_user_created=True, use_after_commit=True)
    else:
        page.use_artifact(made, aliases=aliases)


def outcomes(tests: Mapping[str, Outcome]) -> dict[str, float | None]:
    """Return errors, total and the error as a share of 1 of every test set."""
    found: dict[str, float | None] = {}
    for name, test in tests.items():
        found |= {f"{name}/errors": test.errors, f"{name}/total": test.total}
        found[f"{name}/error"] = test.error
    return found


def histograms(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return histograms of capsule lengths and couplings, for networks that have them."""
    import wandb

    if "couplings" not in arrays:
        return {}
    counts = arrays["couplings"]
    edges = np.linspace(0, 1, len(counts) + 1)
    return {
        "capsules/lengths": wandb.Histogram(arrays["lengths"].ravel().tolist()),
        "capsules/couplings": wandb.Histogram(np_histogram=(counts, edges)),
    }


def pictures(arrays: Mapping[str, NDArray[Any]], class_names: Sequence[str]) -> dict[str, Any]:
    """Show each example beside its objects alone and what the decoder makes of them."""
    import wandb

    if "targets" not in arrays:
        return {}
    names = ("images", "parts", "reconstructions", "targets")
    shown = zip(*(arrays[name] for name in names), strict=True)
    return {
        "reconstructions": [
            wandb.Image(strip(image, parts, drawn[0]), caption=caption(targets, class_names))
            for image, parts, drawn, targets in shown
        ]
    }


def strip(
    image: NDArray[np.uint8], parts: NDArray[np.uint8], drawn: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Put pictures side by side: [h, w], [labels, h, w] twice -> [h, 3 w], of two [h, 6 w, 3].

    Behind two grey objects comes what is drawn of them in one, red and green, as in [P] figure 5.
    Coloured pictures have a last axis of 3.
    """
    row = np.hstack([image, *parts, *drawn])
    if len(drawn) != 2 or image.ndim == 3:
        return row
    overlaid = np.stack([*drawn, np.zeros_like(image)], axis=-1)
    return np.hstack([np.repeat(row[..., None], 3, axis=-1), overlaid])


def caption(targets: NDArray[np.integer], class_names: Sequence[str]) -> str:
    """Write 'true 4, predicted 9', say, from targets [3, labels]; of two, which is red or green."""
    classes: list[list[int]] = targets.tolist()
    named = [[class_names[one] for one in some] for some in classes]
    words = [" and ".join(names) for names in named]
    if targets.shape[1] == 2:
        words[0] = "{} (red) and {} (green)".format(*named[0])
    return ", ".join(f"{kind} {word}" for kind, word in zip(KINDS, words, strict=False))


def confusions(arrays: Mapping[str, NDArray[Any]], class_names: Sequence[str]) -> dict[str, Any]:
    """Plot which class was predicted for which on every test set: see `metrics.confusion`."""
    import wandb

    names = [name for name in arrays if name.startswith("confusion.")]
    return {
        f"{name.removeprefix('confusion.')}/confusion": wandb.plot_table(
            CONFUSION,
            wandb.Table(list(CONFUSED), list(_counts(arrays[name], class_names))),
            {column: column for column in CONFUSED},
            {"title": "classes that are there, and those predicted for them"},
        )
        for name in names
    }


def _counts(confusion: NDArray[np.float64], class_names: Sequence[str]) -> Iterator[list[Any]]:
    for (true, predicted), count in np.ndenumerate(confusion):
        yield [class_names[true], class_names[predicted], float(count)]


def beside_the_paper(record: Record) -> dict[str, Any]:
    """Compare the record's errors with the paper's for that experiment, where there are any.

    A number of the paper that is an ensemble's is left out: a run is one network.
    """
    import wandb

    rows = list(_rows(record))
    return {TABLE: wandb.Table(list(ROWS), rows)} if rows else {}


def _rows(record: Record) -> Iterator[list[Any]]:
    for table in TABLES:
        for row in table.rows:
            if row.experiment == record.experiment and row.test in record.tests:
                test = record.tests[row.test]
                about = (table.title, row.name, which(record, test), str(record.seed))
                comparable = float(row.error_percent) if row.ensemble == 1 else None
                yield [*about, test.error_percent, comparable]


def which(record: Record, test: Outcome) -> str:
    """Describe what distinguishes a run from others of its experiment."""
    model = record.model
    facts = [record.recipe, test.source, f"{record.steps_planned:,} steps of {record.batch}"]
    if isinstance(model, CapsNet):
        facts.append(f"routing {model.routing_iterations}")
    if model.width != 1:
        facts.append(f"width {model.width:g}")
    return ", ".join(facts)
