"""A training step of every experiment, as training takes it: its data, its loss, its optimiser.

On noise in the shape of the data, so that nothing needs to be prepared; what images show does not
change how long they take.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from capsnet import config, registry
from capsnet.benchmark.runner import Candidate, Stopwatch
from capsnet.benchmark.textbook import TextbookCapsNet
from capsnet.compose import composed
from capsnet.data.datamodule import TrainingSteps
from capsnet.data.examples import Split, UnshiftedImages
from capsnet.data.loading import dataset_info, load_view
from capsnet.data.specification import DataSpec
from capsnet.kernels.precision import fp32_arithmetic
from capsnet.training.build_network import build_capsnet
from capsnet.training.factory import autocast, build_module

IMAGES = 10_000  # of noise: a table of indices for more would only take longer to make
ENDLESS = 10**9  # steps


class Experiment:
    """An experiment at its full width, with the training kernels or the textbook implementation."""

    def __init__(
        self,
        name: str,
        device: str = "cpu",
        overrides: Sequence[str] = (),
        textbook: bool = False,
    ) -> None:
        kernels = ["trainer.kernels=reference"] if textbook else []
        accelerator = f"trainer.accelerator={device}"
        self.run = paper_run(name, *overrides, *kernels, accelerator)
        self.device, data = torch.device(device), noise(self.run)
        self.data = data.to(self.device)
        batch = self.run.schedule.batch
        self.batches = iter(TrainingSteps(len(data), batch, ENDLESS, 0, lambda: 0, 0, 1))
        info, chosen = dataset_info(self.run.data), self.run.model
        self.module: Any = build_module(self.run, info)
        if textbook and isinstance(chosen, config.CapsNet):
            self.module.network = build_capsnet(TextbookCapsNet, chosen, self.run.recipe, info)
        self.module = self.module.to(device)
        self.adam = self.module.configure_optimizers()["optimizer"]

    def step(self) -> Stopwatch:
        """Take a training step and evaluate a batch."""
        with fp32_arithmetic(self.run.precision):
            return self._step()

    def _step(self) -> Stopwatch:
        watch, arithmetic = Stopwatch(self.device.type), autocast(self.run, self.device)
        step, indices = next(self.batches)
        examples = self.data.examples(indices.to(self.device, non_blocking=True), step)
        watch.mark()
        self.adam.zero_grad()
        with arithmetic:
            loss = torch.stack(list(self.module.losses(examples).values())).sum()
        watch.mark()
        loss.backward()
        watch.mark()
        self.adam.step()
        watch.mark()
        with torch.inference_mode(), arithmetic:
            self.module.scores(examples.images)
        watch.mark()
        return watch


def paper_run(experiment: str, *overrides: str) -> config.RunConfig:
    """Compose the paper's run with `overrides`. Raises UserError for bad ones."""
    return composed(f"experiment={experiment}", "profile=paper", *overrides)


def noise(run: config.RunConfig) -> Split:
    """Make random images in the shape of the run's source, and show them as its view does."""
    random, view = np.random.default_rng(0), load_view(run.data.name)
    source: DataSpec = registry.load("capsnet.sources", run.data.source)
    shape = (IMAGES, *(source.info.image if view.noise else dataset_info(run.data).image))
    images = torch.from_numpy(random.integers(0, 256, shape, np.uint8))
    labels = torch.arange(IMAGES) % len(source.class_names)
    return (view.noise or UnshiftedImages)(images, labels)


def candidates(
    experiment: str, device: str = "cpu", overrides: Sequence[str] = ()
) -> dict[str, Candidate]:
    """Return the experiment with the training kernels and with the textbook's routing.

    In the latter, baselines use torch layers.
    """
    make = partial(Experiment, experiment, device, tuple(overrides))
    return {"training": Candidate(make), "textbook": Candidate(partial(make, textbook=True))}
