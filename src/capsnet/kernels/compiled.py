"""Networks by torch.compile."""

import torch._functorch.config
from torch import nn


def compile_(network: nn.Module) -> None:
    """In place, on a GPU into graphs that are replayed; parameters keep their names.

    PyTorch would compute gradients in bf16 wherever a bf16 convolution is in the same network,
    those of the routing included; uncompiled, gradients are of the type of what they are of.
    """
    torch._functorch.config.backward_pass_autocast = "off"
    network.compile(mode="reduce-overhead")
