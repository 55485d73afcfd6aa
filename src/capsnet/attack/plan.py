"""The choices of an attack: the loss, the methods, how far and in how many steps."""

from collections.abc import Sequence
from typing import NamedTuple

FGSM, BIM = "fgsm", "bim"
TRAINING, CROSS_ENTROPY, SCORE_MARGIN = "training", "cross_entropy", "score_margin"
EPS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)  # of pixels in [0, 1]; 0 is always counted


class Plan(NamedTuple):
    """State how to attack: BIM takes `steps` steps of `step` · eps; `limit` is of examples."""

    loss: str = TRAINING
    attacks: Sequence[str] = (FGSM, BIM)
    eps: Sequence[float] = EPS
    steps: int = 10
    step: float = 0.1
    limit: int | None = None
