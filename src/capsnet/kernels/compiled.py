"""torch.compile with the settings of training and evaluation."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch._functorch.config
import torch._inductor.config

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile `function`, on a GPU into CUDA graphs; each batch size once, as shapes are static.

    Each gradient keeps its tensor's dtype; by default, one bf16 convolution makes PyTorch compute
    every gradient of the graph in bf16. Dropout draws from PyTorch's own generator, so that its
    masks are those of an eager step.
    """
    torch._functorch.config.backward_pass_autocast = "off"
    torch._inductor.config.fallback_random = True
    return torch.compile(function, mode="reduce-overhead", dynamic=False)
