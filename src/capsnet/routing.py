"""Routing algorithms as objects, so that a configuration can choose one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from capsnet.functional import RoutingStep, dynamic_routing, routing_trace, squash


@dataclass(frozen=True)
class Routing:
    """A routing algorithm: from capsules u and their transformations to the capsules above.

    Both functions take u [batch, in, in_dim], the weight [in, out, in_dim, out_dim], the number of
    iterations and a bias [out, out_dim] or None. `route` gives the capsules above
    [batch, out, out_dim], and `trace` a RoutingStep for each iteration, the last of which has the
    same capsules. Kernels may replace the `route` of an algorithm that they implement, never that
    of another one. `leaky` says that a softmax has one more logit, 'none of the above'.
    `nonlinearity` makes capsules of sums [..., dim], primary capsules too.
    """

    route: Callable[[Tensor, Tensor, int, Tensor | None], Tensor]
    trace: Callable[[Tensor, Tensor, int, Tensor | None], list[RoutingStep]]
    leaky: bool = False
    nonlinearity: Callable[[Tensor], Tensor] = squash


DYNAMIC = Routing(dynamic_routing, routing_trace)  # [P] Procedure 1
LEAKY = Routing(  # [P] section 7
    partial(dynamic_routing, leaky=True), partial(routing_trace, leaky=True), leaky=True
)
