"""Errors of a network on test images, as they are and attacked."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from rich.progress import track
from torch import Tensor

from capsnet.attack.methods import Attack, Images, Scores, gradient
from capsnet.data.examples import Examples, Split, evaluation_batch
from capsnet.metrics import correct

NEGLIGIBLE = 1e-12  # of the largest gradient
Point = tuple[str, float]  # an attack by name, and its eps


class Target(NamedTuple):
    """A network as the attacker sees it: scores of images in [0, 1], and the loss to maximise.

    `images` takes from examples what is moved; `loss` sums over a batch of such images, whose
    labels are those of the examples.
    """

    images: Callable[[Examples], Images]
    scores: Callable[[Images], Scores]
    loss: Callable[[Images, Examples], Float[Tensor, ""]]


class Found(NamedTuple):
    """Mark the examples that are answered wrongly, clean and at each point; on the CPU.

    `largest` is the largest |∂loss/∂pixel| of each clean image.
    """

    clean: Bool[Tensor, "n"]
    wrong: dict[Point, Bool[Tensor, "n"]]
    largest: Float[Tensor, "n"]

    @property
    def without_gradient(self) -> Bool[Tensor, "n"]:
        """Mark the images whose gradient is 0, or NEGLIGIBLE beside the largest of any image."""
        return self.largest <= NEGLIGIBLE * self.largest.max()


def attack_all(
    target: Target,
    split: Split,
    attacks: Mapping[Point, Attack],
    device: torch.device,
    limit: int | None = None,
    progress: bool = True,
) -> Found:
    """Attack and classify each of the first `limit` examples of `split`, by default all."""
    split = split.to(device)
    count = min(limit or len(split), len(split))
    batches = torch.arange(count, device=device).split(evaluation_batch(device))
    found = [
        attack_batch(target, split.examples(some, step=None), attacks)
        for some in track(batches, description="attack", disable=not progress)
    ]
    wrong = {point: torch.cat([one.wrong[point] for one in found]) for point in attacks}
    clean = torch.cat([one.clean for one in found])
    return Found(clean, wrong, torch.cat([one.largest for one in found]))


@torch.no_grad()
def attack_batch(target: Target, examples: Examples, attacks: Mapping[Point, Attack]) -> Found:
    """Attack and classify one batch. All attacks share the gradient at the clean images."""
    images = target.images(examples)
    ascent = partial(gradient, lambda moved: target.loss(moved, examples))
    clean = ascent(images)

    def direction(moved: Images) -> Images:
        return clean if moved is images else ascent(moved)

    def wrong(moved: Images) -> Tensor:
        return ~correct(target.scores(moved).float(), examples.labels).cpu()

    attacked = {point: wrong(attack(images, direction)) for point, attack in attacks.items()}
    return Found(wrong(images), attacked, clean.abs().flatten(1).amax(1).cpu())
