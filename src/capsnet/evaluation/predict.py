"""Predictions of a network on a test set."""

from collections.abc import Collection
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from rich.progress import track
from torch import Tensor

from capsnet.data.dataset import DataSet
from capsnet.data.examples import Split, evaluation_batch
from capsnet.metrics import confusion, correct
from capsnet.networks import Baseline, CapsNet


class Predictions(NamedTuple):
    """Mark the examples of a test set that a network got wrong, on the CPU.

    wrong [n], true for each example that is answered wrongly; confusion float64 [classes, classes]
    as `metrics.confusion` counts. Where they were asked for, scores [n, classes], the lengths of a
    CapsNet's capsules, and int16 labels [n, labels].
    """

    wrong: Bool[Tensor, "n"]
    confusion: Float[Tensor, "classes classes"]
    scores: Float[Tensor, "n classes"] | None = None
    labels: Int[Tensor, "n labels"] | None = None


def predict_all(
    network: CapsNet | Baseline,
    data: DataSet,
    progress: bool = True,
    scored: Collection[str] = (),
) -> dict[str, Predictions]:
    """Classify every example of each test set once; keep the scores of the test sets `scored`."""
    return {
        name: predict(network, test.split, progress, name in scored)
        for name, test in data.tests.items()
    }


@torch.inference_mode()
def predict(
    network: CapsNet | Baseline, split: Split, progress: bool = True, scored: bool = False
) -> Predictions:
    """Classify each example of `split` once, on the network's device, in evaluation mode.

    Keeps scores and labels if `scored`: 40 bytes an example of ten classes.
    """
    device = next(network.parameters()).device
    network, split = network.eval(), split.to(device)
    batches = torch.arange(len(split), device=device).split(evaluation_batch(device))
    wrong: list[Tensor] = []
    confused: list[Tensor] = []
    kept: list[tuple[Tensor, Tensor]] = []
    for some in track(batches, description="test", disable=not progress):
        examples = split.examples(some, step=None)
        scores = network.class_scores(examples.images).float()
        wrong.append(~correct(scores, examples.labels))
        confused.append(confusion(scores, examples.labels))
        if scored:
            kept.append((scores.cpu(), examples.labels.short().cpu()))
    both = [torch.cat(parts) for parts in zip(*kept, strict=True)]
    return Predictions(torch.cat(wrong).cpu(), torch.stack(confused).cpu().double().sum(0), *both)
