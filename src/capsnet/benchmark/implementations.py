"""Three ways to the same numbers: textbook stores every vote, reference is `functional`, fast is
`kernels`; and on a GPU every setting.
"""

from functools import partial

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from capsnet.benchmark.experiments import Experiment
from capsnet.benchmark.runner import Candidate, Stopwatch
from capsnet.benchmark.settings import Setting, settings
from capsnet.benchmark.textbook import TextbookCapsNet
from capsnet.functional import lengths, margin_loss, reconstruction_loss
from capsnet.kernels.networks import FastCapsNet
from capsnet.kernels.precision import fp32_arithmetic
from capsnet.networks import CapsNet, one_hot

EXPERIMENT = "mnist_capsnet_r3_recon"
NETWORKS = {"textbook": TextbookCapsNet, "reference": CapsNet, "fast": FastCapsNet}


class Implementation:
    """A CapsNet of NETWORKS, its optimiser and one batch of noise."""

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
        self.device = device
        self.network = NETWORKS[path]((1, side, side), iterations, decoder).to(device)
        self.adam = torch.optim.Adam(self.network.parameters(), fused=path == "fast")
        self.images = torch.rand(batch, 1, side, side).to(device)
        self.targets = one_hot(torch.randint(10, (batch,)), 10).to(device)

    def loss(self) -> Tensor:
        """Compute the margin loss and, with a decoder, the reconstruction loss."""
        v = self.network(self.images)
        margin = margin_loss(lengths(v), self.targets)
        if self.network.decoder is None:
            return margin
        return margin + reconstruction_loss(self.network.reconstruct(v, self.targets), self.images)

    @fp32_arithmetic("32-true")
    def step(self) -> Stopwatch:
        """Take a training step and evaluate the batch."""
        watch = Stopwatch(self.device)
        watch.mark()
        self.adam.zero_grad()
        loss = self.loss()
        watch.mark()
        loss.backward()
        watch.mark()
        self.adam.step()
        watch.mark()
        with torch.inference_mode():
            self.network(self.images)
        watch.mark()
        return watch


def candidates(batch: int, device: str = "cpu") -> dict[str, Candidate]:
    """Return each implementation on MNIST: on a CPU with and without kept memory, else `on_gpu`."""
    if device != "cpu":
        return on_gpu(batch, device)
    made = {path: partial(Implementation, path, batch=batch) for path in NETWORKS}
    apart = {path: Candidate(made[path], keep=False) for path in ("textbook", "fast")}
    return apart | {f"{path} + keep": Candidate(made[path]) for path in NETWORKS}


def on_gpu(batch: int, device: str) -> dict[str, Candidate]:
    """Return the textbook, the reference and every setting, each a step as training takes it."""
    make = partial(Experiment, EXPERIMENT, device)
    sized, plain = f"schedule.batch={batch}", Setting("reference").overrides
    theirs = {
        "textbook": partial(make, (sized, *plain), textbook=True),
        "reference": partial(make, (sized, *plain)),
    }
    ours = {one.name: partial(make, (sized, *one.overrides)) for one in settings("fast", "fused")}
    return {path: Candidate(made) for path, made in (theirs | ours).items()}


def nominal_flops(batch: int) -> int:
    """Count floating-point operations of a step of the direct algorithm, on one example."""
    bench = Implementation("textbook", batch=1)
    with FlopCounterMode(display=False) as counter:
        bench.loss().backward()
    return batch * counter.get_total_flops()
