"""Three ways to the same numbers: textbook stores every vote, reference is `functional`, fast is
`kernels`.
"""

import time
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from capsnet.benchmark.turns import Candidate, Timing
from capsnet.functional import lengths, margin_loss, reconstruction_loss
from capsnet.kernels.networks import FastCapsNet
from capsnet.kernels.textbook import TextbookCapsNet
from capsnet.networks import CapsNet, one_hot

NETWORKS = {"textbook": TextbookCapsNet, "reference": CapsNet, "fast": FastCapsNet}


class Path:
    """A CapsNet with decoder, its optimiser and one batch of noise."""

    def __init__(
        self, path: str, side: int = 28, batch: int = 128, iterations: int = 3, decoder: bool = True
    ) -> None:
        torch.manual_seed(0)
        self.network = NETWORKS[path]((1, side, side), iterations, decoder)
        self.adam = torch.optim.Adam(self.network.parameters(), fused=path == "fast")
        self.images = torch.rand(batch, 1, side, side)
        self.targets = one_hot(torch.randint(10, (batch,)), 10)

    def loss(self) -> Tensor:
        """Margin and, with a decoder, reconstruction."""
        v = self.network(self.images)
        margin = margin_loss(lengths(v), self.targets)
        if self.network.decoder is None:
            return margin
        return margin + reconstruction_loss(self.network.reconstruct(v, self.targets), self.images)

    def round(self) -> Timing:
        """A training step and an evaluation, timed; the batch is there."""
        clock = [time.perf_counter()]
        self.adam.zero_grad()
        loss = self.loss()
        clock.append(time.perf_counter())
        loss.backward()
        clock.append(time.perf_counter())
        self.adam.step()
        clock.append(time.perf_counter())
        with torch.inference_mode():
            self.network(self.images)
        clock.append(time.perf_counter())
        return Timing(0.0, *(after - before for before, after in pairwise(clock)))


def candidates(batch: int) -> dict[str, Candidate]:
    """Each path on MNIST, without and with memory kept."""
    made = {path: partial(Path, path, batch=batch) for path in NETWORKS}
    apart = {path: Candidate(made[path], keep=False) for path in ("textbook", "fast")}
    return apart | {f"{path} + keep": Candidate(made[path]) for path in NETWORKS}


def nominal_flops(batch: int) -> int:
    """Floating-point operations of a step of the direct algorithm, counted on one example."""
    bench = Path("textbook", batch=1)
    with FlopCounterMode(display=False) as counter:
        bench.loss().backward()
    return batch * counter.get_total_flops()
