"""Which test examples a network gets wrong."""

from typing import Any

import torch
from jaxtyping import Bool
from rich.progress import track
from torch import Tensor

from capsnet.data.examples import Split
from capsnet.metrics import correct
from capsnet.modules import DigitsModule

BATCH = 1000


@torch.inference_mode()
def wrong(
    module: DigitsModule[Any], split: Split, device: torch.device, progress: bool = True
) -> Bool[Tensor, "n"]:
    """True for each example of `split` that is answered wrongly, each asked exactly once."""
    module, split = module.to(device).eval(), split.to(device)
    batches = torch.arange(len(split), device=device).split(BATCH)
    answers: list[Tensor] = []
    for indices in track(batches, description="test", disable=not progress):
        examples = split.examples(indices, step=None)
        answers.append(~correct(module.scores(examples.images), examples.labels))
    return torch.cat(answers).cpu()
