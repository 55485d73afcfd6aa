"""Missing requirements of compiled kernels are named in one sentence, before Triton fails."""

from pathlib import Path

import pytest
import torch

from capsnet.errors import UserError
from capsnet.kernels import requirements


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An Ampere GPU, a compiler and headers; tests take one of them away."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A card")
    monkeypatch.setattr(requirements, "header", lambda: Path(__file__))
    monkeypatch.setenv("CC", "sh")
    return monkeypatch


def test_a_machine_that_has_everything_is_fine(gpu: pytest.MonkeyPatch) -> None:
    requirements.check_fused()


def test_no_gpu(gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="needs a CUDA GPU and there is none: use fast"):
        requirements.check_fused()


def test_an_older_gpu(gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    with pytest.raises(UserError, match=r"8\.0 \(Ampere\) or newer and A card has 7\.5: use fast"):
        requirements.check_fused()


def test_no_headers(gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(requirements, "header", lambda: Path("/nowhere/Python.h"))
    with pytest.raises(UserError, match=r"headers and /nowhere/Python\.h does not exist: install"):
        requirements.check_fused()


@pytest.mark.parametrize("sizes", [(10, 16, 8), (5, 16, 8), (10, 8, 6), (16, 1, 16), (1, 256, 1)])
def test_capsules_that_fit(sizes: tuple[int, int, int]) -> None:
    requirements.check_sizes(*sizes)


@pytest.mark.parametrize("sizes", [(17, 16, 8), (43, 1, 8), (10, 17, 8), (10, 16, 17)])
def test_capsules_too_many_or_too_large(sizes: tuple[int, int, int]) -> None:
    """43 classes of 16 numbers would need 292 KB of shared memory, compiled for an H100 of 227."""
    classes, above, below = sizes
    with pytest.raises(UserError, match=f"not to {classes} of {above}, from {below}: use fast"):
        requirements.check_sizes(*sizes)


@pytest.mark.parametrize("CC", ["no-such-compiler", None])
def test_no_compiler(gpu: pytest.MonkeyPatch, CC: str | None, tmp_path: Path) -> None:
    gpu.setenv("PATH", str(tmp_path))
    gpu.delenv("CC")
    if CC is not None:
        gpu.setenv("CC", CC)
    with pytest.raises(
        UserError, match="need a C compiler and there is none: install gcc or clang"
    ):
        requirements.check_compiler()


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_a_compiler_on_the_path(gpu: pytest.MonkeyPatch, name: str, tmp_path: Path) -> None:
    gpu.setenv("PATH", str(tmp_path))
    gpu.delenv("CC")
    (tmp_path / name).touch(mode=0o755)
    assert requirements.compiler() == str(tmp_path / name)
    requirements.check_compiler()
