"""The published numbers, as data: test error in percent."""

from dataclasses import dataclass

STEPS = 300_000  # [C] of 128 images: 640 epochs
MNIST_TOTAL = 10_000


@dataclass(frozen=True)
class Row:
    """One cell of Table 1 as a row of ours; `sd` over three trials, where given."""

    experiment: str
    name: str
    routing: int | None
    reconstruction: bool | None
    error_percent: float
    sd: float | None = None


# How many steps MultiMNIST was trained is not stated [?].
TABLE_1_MULTIMNIST = (
    Row("multimnist_baseline", "Baseline CNN", None, None, 8.1),
    Row("multimnist_capsnet_r1_recon", "CapsNet", 1, True, 7.5),
    Row("multimnist_capsnet_r3_recon", "CapsNet", 3, True, 5.2),
)

TABLE_1_MNIST = (
    Row("mnist_baseline", "Baseline CNN", None, None, 0.39),
    Row("mnist_capsnet_r1", "CapsNet", 1, False, 0.34, 0.032),
    Row("mnist_capsnet_r1_recon", "CapsNet", 1, True, 0.29, 0.011),
    Row("mnist_capsnet_r3", "CapsNet", 3, False, 0.35, 0.036),
    Row("mnist_capsnet_r3_recon", "CapsNet", 3, True, 0.25, 0.005),
)
