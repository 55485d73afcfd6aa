"""The questions that readers ask of the paper, as pairs of experiments: docs/routing.md."""

from capsnet.paper import Comparison

ROUTED, UNROUTED = "mnist_capsnet_r3_recon", "mnist_capsnet_r1_recon"
QUESTIONS = (  # each asks whether the first errs less than the second
    Comparison("3 iterations vs. 1", "mnist_capsnet_r3", "mnist_capsnet_r1"),
    Comparison("3 iterations vs. 1, with decoder", ROUTED, UNROUTED),
    Comparison(
        "3 iterations vs. 1: MultiMNIST",
        "multimnist_capsnet_r3_recon",
        "multimnist_capsnet_r1_recon",
    ),
    Comparison("3 iterations vs. 1: affNIST", "affnist_capsnet", "affnist_capsnet_r1", "affnist"),
    Comparison("own transformations vs. shared", ROUTED, "mnist_capsnet_shared_positions"),
    Comparison(
        "shared over positions vs. over all",
        "mnist_capsnet_shared_positions",
        "mnist_capsnet_shared_all",
    ),
    Comparison("gradient through the couplings", ROUTED, "mnist_capsnet_detached"),
    Comparison("softmax over the capsules above vs. below", ROUTED, "mnist_capsnet_wrong_axis"),
    Comparison("squash vs. none", ROUTED, "mnist_capsnet_unsquashed"),
    Comparison("CapsNet vs. baseline", ROUTED, "mnist_baseline"),
    Comparison("CapsNet vs. baseline, both with decoder", ROUTED, "mnist_baseline_recon"),
    Comparison("baseline with decoder vs. without", "mnist_baseline_recon", "mnist_baseline"),
    Comparison(
        "baseline under margin loss vs. cross-entropy", "mnist_baseline_margin", "mnist_baseline"
    ),
)
