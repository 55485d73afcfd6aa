"""The analytic gradients of the routing are not themselves differentiable."""

import torch


def refuse_second_gradients() -> None:
    """Raise RuntimeError in a backward pass that records its own graph, under `create_graph`.

    Its derivatives would be wrong, and `torch.autograd.function.once_differentiable` does not
    notice those that `torch.autograd.grad` takes by given inputs.
    """
    if torch.is_grad_enabled():
        raise RuntimeError(
            "this routing has no second gradients (create_graph=True): use "
            "functional.dynamic_routing, which networks have under trainer.kernels=reference"
        )
