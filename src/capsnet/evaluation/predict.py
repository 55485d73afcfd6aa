"""Predictions of a network on a test set."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from rich.progress import track
from torch import Tensor

from capsnet.data.dataset import DataSet
from capsnet.data.examples import Split, evaluation_batch
from capsnet.metrics import confusion, correct
from capsnet.networks import Baseline, CapsNet


class Predictions(NamedTuple):
    """Mark the examples of a test set that a network got wrong, on the CPU.

    wrong [n], true for each example that is answered wrongly; confusion float64 [classes, classes]
    as `metrics.confusion` counts.
    """

    wrong: Bool[Tensor, "n"]
    confusion: Float[Tensor, "classes classes"]


def predict_all(
    network: CapsNet | Baseline, data: DataSet, progress: bool = True
) -> dict[str, Predictions]:
    """Classify every example of each test set once."""
    return {name: predict(network, test.split, progress) for name, test in data.tests.items()}


@torch.inference_mode()
def predict(network: CapsNet | Baseline, split: Split, progress: bool = True) -> Predictions:
    """Classify each example of `split` once, on the network's device, in evaluation mode."""
    device = next(network.parameters()).device
    network, split = network.eval(), split.to(device)
    batches = torch.arange(len(split), device=device).split(evaluation_batch(device))
    wrong: list[Tensor] = []
    confused: list[Tensor] = []
    for some in track(batches, description="test", disable=not progress):
        examples = split.examples(some, step=None)
        scores = network.class_scores(examples.images).float()
        wrong.append(~correct(scores, examples.labels))
        confused.append(confusion(scores, examples.labels))
    return Predictions(torch.cat(wrong).cpu(), torch.stack(confused).cpu().double().sum(0))
