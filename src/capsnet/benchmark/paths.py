"""Three ways to the same numbers: textbook stores every vote, reference is `functional`, fast is
`kernels`.
"""

from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from capsnet.benchmark.textbook import TextbookCapsNet
from capsnet.benchmark.turns import Candidate, Stopwatch
from capsnet.functional import lengths, margin_loss, reconstruction_loss
from capsnet.kernels.compiled import compiled
from capsnet.kernels.networks import FastCapsNet, FusedCapsNet
from capsnet.networks import CapsNet, one_hot

NETWORKS = {
    "textbook": TextbookCapsNet,
    "reference": CapsNet,
    "fast": FastCapsNet,
    "fused": FusedCapsNet,
}
ON_CPU = ("textbook", "reference", "fast")
ON_GPU = (*NETWORKS, "fast bf16", "fused bf16", "fast bf16 compiled", "fused bf16 compiled")


class Path:
    """A CapsNet, its optimiser and one batch of noise; `path` a network and how it is computed."""

    def __init__(
        self,
        path: str,
        side: int = 28,
        batch: int = 128,
        iterations: int = 3,
        decoder: bool = True,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(0)
        name, *how = path.split()
        self.device = device
        self.autocast = torch.autocast(device, torch.bfloat16) if "bf16" in how else nullcontext()
        self.network = NETWORKS[name]((1, side, side), iterations, decoder).to(device)
        if "compiled" in how:
            self.loss = compiled(self.loss)
        plain = name in ("textbook", "reference")
        self.adam = torch.optim.Adam(self.network.parameters(), fused=not plain)
        self.images = torch.rand(batch, 1, side, side).to(device)
        self.targets = one_hot(torch.randint(10, (batch,)), 10).to(device)

    def loss(self) -> Tensor:
        """Margin and, with a decoder, reconstruction."""
        with self.autocast:
            v = self.network(self.images)
        margin = margin_loss(lengths(v), self.targets)
        if self.network.decoder is None:
            return margin
        return margin + reconstruction_loss(self.network.reconstruct(v, self.targets), self.images)

    def step(self) -> Stopwatch:
        """A training step and an evaluation; the batch is there."""
        watch = Stopwatch(self.device)
        watch.mark()
        self.adam.zero_grad()
        loss = self.loss()
        watch.mark()
        loss.backward()
        watch.mark()
        self.adam.step()
        watch.mark()
        with torch.inference_mode(), self.autocast:
            self.network(self.images)
        watch.mark()
        return watch


def candidates(batch: int, device: str = "cpu") -> dict[str, Candidate]:
    """Each path on MNIST; on a CPU without and with memory kept."""
    if device != "cpu":
        return {path: Candidate(partial(Path, path, batch=batch, device=device)) for path in ON_GPU}
    made = {path: partial(Path, path, batch=batch) for path in ON_CPU}
    apart = {path: Candidate(made[path], keep=False) for path in ("textbook", "fast")}
    return apart | {f"{path} + keep": Candidate(made[path]) for path in ON_CPU}


def nominal_flops(batch: int) -> int:
    """Floating-point operations of a step of the direct algorithm, counted on one example."""
    bench = Path("textbook", batch=1)
    with FlopCounterMode(display=False) as counter:
        bench.loss().backward()
    return batch * counter.get_total_flops()
