"""A comment costs no run; an equation, a value or another seed does."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from capsnet import config
from capsnet.compose import composed
from capsnet.training.fingerprint import (
    EVALUATION,
    PACKAGE,
    TRAINING,
    changes,
    code_digest,
    composition,
    config_digest,
    folder_identity,
    normalised,
    run_identity,
)

RUN = "experiment=mnist_capsnet_r3_recon"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "capsnet", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "capsnet"


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_comments_docstrings_and_layout_leave_the_digest_alone(package: Path) -> None:
    before = code_digest(package=package)
    functional = package / "functional.py"
    _replace(functional, '"""Route by agreement for', '"""Another docstring:')
    _replace(functional, "# [P] section 3", "# another comment")
    _replace(functional, "    norm = torch", "\n    norm = (\n        torch")
    _replace(functional, "keepdim=True)\n", "keepdim=True)\n    )\n")
    assert code_digest(package=package) == before


def test_the_digest_is_of_the_syntax_alone_whatever_python_prints() -> None:
    # Written out by hand from the grammar of Python's ast module; `ast.unparse` quotes nested
    # strings one way in Python 3.11 and another in 3.12, and 3.13 leaves out empty fields.
    source = "def f(x):\n    '''Text.'''\n    return f\"{x['a']}\"\n"
    subscript = "['Subscript', ('value', ['Name', ('id', 'x'), ('ctx', ['Load'])]), "
    subscript += "('slice', ['Constant', ('value', 'a')]), ('ctx', ['Load'])]"
    told = f"['FormattedValue', ('value', {subscript}), ('conversion', -1)]"
    text = f"['Return', ('value', ['JoinedStr', ('values', [{told}])])]"
    docstring = "['Expr', ('value', ['Constant', ('value', Ellipsis)])]"
    arguments = "['arguments', ('args', [['arg', ('arg', 'x')]])]"
    f = f"['FunctionDef', ('name', 'f'), ('args', {arguments}), ('body', [{docstring}, {text}])]"
    assert normalised(source) == f"['Module', ('body', [{f}])]"


def test_a_run_that_validated_at_its_last_step_alone_is_not_prolonged() -> None:
    def identity(steps: int, *overrides: str) -> dict[str, str]:
        words = (RUN, f"schedule.steps={steps}", "schedule.validate_every=20", *overrides)
        return folder_identity(composed(*words), "data")

    assert changes(identity(15, "data.holdout=0.1"), identity(40, "data.holdout=0.1")) == ["config"]
    assert changes(identity(25, "data.holdout=0.1"), identity(40, "data.holdout=0.1")) == []
    assert changes(identity(15), identity(40)) == []  # without validation, each step is the same


def test_what_is_kept_of_trained_weights_needs_no_other_training(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "capsnet.training.fingerprint.code_digest.__defaults__", (TRAINING, package)
    )
    run = composed(RUN)
    identity, composed_from = run_identity(run, "data"), composition(run)
    _replace(package / "evaluation" / "figure_data.py", "ITERATIONS = 10", "ITERATIONS = 11")
    assert run_identity(run, "data") == identity
    assert composition(run) != composed_from


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("functional.py", "1 + norm.square()", "2 + norm.square()"),
        ("functional.py", "0.9, 0.1, 0.5", "0.9, 0.1, 0.4"),
        ("networks.py", "std=sd", "std=2 * sd"),
        ("training/module.py", "torch.stack(drawn).sum()", "torch.stack(drawn).mean()"),
        ("data/counter_rng.py", "range(6)", "range(8)"),
    ],
)
def test_a_changed_equation_changes_the_digest(
    package: Path, name: str, old: str, new: str
) -> None:
    before = code_digest(package=package)
    _replace(package / name, old, new)
    assert code_digest(package=package) != before


UNDECIDING = {  # what training imports besides, and why it changes no number
    "__init__": "public names",
    "config": "its values are digested",
    "config_errors": "messages",
    "errors": "messages",
    "paper": "published numbers, beside ours in W&B",
    "registry": "where names are found; the values that choose them are digested",
    "tracking": "logs",
}


def test_every_package_that_training_imports_decides_or_is_known_not_to() -> None:
    code = """
import sys
import capsnet.training.run
print(*(name.split(".")[1] for name in sys.modules if name.startswith("capsnet.")))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    digested = {name.removesuffix(".py") for name in (*TRAINING, *EVALUATION)}
    assert digested <= {path.stem for path in PACKAGE.iterdir()}
    assert {*done.stdout.split()} <= {*digested, *UNDECIDING}


@pytest.mark.parametrize(
    ("experiment", "digest"),
    [  # as they were before a configuration had sizes of capsules and padding
        ("mnist_capsnet_r3_recon", "5bb3658af37e1bfe"),
        ("multimnist_capsnet_r1_recon", "3296c9a0bf155f1c"),
        ("affnist_capsnet", "624a2de3e87e61ef"),
        ("mnist_baseline", "f40f9cf03f09643a"),
    ],
)
def test_later_keys_leave_the_config_digests_of_older_runs(experiment: str, digest: str) -> None:
    assert config_digest(composed(f"experiment={experiment}", "profile=paper")) == digest


@pytest.mark.parametrize(
    "override",
    ["recipe=text", "model.routing_iterations=2", "schedule.steps=1", "data.shift=1"],
)
def test_a_value_that_decides_changes_the_config_digest(override: str) -> None:
    assert config_digest(composed(RUN, override)) != config_digest(composed(RUN))


def test_each_later_value_of_a_model_changes_the_config_digest() -> None:
    run = composed(RUN)
    assert isinstance(run.model, config.CapsNet)
    others: list[dict[str, Any]] = [
        *({"routing": "leaky"}, {"padding": "same"}, {"channels": 64}, {"types": 64}),
        *({"primary_dim": 6}, {"class_dim": 8}),
    ]
    made = [replace(run, model=replace(run.model, **changed)) for changed in ({}, *others)]
    assert len({config_digest(one) for one in made}) == 7


@pytest.mark.parametrize(
    "override",
    [
        "trainer.devices=2",
        "data.root=elsewhere",
        "logger=csv",
        "record=x.json",
        "trainer.kernels=reference",
    ],
)
def test_how_and_where_a_run_is_made_does_not(override: str) -> None:
    assert config_digest(composed(RUN, override)) == config_digest(composed(RUN))


@pytest.mark.slow
def test_seed_and_data_are_part_of_a_run_identity() -> None:
    here = run_identity(composed(RUN), "data")
    assert run_identity(composed(RUN, "seed=1"), "data") != here
    assert run_identity(composed(RUN), "other data") != here
