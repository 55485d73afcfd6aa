"""The fp32 arithmetic of a GPU, set for as long as a run computes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

# cuDNN wants the same of both. These are the switches of PyTorch 2.9 and later: it refuses to run
# where they and the older `allow_tf32` are mixed.
CUDNN: Any = torch.backends.cudnn  # PyTorch's own types lack them
CONVOLUTIONS = CUDNN.conv, CUDNN.rnn
PRODUCTS = torch.backends.cuda.matmul


@contextmanager
def fp32_arithmetic(precision: str) -> Iterator[None]:
    """Multiply fp32 numbers in full on a GPU, but convolutions in TF32 if `precision` is tf32.

    TF32 keeps 10 of fp32's 23 bits of the mantissa, in the factors alone. PyTorch's default is
    TF32 for convolutions; whatever is set before comes back at the end.
    """
    before = [switch.fp32_precision for switch in (PRODUCTS, *CONVOLUTIONS)]
    try:
        PRODUCTS.fp32_precision = "ieee"
        for switch in CONVOLUTIONS:
            switch.fp32_precision = "tf32" if precision == "tf32" else "ieee"
        yield
    finally:
        for switch, value in zip((PRODUCTS, *CONVOLUTIONS), before, strict=True):
            switch.fp32_precision = value
