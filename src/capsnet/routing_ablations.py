"""Routing with one part of Procedure 1 wrong or left out, as public code has it: for ablations."""

from collections.abc import Callable
from functools import partial

from jaxtyping import Float
from torch import Tensor

from capsnet.functional import RoutingStep, couplings, routing_steps, squash
from capsnet.routing import Routing


def detached(b: Float[Tensor, "batch in out"]) -> Float[Tensor, "batch in out"]:
    """Compute the couplings as constants: no gradient flows through the agreement."""
    return couplings(b, leaky=False).detach()


def over_capsules_below(b: Float[Tensor, "batch in out"]) -> Float[Tensor, "batch in out"]:
    """Take the softmax over the capsules below: each column sums to 1 in place of each row."""
    return b.softmax(dim=1)


def unchanged(s: Float[Tensor, "*capsules dim"]) -> Float[Tensor, "*capsules dim"]:
    """Leave the squash out: lengths have no bound."""
    return s


def _routing(
    couple: Callable[[Tensor], Tensor], nonlinearity: Callable[[Tensor], Tensor] = squash
) -> Routing:
    def trace(u: Tensor, weight: Tensor, iterations: int, bias: Tensor | None) -> list[RoutingStep]:
        return list(routing_steps(u, weight, iterations, bias, couple, nonlinearity))

    def route(u: Tensor, weight: Tensor, iterations: int, bias: Tensor | None) -> Tensor:
        return trace(u, weight, iterations, bias)[-1].v

    return Routing(route, trace, nonlinearity=nonlinearity)


DETACHED = _routing(detached)
WRONG_AXIS = _routing(over_capsules_below)
UNSQUASHED = _routing(partial(couplings, leaky=False), unchanged)
