"""CPU fp32 matrix products through oneDNN, except on Intel processors.

PyTorch gives fp32 matrix products to MKL, which leaves AVX-512 unused on AMD's processors; oneDNN,
in PyTorch for its convolutions, uses it everywhere and was measured at twice the rate there. It is
reached through the operator that torch.compile substitutes for a linear layer. PyTorch's own
products are used on Intel processors (MKL was measured at 1.2 to 4 times that operator's rate),
where the operator is missing, and for other types and devices.
"""

from typing import Any

import torch
from torch import Tensor

ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)  # x Wᵀ
CAPABILITIES = getattr(torch.cpu, "get_capabilities", dict)()  # missing in earlier versions
LINEAR = None if "Intel" in CAPABILITIES.get("cpu_name", "") else ONEDNN


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """a · b, of two matrices or, point by point, of two stacks of as many matrices."""
    return _Product.apply(a, b)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        for_a, for_b = ctx.needs_input_grad
        ctx.save_for_backward(a if for_b else None, b if for_a else None)
        return _multiplied(a, b)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (grad,) = grads
        a, b = ctx.saved_tensors
        return None if b is None else matmul(grad, b.mT), None if a is None else matmul(a.mT, grad)


def _multiplied(a: Tensor, b: Tensor) -> Tensor:
    if LINEAR is None or a.dtype != torch.float32 or a.device.type != "cpu":
        return a @ b
    if a.ndim == 2:
        return LINEAR(a, b.mT, None, "none", [], "")
    stack = a.new_empty(len(a), a.shape[1], b.shape[2])
    for product, left, right in zip(stack, a, b, strict=True):
        product.copy_(LINEAR(left, right.mT, None, "none", [], ""))
    return stack
