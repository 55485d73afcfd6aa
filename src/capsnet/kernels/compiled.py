"""Functions by torch.compile, as training and evaluation take them."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch._functorch.config
import torch._inductor.config

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile `function`, on a GPU into CUDA graphs; each batch size once, as shapes are static.

    Gradients stay in the type of what they are of: PyTorch would compute all of a graph's in bf16
    wherever one bf16 convolution is in it. Dropout draws from PyTorch's own generator, so that its
    masks are those of an eager step.
    """
    torch._functorch.config.backward_pass_autocast = "off"
    torch._inductor.config.fallback_random = True
    return torch.compile(function, mode="reduce-overhead", dynamic=False)
