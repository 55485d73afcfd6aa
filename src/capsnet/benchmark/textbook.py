"""Routing as public code writes it, every vote stored: what the benchmark compares with."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from capsnet.functional import couplings, squash
from capsnet.layers import Route
from capsnet.networks import CapsNet
from capsnet.routing import Routing


def dynamic_routing(
    u: Float[Tensor, "batch in in_dim"],
    weight: Float[Tensor, "in out in_dim out_dim"],
    iterations: int,
    bias: Float[Tensor, "out out_dim"] | None = None,
    leaky: bool = False,
) -> Float[Tensor, "batch out out_dim"]:
    """Compute `functional.dynamic_routing` from û [batch, in, out, out_dim] in memory.

    Raises ValueError when `iterations` is below 1.
    """
    votes = torch.matmul(u[:, :, None, None], weight).squeeze(3)
    b = votes.new_zeros(votes.shape[:3])
    for iteration in range(iterations):
        s = (couplings(b, leaky)[..., None] * votes).sum(1)
        v = squash(s if bias is None else s + bias)
        if iteration + 1 == iterations:
            return v
        b = b + (votes * v[:, None]).sum(-1)
    raise ValueError(f"routing needs at least 1 iteration, got {iterations}")


class TextbookCapsNet(CapsNet):
    """A CapsNet that stores its votes."""

    @staticmethod
    def routing_function(algorithm: Routing) -> Route:
        """Return the routing above, whatever the algorithm; leaky where that is."""
        return partial(dynamic_routing, leaky=algorithm.leaky)
