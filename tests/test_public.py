"""The names that `import capsnet` gives, and the networks that `capsnet.load` gives back."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import capsnet
from capsnet import functional, networks
from capsnet.compose import composed
from capsnet.data.info import DatasetInfo
from capsnet.errors import UserError
from capsnet.records.weights import read_info, save_weights
from capsnet.training.build_network import build_network

EXPERIMENTS = [  # the side of their images decides the shapes of their weights
    ("mnist_capsnet_r3_recon", 28),
    ("mnist_capsnet_r1", 28),
    ("multimnist_capsnet_r1_recon", 36),
    ("affnist_capsnet", 40),
    ("mnist_baseline", 28),
    ("multimnist_baseline", 36),
    ("affnist_baseline", 40),
]


def test_public_names_are_those_of_their_modules() -> None:
    for name in set(capsnet.__all__) - {"load"}:
        home = functional if hasattr(functional, name) else networks
        assert getattr(capsnet, name) is getattr(home, name)
    assert set(capsnet.__all__) <= set(dir(capsnet))
    for other in ("squahs", "Tensor"):  # a slip, and what a module merely imports
        with pytest.raises(AttributeError, match=f"'capsnet' has no attribute '{other}'"):
            getattr(capsnet, other)


def test_importing_the_package_and_its_guide_imports_no_torch() -> None:
    code = "import sys, capsnet, capsnet.usage; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_loading_weights_imports_no_framework_of_training() -> None:
    code = "import sys, capsnet; capsnet.load; print(*sys.modules)"
    done = subprocess.run((sys.executable, "-c", code), check=True, capture_output=True, text=True)
    loaded = {*done.stdout.split()}
    assert "capsnet.training.build_network" in loaded
    assert not {"hydra", "pytorch_lightning", "torchmetrics"} & loaded


def saved(folder: Path, experiment: str, side: int) -> torch.nn.Module:
    run = composed(f"experiment={experiment}", "model.width=0.03", "seed=5")
    info = DatasetInfo("", 1, side, side)
    network = build_network(run, info).eval()
    save_weights(network, run, info, folder)
    return network


def older(folder: Path) -> Path:
    """Leave of the weights what earlier versions wrote: tensors, and nothing about the images."""
    file = folder / "weights.safetensors"
    save_file(load_file(file), file)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("experiment", "side"), EXPERIMENTS)
def test_a_loaded_network_computes_what_the_saved_one_did(
    experiment: str, side: int, tmp_path: Path
) -> None:
    network = saved(tmp_path, experiment, side)
    before = torch.get_rng_state()
    loaded = capsnet.load(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    images = torch.rand(2, 1, side, side)
    assert torch.equal(loaded(images), network(images))
    assert torch.equal(capsnet.load(older(tmp_path))(images), network(images))
    assert not loaded.training


IMAGES = DatasetInfo("flags", 1, 20, 30, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("experiment", "info", "settings"),
    [
        ("mnist_capsnet_r1", IMAGES, ()),
        ("mnist_capsnet_r1", replace(IMAGES, height=140), ()),
        ("mnist_baseline", IMAGES, ("model.decoder=true",)),
    ],
)
def test_weights_for_images_of_any_size_are_loaded(
    experiment: str, info: DatasetInfo, settings: tuple[str, ...], tmp_path: Path
) -> None:
    run = composed(f"experiment={experiment}", "model.width=0.03", *settings)
    network = build_network(run, info).eval()
    save_weights(network, run, info, tmp_path)
    images = torch.rand(2, *info.image)
    assert torch.equal(capsnet.load(tmp_path)(images), network(images))
    assert read_info(tmp_path) == info


def test_a_broken_description_of_the_images_gets_a_sentence(tmp_path: Path) -> None:
    saved(tmp_path, "mnist_capsnet_r1", 28)
    file = tmp_path / "weights.safetensors"
    for text in ("", "{}", "[1]"):
        save_file(load_file(file), file, {"dataset": text})
        with pytest.raises(UserError, match=r"holds no weights of a run: weights\.safetensors: da"):
            capsnet.load(tmp_path)


def test_a_padded_leaky_network_computes_the_same_once_loaded(tmp_path: Path) -> None:
    """Nothing in its weights tells 23×23 images from 24×24, which are padded otherwise."""
    settings = "model.padding=same", "model.routing=leaky", "model.primary_dim=6"
    run = composed(
        "experiment=mnist_capsnet_r3", "model.width=0.03", "model.class_dim=5", *settings
    )
    info = DatasetInfo("", 3, 24, 24, ("a", "b", "c"))
    network = build_network(run, info).eval()
    save_weights(network, run, info, tmp_path)
    images = torch.rand(2, 3, 24, 24)
    assert torch.equal(capsnet.load(older(tmp_path))(images), network(images))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    network = saved(tmp_path, "mnist_capsnet_r1", 28)
    other = composed("experiment=mnist_capsnet_r1", "model.width=0.06")
    save_weights(network, other, DatasetInfo("", 1, 28, 28), tmp_path)
    with pytest.raises(UserError, match="the weights are not those of this network for 1×28×28"):
        capsnet.load(str(tmp_path))
    with pytest.raises(
        UserError, match="the weights are not those of a capsnet as mnist_capsnet_r1"
    ):
        capsnet.load(str(older(tmp_path)))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="does not exist: CHECKPOINT is the folder of a finished run"
    ):
        capsnet.load(tmp_path / "nothing")


def test_weights_that_the_repository_has_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "results/weights/mine", "mnist_capsnet_r1", 28)
    images = torch.rand(2, 1, 28, 28)
    by_name, by_folder = capsnet.load("mine"), capsnet.load(tmp_path / "results/weights/mine")
    assert torch.equal(by_name(images), by_folder(images))
    with pytest.raises(UserError, match=r"other does not exist: .*results/weights/, as mine"):
        capsnet.load("other")
    with pytest.raises(UserError, match="runs/mine does not exist"):
        capsnet.load("runs/mine")
    saved(tmp_path / "mine", "mnist_baseline", 28)
    assert not isinstance(capsnet.load("mine"), type(by_name))  # a folder here comes first
