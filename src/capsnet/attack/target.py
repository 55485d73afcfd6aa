"""A finished run as the target of an attack: what is moved, its scores, and the loss."""

from collections.abc import Callable

import torch
from torch import Tensor

from capsnet.attack.count import Target
from capsnet.attack.methods import Images, Scores, summed_cross_entropy, summed_score_margin
from capsnet.attack.plan import CROSS_ENTROPY, SCORE_MARGIN, TRAINING
from capsnet.data.examples import Examples
from capsnet.data.loading import load_view
from capsnet.evaluate import LoadedRun
from capsnet.training.build_network import anywhere
from capsnet.training.factory import build_module
from capsnet.training.module import AnyModule

RECONSTRUCTION = "reconstruction"  # the part of the training's loss that no attack maximises
OF_SCORES: dict[str, Callable[[Scores, Tensor], Tensor]] = {
    CROSS_ENTROPY: summed_cross_entropy,
    SCORE_MARGIN: summed_score_margin,
}


def target_of(loaded: LoadedRun, loss: str) -> Target:
    """Make the target of a run under `loss`: training, cross_entropy or score_margin.

    Where the run's view standardises images, the pictures before that are moved.
    """
    normalise = load_view(loaded.run.data.name).normalise
    shown = normalise or (lambda images: images)
    module = module_of(loaded)

    def moved(examples: Examples) -> Images:
        return examples.images if normalise is None else examples.pictures

    def scores(images: Images) -> Scores:
        return module.scores(shown(images))

    def loss_of(images: Images, examples: Examples) -> Tensor:
        if loss == TRAINING:
            return training_loss(module, examples._replace(images=shown(images)))
        return OF_SCORES[loss](scores(images), examples.labels)

    return Target(moved, scores, loss_of)


def module_of(loaded: LoadedRun) -> AnyModule:
    """Build the module that trained the run, with the trained weights, to be evaluated."""
    module = build_module(anywhere(loaded.run), loaded.data.info)
    module.network.load_state_dict(loaded.network.state_dict())
    return module.to(loaded.device).eval().requires_grad_(False)


def training_loss(module: AnyModule, examples: Examples) -> Tensor:
    """Return the loss of the training, summed over the batch, without its reconstruction."""
    parts = module.losses(examples)
    wanted = [part for name, part in parts.items() if name != RECONSTRUCTION]
    return len(examples.images) * torch.stack(wanted).sum()
