"""The answers and the couplings of a test set after each routing iteration.

Iteration k of a trace is the network tested with k iterations, whatever it was trained with, so
that one trace of a batch gives them all. No coupling is kept beyond its batch.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

from capsnet.data.dataset import TestSet
from capsnet.data.examples import Split, evaluation_batch
from capsnet.evaluation.outcomes import count_errors
from capsnet.functional import lengths
from capsnet.metrics import predicted
from capsnet.networks import CapsNet, one_hot
from capsnet.records.routing_reports import RoutedTest, never_longer

ITERATIONS = 10  # [P] figure A.1 shows as many


class Variances(NamedTuple):
    """The variance of c_ij over examples, mean over i and j, and its two parts, which add up to it.

    `between` is that of the means of the classes, `within` the mean of what is left in a class.
    Where couplings do not depend on the class, `between` is still about (classes − 1) / n of
    `within`, as means of finitely many examples differ.
    """

    between: Float[Tensor, ""]
    within: Float[Tensor, ""]


class Moments(NamedTuple):
    """Sums over examples, from which variances follow: they add from batch to batch.

    counts [classes], sums [classes, in, out] of the couplings by class, and the sum of all their
    squares; the couplings count from 1/out, the even share, so that little cancels.
    """

    counts: Float[Tensor, "classes"]
    sums: Float[Tensor, "classes in out"]
    squares: Float[Tensor, ""]


class RoutingStatistics(NamedTuple):
    """The routing of a test set of n examples, after each of its iterations.

    answers int16 [iterations, n, labels], the predicted classes in ascending order, and labels
    int16 [n, labels] likewise. Of the couplings: entropy float64 [iterations], mean over examples
    and capsules below, in nats, and variances float64 [iterations, 2], between and within classes;
    where examples have several labels, all are one class. longest float32 [in], the maximum
    length of each capsule below. `out` is the number of capsules above.
    """

    answers: NDArray[np.int16]
    labels: NDArray[np.int16]
    entropy: NDArray[np.float64]
    variances: NDArray[np.float64]
    longest: NDArray[np.float32]
    out: int

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Mark the wrong answers [iterations, n]: those that are not exactly the labels."""
        return (self.answers != self.labels).any(2)


class _Batch(NamedTuple):
    """The parts of `RoutingStatistics` that a batch adds; `entropy` is a sum."""

    answers: Int[Tensor, "iterations batch labels"]
    labels: Int[Tensor, "batch labels"]
    entropy: Float[Tensor, "iterations"]
    longest: Float[Tensor, "in"]


@torch.inference_mode()
def routing_statistics(
    network: CapsNet, split: Split, iterations: int = ITERATIONS, progress: bool = True
) -> RoutingStatistics:
    """Trace the routing of each example of `split` once, on the network's device.

    Sums are in float64. Needs about iterations · (classes + 2 · batch) · in · out numbers.
    """
    device = next(network.parameters()).device
    network, split = network.eval(), split.to(device)
    batches = torch.arange(len(split), device=device).split(evaluation_batch(device))
    found: list[_Batch] = []
    total: list[Moments] = []
    for some in track(batches, description="routing", disable=not progress):
        one, sums = _batch(network, split, some, iterations)
        found.append(one)
        total = list(map(added, total, sums)) if total else sums
    entropy = torch.stack([one.entropy for one in found]).sum(0)
    longest = torch.stack([one.longest for one in found]).amax(0)
    return RoutingStatistics(
        torch.cat([one.answers for one in found], dim=1).numpy(),
        torch.cat([one.labels for one in found]).numpy(),
        (entropy / (len(split) * len(longest))).cpu().numpy(),
        torch.stack([torch.stack(variances(one)) for one in total]).cpu().numpy(),
        longest.float().cpu().numpy(),
        total[0].sums.shape[2],
    )


