"""Three ways to the same numbers: textbook stores every vote, reference is `functional`, fast is
`kernels`.
"""

import time
from functools import partial
from itertools import pairwise
from statistics import median

import torch
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from capsnet.benchmark.turns import Candidate, Measured, Timing, ratios, spread
from capsnet.functional import lengths, margin_loss, reconstruction_loss
from capsnet.kernels.networks import FastCapsNet
from capsnet.kernels.textbook import TextbookCapsNet
from capsnet.networks import CapsNet, one_hot

NETWORKS = {"textbook": TextbookCapsNet, "reference": CapsNet, "fast": FastCapsNet}
COLUMNS = (
    "path",
    "step ms",
    "images/s",
    "× textbook",
    "× textbook + keep",
    "× sgemm",  # nominal operations a second, of the direct algorithm, over those of sgemm
    "fwd/bwd/Adam %",
    "evaluation images/s",
    "peak MiB",
)


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


def table(found: dict[str, Measured], sgemm: list[float], flops: int, batch: int) -> Table:
    """What a person looks at; a reader of the JSON gets every round."""
    rounds = f"medians of {len(sgemm)} rounds, (quartiles)"
    shown = Table(*COLUMNS, title=f"MNIST CapsNet, batch {batch}: {rounds}")
    for name, one in found.items():
        parts = [f"{100 * share:.0f}" for part, share in one.shares().items() if part != "data"]
        shown.add_row(
            name,
            f"{1000 * one.seconds():.0f}",
            f"{batch / one.seconds():.0f}",
            spread(ratios(found["textbook"], one)),
            spread(ratios(found["textbook + keep"], one)),
            f"{flops / one.seconds() / median(sgemm):.2f}",
            "/".join(parts),
            f"{batch / one.seconds('evaluation'):.0f}",
            f"{one.peak_mib:.0f}",
        )
    return shown
