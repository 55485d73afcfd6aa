"""What compiled kernels lack is known before Triton fails."""

from pathlib import Path

import pytest
import torch

from capsnet.kernels import requirements
from capsnet.kernels.requirements import lacking_for_compiling, lacking_for_fused


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An Ampere GPU, a compiler and headers; tests take one of them away."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A card")
    monkeypatch.setattr(requirements, "header", lambda: Path(__file__))
    monkeypatch.setenv("CC", "sh")
    return monkeypatch


def test_a_machine_that_has_everything_lacks_nothing(gpu: pytest.MonkeyPatch) -> None:
    assert lacking_for_fused() is None


def test_no_gpu(gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(torch.cuda, "is_available", lambda: False)
    assert lacking_for_fused() == "a CUDA GPU, and there is none"
    assert lacking_for_compiling() is None


def test_an_older_gpu(gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    told = "a GPU of compute capability 8.0 (Ampere) or newer, and A card has 7.5"
    assert lacking_for_fused() == told


def test_no_headers(gpu: pytest.MonkeyPatch) -> None:
    gpu.setattr(requirements, "header", lambda: Path("/nowhere/Python.h"))
    told = "Python's headers, and /nowhere/Python.h does not exist: install python3-dev"
    for lacking in (lacking_for_fused(), lacking_for_compiling()):
        assert str(lacking).startswith(told)


@pytest.mark.parametrize("CC", ["no-such-compiler", None])
def test_no_compiler(gpu: pytest.MonkeyPatch, CC: str | None, tmp_path: Path) -> None:
    gpu.setenv("PATH", str(tmp_path))
    gpu.delenv("CC")
    if CC is not None:
        gpu.setenv("CC", CC)
    told = "a C compiler, and there is none: install gcc or clang, or name one in CC"
    assert lacking_for_fused() == lacking_for_compiling() == told


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_a_compiler_on_the_path(gpu: pytest.MonkeyPatch, name: str, tmp_path: Path) -> None:
    gpu.setenv("PATH", str(tmp_path))
    gpu.delenv("CC")
    (tmp_path / name).touch(mode=0o755)
    assert requirements.compiler() == str(tmp_path / name)
    assert lacking_for_compiling() is None
