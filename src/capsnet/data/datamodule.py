"""The one place where data meets Lightning.

A loader hands out indices only, a few bytes a step; the images lie on the training device and are
put together there. Which examples a step sees is a function of (seed, step): a resumed run sees
what an undisturbed one would, and N processes together see exactly what one would.
"""

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from capsnet.data.counter_rng import permuted
from capsnet.data.examples import Examples, Split, evaluation_batch

BLOCK = 64  # steps whose indices are made together: one by one would cost a part of a GPU's step


def batch_indices(size: int, batch: int, seed: int, step: int) -> Tensor:
    """Choose the `batch` examples of a step, int64: the next ones of endless shuffled epochs.

    Each epoch is a permutation of all `size` examples of its own; a batch may straddle two.
    """
    epochs, places = np.divmod(np.arange(step * batch, (step + 1) * batch), size)
    indices = [permuted(places[epochs == e], size, seed, int(e)) for e in np.unique(epochs)]
    return torch.from_numpy(np.concatenate(indices))


class TrainingSteps(IterableDataset[tuple[int, Tensor]]):
    """Yield (step, indices of this process) for every step from `first()` to the last."""

    def __init__(
        self,
        size: int,
        batch: int,
        steps: int,
        seed: int,
        first: Callable[[], int],
        rank: int,
        world: int,
    ) -> None:
        self.size, self.batch, self.steps, self.seed = size, batch, steps, seed
        self.first, self.rank, self.world = first, rank, world

    def __len__(self) -> int:
        """Count all steps, also when resuming: Lightning counts on from where it was."""
        return self.steps

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        first = self.first()
        for block in range(first // BLOCK, ceil(self.steps / BLOCK)):
            indices = batch_indices(self.size, BLOCK * self.batch, self.seed, block)
            for step, batch in enumerate(indices.split(self.batch), block * BLOCK):
                if first <= step < self.steps:
                    yield step, batch[self.rank :: self.world]


class EvaluationBatches(IterableDataset[tuple[None, Tensor]]):
    """Yield every example exactly once over all processes, without padding the last batch."""

    def __init__(self, size: int, batch: int, rank: int, world: int) -> None:
        self.batches = torch.arange(rank, size, world).split(batch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[None, Tensor]]:
        for indices in self.batches:
            yield None, indices


class ImageDataModule(pl.LightningDataModule):
    """Training and validation (None: there is none) for a run of `steps` steps.

    The test split never comes here: nothing in training may see it.
    """

    def __init__(
        self, train: Split, validation: Split | None, batch: int, steps: int, seed: int
    ) -> None:
        super().__init__()
        self.train, self.validation = train, validation
        self.batch, self.steps, self.seed = batch, steps, seed

    def train_dataloader(self) -> DataLoader[Any]:
        """Return a loader of batches, from the step that the trainer has reached."""
        trainer = self._trainer()
        steps = TrainingSteps(
            len(self.train),
            self.batch,
            self.steps,
            self.seed,
            lambda: trainer.global_step,
            trainer.global_rank,
            trainer.world_size,
        )
        on_gpu = trainer.strategy.root_device.type == "cuda"
        return DataLoader(steps, batch_size=None, pin_memory=on_gpu)  # so that no copy blocks

    def val_dataloader(self) -> DataLoader[Any] | list[Any]:
        """Return a loader of the validation split, or none."""
        if self.validation is None:
            return []
        trainer = self._trainer()
        batches = EvaluationBatches(
            len(self.validation),
            evaluation_batch(trainer.strategy.root_device),
            trainer.global_rank,
            trainer.world_size,
        )
        return DataLoader(batches, batch_size=None)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Examples:
        """Turn indices, now on the device, into examples."""
        step, indices = batch
        split = "train" if self._trainer().training else "validation"
        here: Split = getattr(self, split).to(indices.device)
        setattr(self, split, here)
        return here.examples(indices, step)

    def _trainer(self) -> pl.Trainer:
        assert self.trainer is not None
        return self.trainer
