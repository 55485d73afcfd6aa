"""The networks of section 7, built as their experiments say, and what those compose to."""

import pytest
import torch

from capsnet import paper
from capsnet.compose import composed
from capsnet.config import RunConfig
from capsnet.data.loading import dataset_info
from capsnet.networks import CapsNet, parameter_count
from capsnet.training.build_network import build_network


def built(*overrides: str) -> tuple[RunConfig, CapsNet]:
    """Compose a run and build its network without memory or initial values."""
    run = composed(*overrides)
    with torch.device("meta"):
        network = build_network(run, dataset_info(run.data))
    assert isinstance(network, CapsNet)
    return run, network


@pytest.mark.parametrize(
    ("overrides", "capsules", "parameters"),
    [  # counted by hand from the sizes of the paper and the released code [D]
        ("experiment=cifar10_capsnet", 9_216, 22_476_448),
        ("experiment=cifar10_capsnet recipe=text", 1_024, 14_369_632 - 160),  # no routing bias
        ("experiment=cifar10_capsnet recipe=text model.decoder=false", 1_024, 11_990_688 - 160),
        ("experiment=cifar10_capsnet_r1", 9_216, 22_476_448),
        ("experiment=smallnorb_capsnet", 2_048, 9_327_184),
        ("experiment=smallnorb_capsnet model.decoder=false", 2_048, 6_661_200),
        ("experiment=svhn_capsnet", 1_024, 1_004_976),
        ("experiment=svhn_capsnet model.decoder=true", 1_024, 4_720_560),
    ],
)
def test_networks_have_the_capsules_and_parameters_of_the_paper(
    overrides: str, capsules: int, parameters: int
) -> None:
    _, network = built(*overrides.split())
    assert network.class_capsules.weight.shape[0] == capsules
    assert parameter_count(network) == parameters


@pytest.mark.parametrize(("recipe", "share"), [("released", 1 / 65), ("text", 1.0)])
def test_the_leak_reaches_the_primary_capsules_under_the_released_recipe_alone(
    recipe: str, share: float
) -> None:
    _, network = built("experiment=cifar10_capsnet", f"recipe={recipe}")
    assert network.primary.scale == share


def test_the_first_couplings_of_a_leaky_network_are_one_eleventh() -> None:
    _, network = built("experiment=cifar10_capsnet")
    u, weight = torch.ones(1, 3, 8), torch.ones(3, 10, 8, 16)
    first, *_ = network.routing.trace(u, weight, 3, None)
    torch.testing.assert_close(first.couplings, torch.full((1, 3, 10), 1 / 11))
    together = network.class_capsules.route(u, weight, 1, None)
    torch.testing.assert_close(together, first.v)


@pytest.mark.parametrize("profile", [(), ("profile=paper",)])
@pytest.mark.parametrize(
    ("experiment", "steps"),
    [
        ("cifar10_capsnet", 600_000),
        ("cifar10_capsnet_r1", 600_000),
        ("smallnorb_capsnet", 300_000),
        ("svhn_capsnet", 300_000),
        ("mnist_capsnet_r3", 300_000),
    ],
)
def test_an_experiment_has_its_own_steps(
    experiment: str, steps: int, profile: tuple[str, ...]
) -> None:
    run = composed(f"experiment={experiment}", *profile)
    assert (run.schedule.name, run.schedule.steps) == ("paper", steps)
    assert paper.steps(experiment) == steps


def test_a_short_schedule_replaces_an_experiment_s_own() -> None:
    run = composed("experiment=cifar10_capsnet", "schedule=steps500")
    assert (run.schedule.name, run.schedule.steps) == ("steps500", 500)


@pytest.mark.parametrize(
    ("experiment", "source"),
    [
        ("cifar10_capsnet", "photodigits"),
        ("svhn_capsnet", "photodigits"),
        ("smallnorb_capsnet", "stereodigits"),
    ],
)
def test_the_demo_takes_stand_ins_of_the_same_shape(experiment: str, source: str) -> None:
    run, demo = (composed(f"experiment={experiment}", *more) for more in ((), ("profile=demo",)))
    assert demo.data.source == source
    real, stand_in = dataset_info(run.data), dataset_info(demo.data)
    assert (real.image, len(real.class_names)) == (stand_in.image, len(stand_in.class_names))
    assert stand_in.stand_in
    assert not real.stand_in


def test_the_ensemble_has_a_seed_for_each_of_the_paper_s() -> None:
    assert paper.seeds("cifar10_capsnet") == 7
    assert paper.seeds("mnist_capsnet_r3") == paper.seeds("cifar10_capsnet_r1") == 3
