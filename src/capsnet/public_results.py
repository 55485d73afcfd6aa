"""The errors that public implementations state with their epochs and trials, as data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublicResult:
    """The mean test error in percent of `trials` trainings of `epochs` epochs, and their sd.

    `schedule` is ours of as many epochs.
    """

    experiment: str
    whose: str
    epochs: int
    error_percent: float
    sd: float
    trials: int
    schedule: str


# https://github.com/XifengGuo/CapsNet-Pytorch, README.md: batches of 100, the learning rate times
# 0.9 every epoch. That capsulenet.py builds three iterations whatever `--routings` says, at commits
# 5c6260b and 8a5a357, so that its line of one iteration may be of three [C]. docs/results.md says
# in what else it differs from both of our recipes.
XIFENGGUO = "XifengGuo/CapsNet-Pytorch"
PUBLIC_RESULTS = (
    PublicResult("mnist_capsnet_r1_recon", XIFENGGUO, 50, 0.36, 0.016, 3, "epochs50"),
    PublicResult("mnist_capsnet_r3_recon", XIFENGGUO, 50, 0.34, 0.029, 3, "epochs50"),
)