def _batch(
    network: CapsNet, split: Split, some: Tensor, iterations: int
) -> tuple[_Batch, list[Moments]]:
    examples = split.examples(some, step=None)
    labels = examples.labels.sort(1).values
    u = network.primary_capsules(examples.images)
    steps = network.trace(u, iterations)
    answers = [predicted(lengths(step.v), labels).sort(1).values for step in steps]
    entropy = [entropies(step.couplings.double()).sum() for step in steps]
    single = labels.shape[1] == 1
    groups = labels[:, 0] if single else torch.zeros_like(labels[:, 0])
    classes = steps[0].v.shape[1] if single else 1
    return _Batch(
        torch.stack(answers).short().cpu(),
        labels.short().cpu(),
        torch.stack(entropy),
        lengths(u).amax(0),
    ), [moments(step.couplings, groups, classes) for step in steps]


def entropies(c: Float[Tensor, "batch in out"]) -> Float[Tensor, "batch in"]:
    """Compute H(c_i) = −Σ_j p_j ln p_j in nats, of the shares p_j = c_ij / Σ_k c_ik: 0 … ln J.

    Rows that sum to 1 are their own shares; others, as those of leaky routing, are scaled to 1.
    """
    return torch.special.entr(c / c.sum(-1, keepdim=True)).sum(-1)


def moments(
    c: Float[Tensor, "batch in out"], labels: Int[Tensor, "batch"], classes: int
) -> Moments:
    """Sum the couplings of a batch by class, in float64."""
    members = one_hot(labels, classes).double()
    centred = c.double() - 1 / c.shape[2]
    sums = (members.T @ centred.flatten(1)).unflatten(1, c.shape[1:])
    return Moments(members.sum(0), sums, centred.square().sum())


def added(one: Moments, other: Moments) -> Moments:
    """Add the sums of two batches."""
    return Moments(*(a + b for a, b in zip(one, other, strict=True)))


def variances(total: Moments) -> Variances:
    """Decompose the variance of c_ij over examples by class; see `Variances`."""
    n, entries = total.counts.sum(), total.sums[0].numel()
    weights = total.counts / n
    means = total.sums / total.counts.clamp(min=1)[:, None, None]
    by_class = (weights[:, None, None] * means.square()).sum(0)
    between = (by_class - (total.sums.sum(0) / n).square()).mean()
    within = total.squares / (n * entries) - by_class.mean()
    return Variances(between.clamp(min=0), within.clamp(min=0))


def summarise(test: TestSet, found: RoutingStatistics) -> RoutedTest:
    """Count errors, with their intervals, and changed answers; give the rest as plain numbers."""
    single = found.labels.shape[1] == 1
    between, within = found.variances.T
    first, previous = changed_answers(found.answers)
    return RoutedTest(
        errors=tuple(count_errors(test, wrong) for wrong in found.wrong),
        entropy_nats=tuple(found.entropy.tolist()),
        entropy_share=tuple((found.entropy / np.log(found.out)).tolist()),
        changed_from_first=tuple(first),
        changed_from_previous=tuple(previous),
        variance=tuple((between + within).tolist()),
        variance_between=tuple(between.tolist()) if single else None,
        variance_within=tuple(within.tolist()) if single else None,
        primary_capsules=len(found.longest),
        never_longer=never_longer(found.longest),
    )


def changed_answers(answers: NDArray[np.integer]) -> tuple[list[int], list[int]]:
    """Count, after each iteration, the answers that are not the first one's, nor the one before's.

    Of answers [iterations, n, labels], each in ascending order. Both lists begin with 0.
    """
    before = np.concatenate([answers[:1], answers[:-1]])
    both = ((answers != other).any(2).sum(1) for other in (answers[:1], before))
    first, previous = (counts.tolist() for counts in both)
    return first, previous


def arrays(name: str, found: RoutingStatistics) -> dict[str, NDArray[Any]]:
    """Name the arrays of test set `name` as they are kept.

    `answers.<test>`, `labels.<test>` and `longest.<test>` as in RoutingStatistics.
    """
    kept = {"answers": found.answers, "labels": found.labels, "longest": found.longest}
    return {f"{key}.{name}": array for key, array in kept.items()}
