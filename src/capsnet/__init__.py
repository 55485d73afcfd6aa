"""'Dynamic Routing Between Capsules' (Sabour, Frosst, Hinton, NIPS 2017), reproduced.

Every statement about the model carries its source: [P] the paper, [C] the authors' released
TensorFlow code, [D] derived by arithmetic, [?] said by neither, so chosen here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capsnet.functional import (
        dynamic_routing,
        lengths,
        margin_loss,
        reconstruction_loss,
        routing_trace,
        squash,
    )
    from capsnet.networks import (
        AffnistBaseline,
        CapsNet,
        MnistBaseline,
        MultiMnistBaseline,
        one_hot,
    )
    from capsnet.pretrained import load

    __version__: str

__all__ = [
    "AffnistBaseline",
    "CapsNet",
    "MnistBaseline",
    "MultiMnistBaseline",
    "dynamic_routing",
    "lengths",
    "load",
    "margin_loss",
    "one_hot",
    "reconstruction_loss",
    "routing_trace",
    "squash",
]
_MODULES = ("functional", "networks", "pretrained")  # where they are, the quickest to import first


if not TYPE_CHECKING:  # else a type checker would accept any name

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used: `import capsnet` does not wait for torch.

        `__version__` is that of the installed package. Raises AttributeError for any other name.
        """
        if name == "__version__":
            return import_module("importlib.metadata").version(__name__)
        for module in _MODULES if name in __all__ else ():
            found = getattr(import_module(f"{__name__}.{module}"), name, None)
            if found is not None:
                return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
