"""Losses of whole modules, against sums done by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from capsnet.data.examples import Examples
from capsnet.functional import lengths, margin_loss, reconstruction_loss
from capsnet.networks import Baseline, CapsNet
from capsnet.training.module import BaselineModule, CapsNetModule, Optimisation


def pairs(side: int = 21) -> Examples:
    """Three pictures of two digits each."""
    torch.manual_seed(0)
    parts = torch.rand(3, 2, 1, side, side)
    return Examples(parts.sum(1).clamp(max=1), torch.tensor([[3, 7], [0, 9], [5, 1]]), parts)


def baseline(logits: Tensor) -> BaselineModule:
    """A module whose network always answers `logits`."""

    class Answer(Baseline):
        def forward(self, input: Tensor) -> Tensor:
            return logits

    return BaselineModule(Answer(), Optimisation(), 0)


class Weights(Baseline):
    """A network that is its weights alone."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(values))


def test_steps_are_those_of_adam_written_out_with_a_rate_that_decays_each_step() -> None:
    start, gradients = [1.0, -2.0], [[0.5, 1e-8], [-3.0, 2e-8], [0.1, 1e-8]]
    network = Weights(start)
    optimiser: Any = BaselineModule(network, Optimisation(0.01, 0.5, 1, 1e-6), 0)
    made = optimiser.configure_optimizers()
    assert made["lr_scheduler"]["interval"] == "step"
    w, m, v = np.array(start), np.zeros(2), np.zeros(2)
    for t, gradient in enumerate(np.array(gradients), 1):
        network.weights.grad = torch.from_numpy(gradient).float()
        made["optimizer"].step()
        made["lr_scheduler"]["scheduler"].step()
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        update = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        w = w - 0.01 * 0.5 ** (t - 1) * update
    np.testing.assert_allclose(network.weights.detach().numpy(), w, rtol=1e-5)


def test_one_digit_has_softmax_cross_entropy() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]])
    images = torch.zeros(2, 1, 5, 5)
    examples = Examples(images, torch.tensor([[0], [2]]), images[:, None])
    loss = baseline(logits).losses(examples)["cross_entropy"]
    first = -np.log(np.exp(2) / (np.exp(2) + 1 + np.exp(-1)))
    assert float(loss) == pytest.approx((first + np.log(3)) / 2, rel=1e-6)


def test_two_digits_have_sigmoid_cross_entropy() -> None:
    logits = torch.linspace(-2, 2, 30).reshape(3, 10)
    loss = baseline(logits).losses(pairs())["cross_entropy"]
    p = 1 / (1 + np.exp(-logits.double().numpy()))
    present = np.zeros((3, 10), bool)
    present[[0, 0, 1, 1, 2, 2], [3, 7, 0, 9, 5, 1]] = True
    assert float(loss) == pytest.approx(-np.log(np.where(present, p, 1 - p)).mean(), rel=1e-6)


def test_each_of_two_digits_is_drawn_alone_against_its_own_picture() -> None:
    torch.manual_seed(1)
    network = CapsNet((1, 21, 21), channels=4, types=2, decoder_hidden=(8, 8))
    module, examples = CapsNetModule(network, "text", Optimisation(), 0), pairs()
    losses = module.losses(examples)
    capsules = network(examples.images)
    targets = torch.zeros(3, 10)
    expected = torch.zeros(())
    for digit in range(2):
        mask = torch.zeros(3, 10)
        mask[torch.arange(3), examples.labels[:, digit]] = 1
        targets += mask
        drawn = network.reconstruct(capsules, mask)
        expected = expected + reconstruction_loss(drawn, examples.parts[:, digit])
    torch.testing.assert_close(losses["reconstruction"], expected)
    torch.testing.assert_close(losses["margin"], margin_loss(lengths(capsules), targets, "text"))


def test_without_a_decoder_there_is_no_reconstruction_loss() -> None:
    network = CapsNet((1, 21, 21), channels=4, types=2, decoder=False)
    assert set(CapsNetModule(network, "released", Optimisation(), 0).losses(pairs())) == {"margin"}


def masks(step: int, processes: int, process: int, seed: int = 0) -> list[bool]:
    """Return what dropout leaves of 64 ones at a step, in one process of several."""

    class Dropout(Baseline, nn.Sequential):
        pass

    module = BaselineModule(Dropout(nn.Dropout()), Optimisation(), seed)
    trainer: Any = SimpleNamespace(global_step=step, world_size=processes, global_rank=process)
    module.trainer = trainer
    module.on_train_batch_start(None, 0)
    return (module.network(torch.ones(64)) > 0).tolist()


def test_dropout_differs_between_steps_processes_and_seeds_and_comes_again() -> None:
    drawn = [masks(step, 2, process) for step in (0, 1, 7) for process in (0, 1)]
    assert len({*map(tuple, drawn), tuple(masks(0, 2, 0, seed=1))}) == 7
    assert masks(7, 2, 1) == drawn[-1]


def test_no_gradient_outlives_the_step_when_a_validation_begins() -> None:
    """A replayed graph (`trainer.compile` on a GPU) would overwrite it."""
    network = CapsNet((1, 21, 21), channels=4, types=2, decoder_hidden=(8, 8))
    module = CapsNetModule(network, "text", Optimisation(), 0)
    module.losses(pairs())["margin"].backward()
    assert network.class_capsules.weight.grad is not None
    module.on_validation_start()
    assert all(parameter.grad is None for parameter in network.parameters())
