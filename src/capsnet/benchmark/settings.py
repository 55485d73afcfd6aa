"""The ways to compute a training step on a GPU that are compared, as overrides of a run."""

from itertools import product
from typing import NamedTuple


class Setting(NamedTuple):
    """A choice of convolutions and routing; named as the tables name it.

    `convolutions` may be direct (cuDNN's) or fourier (this project's, exact in fp32).
    """

    kernels: str = "fast"
    precision: str = "32-true"
    convolutions: str = "direct"
    compile: bool = False

    @property
    def name(self) -> str:
        """Name what differs from cuDNN's fp32 uncompiled: "fused bf16 compiled"."""
        words = {
            "bf16": self.precision == "bf16-mixed",
            "tf32": self.precision == "tf32",
            "fourier": self.convolutions == "fourier",
            "compiled": self.compile,
        }
        return " ".join([self.kernels, *(word for word, holds in words.items() if holds)])

    @property
    def overrides(self) -> tuple[str, ...]:
        """Return the overrides of `capsnet.train` that choose it."""
        return (
            f"precision={self.precision}",
            f"trainer.kernels={self.kernels}",
            f"trainer.convolutions={self.convolutions}",
            f"trainer.compile={str(self.compile).lower()}",
        )


ARITHMETIC = (
    ("32-true", "fourier"),  # what trainer.convolutions=auto takes in fp32
    ("32-true", "direct"),
    ("tf32", "direct"),
    ("bf16-mixed", "direct"),
)


def settings(*kernels: str) -> list[Setting]:
    """List every setting of a GPU with these kernels, the plainest first.

    Fourier convolutions are not compiled: torch.compile cuts them into several graphs.
    """
    every = (
        Setting(kernel, *arithmetic, compiled)
        for compiled, kernel, arithmetic in product((False, True), kernels, ARITHMETIC)
    )
    return [one for one in every if not (one.compile and one.convolutions == "fourier")]
