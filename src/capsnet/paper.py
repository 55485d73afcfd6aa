"""The published numbers and claims, as data: test error in percent."""

from dataclasses import dataclass

STEPS = 300_000  # [C]: 640 epochs of 60,000
BATCH = 128  # [C]
TRIALS = 3  # [P] Table 1
CLEAN = 0.775  # percent: between the clean errors at which the paper compares its two on affNIST
TRAINED = {"mnist": 60_000, "multimnist": 60_000_000, "affnist": 50_000}  # examples; affNIST's [D]
TESTED = {  # examples [P]
    "mnist": {"test": 10_000},
    "multimnist": {"test": 10_000_000},
    "affnist": {"test": 10_000, "affnist": 320_000},
}


@dataclass(frozen=True)
class Row:
    """One published number, the experiment that rebuilds it, and the test set that it is about.

    `sd` over three trials, where given. `public` is the best error that a public implementation
    states for itself, and whose it is; often that of its best epoch on the test set. `condition`:
    the number is where training was stopped, no result.
    """

    experiment: str
    name: str
    error_percent: float
    sd: float | None = None
    public: str | None = None
    test: str = "test"
    condition: bool = False


MNIST = (  # [P] Table 1
    Row("mnist_baseline", "Baseline CNN", 0.39),
    Row("mnist_capsnet_r1", "CapsNet, 1 routing", 0.34, 0.032, "0.39 XifengGuo"),
    Row("mnist_capsnet_r1_recon", "CapsNet, 1 routing, decoder", 0.29, 0.011, "0.37 XifengGuo"),
    Row("mnist_capsnet_r3", "CapsNet, 3 routing", 0.35, 0.036, "0.40 XifengGuo"),
    Row("mnist_capsnet_r3_recon", "CapsNet, 3 routing, decoder", 0.25, 0.005, "0.27 ethanleet"),
)
MULTIMNIST = (  # [P] Table 1; how many steps they were trained is not stated [?]
    Row("multimnist_baseline", "Baseline CNN", 8.1),
    Row("multimnist_capsnet_r1_recon", "CapsNet, 1 routing, decoder", 7.5),
    Row("multimnist_capsnet_r3_recon", "CapsNet, 3 routing, decoder", 5.2),
)
AFFNIST = (  # [P] section 5.2, as accuracies
    Row("affnist_baseline", "CNN, on expanded MNIST", 0.78, condition=True),
    Row("affnist_capsnet", "CapsNet, on expanded MNIST", 0.77, condition=True),
    Row("affnist_baseline", "CNN, on affNIST", 34, public="38.3 shinseung428", test="affnist"),
    Row("affnist_capsnet", "CapsNet, on affNIST", 21, public="24.1 shinseung428", test="affnist"),
)
TABLES = {"MNIST": MNIST, "MultiMNIST": MULTIMNIST, "affNIST": AFFNIST}


def published(experiment: str, test: str) -> float:
    """Return the paper's test error in percent. Raises StopIteration where it has none."""
    every = (row for rows in TABLES.values() for row in rows)
    return next(
        row.error_percent for row in every if (row.experiment, row.test) == (experiment, test)
    )


def data_set(experiment: str) -> str:
    """Return the key in TRAINED and TESTED: mnist, multimnist, affnist for the paper's."""
    return experiment.split("_")[0]


@dataclass(frozen=True)
class Ablation:
    """An experiment that the paper does not report, and the test set that its line is about."""

    experiment: str
    name: str
    test: str = "test"


ABLATIONS = (
    Ablation("affnist_capsnet_r1", "CapsNet, 1 routing, on expanded MNIST"),
    Ablation("affnist_capsnet_r1", "CapsNet, 1 routing, on affNIST", test="affnist"),
)


@dataclass(frozen=True)
class Claim:
    """The paper says that `better` errs less than `worse` on `test`."""

    words: str
    better: str
    worse: str
    test: str = "test"

    @property
    def difference(self) -> float:
        """Return by how many percentage points the paper's errors differ."""
        return published(self.worse, self.test) - published(self.better, self.test)


CLAIMS = (
    Claim("CapsNet beats the baseline on MNIST", "mnist_capsnet_r3_recon", "mnist_baseline"),
    Claim(
        "CapsNet beats the baseline on MultiMNIST",
        "multimnist_capsnet_r3_recon",
        "multimnist_baseline",
    ),
    Claim(
        "CapsNet beats the baseline on affNIST", "affnist_capsnet", "affnist_baseline", "affnist"
    ),
    Claim(
        "three iterations beat one on MultiMNIST",
        "multimnist_capsnet_r3_recon",
        "multimnist_capsnet_r1_recon",
    ),
    Claim("reconstruction helps, 1 iteration", "mnist_capsnet_r1_recon", "mnist_capsnet_r1"),
    Claim("reconstruction helps, 3 iterations", "mnist_capsnet_r3_recon", "mnist_capsnet_r3"),
)
