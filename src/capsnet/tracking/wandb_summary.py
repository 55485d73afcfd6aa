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

if TYPE_CHECKING:
    import wandb

    Page = wandb.Run

KINDS = ("true", "predicted")  # as `figure_data.Shown` has them, before the forced ones
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
    """The record as the page's summary, what `illustrate` kept as pictures, data and weights."""
    seen = {"images_seen": float(record.steps_done * record.batch)}
    shown = histograms(arrays) | pictures(arrays) | confusions(arrays) | beside_the_paper(record)
    page.log(seen | shown)
    page.summary.update(summary(record))
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
    """The outcomes of `weights` as the page's summary; the weights and the data as its inputs."""
    uses(page, weights)
    for manifest in manifests:
        uses(page, data(manifest))
    page.summary.update(outcomes(tests))


def data(manifest: Path) -> "wandb.Artifact":
    """A prepared set, by its manifest, which holds the md5 of each of its files."""
    return artifact(f"data-{manifest.parent.name}", "dataset", manifest)


def weights(experiment: str, seed: int, folder: Path) -> "wandb.Artifact":
    """The trained weights in `folder` and the configuration beside them."""
    return artifact(f"{experiment}-seed{seed}", "model", folder / WEIGHTS, folder / CONFIG)


def artifact(name: str, kind: str, *files: Path) -> "wandb.Artifact":
    """Files that stay where they are until they are uploaded."""
    import wandb

    made = wandb.Artifact(name, kind)
    for file in files:
        made.add_file(str(file), policy="immutable")
    return made


def alias(made: "wandb.Artifact") -> str:
    """Return W&B's digest of the content, which names it wherever it was logged."""
    return made.digest[:12]


def uses(page: "Page", made: "wandb.Artifact") -> None:
    """Name `made` as what the run was made from.

    W&B's `use_artifact` logs one that the server may not have and then uses it, but raises without
    a connection. What it calls writes the same down for `wandb sync`.
    """
    aliases = ["latest", alias(made)]
    if page.offline:
        page._log_artifact(made, aliases=aliases, is_user_created=True, use_after_commit=True)
    else:
        page.use_artifact(made, aliases=aliases)


def summary(record: Record) -> dict[str, float | int | None]:
    """The numbers of the record that tables show."""
    alone = ("steps_done", "stopped", "parameters", "train_seconds", "images_per_second")
    return outcomes(record.tests) | {name: getattr(record, name) for name in alone}


def outcomes(tests: Mapping[str, Outcome]) -> dict[str, float | int | None]:
    """Return errors, total and the error as a share of 1 of every test set."""
    told: dict[str, float | int | None] = {}
    for name, test in tests.items():
        told |= {f"{name}/errors": test.errors, f"{name}/total": test.total}
        told[f"{name}/error"] = test.error
    return told


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


def pictures(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Each example beside its digits alone and what the decoder makes of them."""
    import wandb

    if "targets" not in arrays:
        return {}
    names = ("images", "parts", "reconstructions", "targets")
    shown = zip(*(arrays[name] for name in names), strict=True)
    return {
        "reconstructions": [
            wandb.Image(strip(image, parts, drawn[0]), caption=caption(targets))
            for image, parts, drawn, targets in shown
        ]
    }


def strip(
    image: NDArray[np.uint8], parts: NDArray[np.uint8], drawn: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """[h, w], [digits, h, w] twice -> one digit [h, 3 w], two [h, 6 w, 3].

    Behind two digits comes what is drawn of them in one, red and green, as in [P] figure 5.
    """
    row = np.hstack([image, *parts, *drawn])
    if len(drawn) == 1:
        return row
    overlaid = np.stack([*drawn, np.zeros_like(image)], axis=-1)
    return np.hstack([np.repeat(row[..., None], 3, axis=-1), overlaid])


def caption(targets: NDArray[np.integer]) -> str:
    """'true 4, predicted 9', say, from targets [3, digits]; of two, which is red and green."""
    words = [" and ".join(map(str, digits)) for digits in targets]
    if targets.shape[1] == 2:
        words[0] = "{} (red) and {} (green)".format(*targets[0])
    return ", ".join(f"{kind} {word}" for kind, word in zip(KINDS, words, strict=False))


def confusions(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Plot which digit was answered for which on every test set: see `metrics.confusion`."""
    import wandb

    names = [name for name in arrays if name.startswith("confusion.")]
    return {
        f"{name.removeprefix('confusion.')}/confusion": wandb.plot_table(
            CONFUSION,
            wandb.Table(list(CONFUSED), list(_counts(arrays[name]))),
            {column: column for column in CONFUSED},
            {"title": "digits that are there, and those answered for them"},
        )
        for name in names
    }


def _counts(confusion: NDArray[np.float64]) -> Iterator[list[Any]]:
    for (true, predicted), count in np.ndenumerate(confusion):
        yield [str(true), str(predicted), float(count)]


def beside_the_paper(record: Record) -> dict[str, Any]:
    """The record's errors beside what the paper reports for that experiment, where it does."""
    import wandb

    rows = list(_rows(record))
    return {TABLE: wandb.Table(list(ROWS), rows)} if rows else {}


def _rows(record: Record) -> Iterator[list[Any]]:
    for table in TABLES:
        for row in table.rows:
            if row.experiment == record.experiment and row.test in record.tests:
                test = record.tests[row.test]
                about = (table.title, row.name, which(record, test), str(record.seed))
                yield [*about, test.error_percent, float(row.error_percent)]


def which(record: Record, test: Outcome) -> str:
    """Describe what distinguishes a run from others of its experiment."""
    model = record.model
    facts = [record.recipe, test.source, f"{record.steps_planned:,} steps of {record.batch}"]
    if isinstance(model, CapsNet):
        facts.append(f"routing {model.routing_iterations}")
    if model.width != 1:
        facts.append(f"width {model.width:g}")
    return ", ".join(facts)
