"""Digests of what decides a run's numbers: its configuration, its data and the code."""

import ast
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from capsnet import registry
from capsnet.config import PICTURE_KEYS, RunConfig

PACKAGE = Path(__file__).parents[1]
TRAINING = (  # the code that decides a run's weights: files, and packages with all in them
    *("functional.py", "routing.py", "routing_ablations.py", "layers.py", "networks.py"),
    "metrics.py",
    *("kernels", "data", "training"),
)
EVALUATION = ("evaluation", "records")  # the code that decides what is kept of trained weights
CAPSULES = {"channels": 256, "types": 32, "primary_dim": 8, "class_dim": 16}
LATER: dict[str, dict[str, Any]] = {  # keys that older runs lack, and the values that they had
    "capsnet": {"routing": "dynamic", "padding": "valid", **CAPSULES, "sharing": "none"},
    "mnist_baseline": {"decoder": False, "loss": "cross_entropy"},
    "schedule": {"decay_to": None, "evaluate_below": None},
}


def code_digest(names: Sequence[str] = TRAINING, package: Path = PACKAGE) -> str:
    """Digest the code of `names`, files and packages, without comments, docstrings and layout."""
    paths = (path for name in names for path in _sources(package / name))
    return _digest("\n".join(normalised(path.read_text()) for path in paths))


def _sources(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@cache
def normalised(source: str) -> str:
    """Python source without what a reader alone sees; the same for every version of Python.

    Parsed and stripped of docstrings, so that a better docstring costs no GPU run and a changed
    equation does.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body[0] = ast.Expr(ast.Constant(...))
    return repr(_plain(tree))


def _plain(node: Any) -> Any:
    """Turn a syntax tree into nested lists, without the empty fields that some versions add."""
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
        return [type(node).__name__, *((name, _plain(value)) for name, value in fields)]
    return [_plain(one) for one in node] if isinstance(node, list) else node


def config_digest(run: RunConfig, steps: bool = True) -> str:
    """Digest the values that decide a run's numbers, without the seed; the steps count if asked.

    The steps always count where they change earlier steps: `schedule.decay_to`, and a validation at
    the last step of a run that is too short for another.
    """
    values = asdict(run)
    decides = {key: values[key] for key in ("data", "model", "recipe", "schedule", "precision")}
    for key in ("root", *PICTURE_KEYS):  # the name of prepared pictures has the digest of all that
        del decides["data"][key]
    for part, kind in (("model", run.model.name), ("schedule", "schedule")):
        before, every = LATER.get(kind, {}).items(), decides[part].items()
        # dropped, so that the digests of older runs stay right
        decides[part] = {key: value for key, value in every if (key, value) not in before}
    too_short = run.data.holdout and run.schedule.steps < run.schedule.validate_every
    if not (steps or too_short) and run.schedule.decay_to is None:
        del decides["schedule"]["steps"]
    return _digest(json.dumps(decides, sort_keys=True))


def composition(run: RunConfig) -> str:
    """Return the fingerprint of a composed configuration: values, training and evaluation code."""
    return _digest(config_digest(run) + training_code(run) + code_digest(EVALUATION))


def training_code(run: RunConfig) -> str:
    """Digest the code that decides a run's weights, with what other packages add to it."""
    chosen: list[tuple[registry.Group, str]] = [
        ("capsnet.sources", run.data.source),
        ("capsnet.views", run.data.name),
        ("capsnet.routings", getattr(run.model, "routing", "dynamic")),
    ]
    added = [_installed_code(group, name) for group, name in chosen]
    return _digest("".join((code_digest(), *added))) if any(added) else code_digest()


def _installed_code(group: registry.Group, name: str) -> str:
    """Digest the module, or its package, that another package adds; '' for what is ours."""
    if name not in registry.installed(group):
        return ""
    found = find_spec(registry.entry(group, name).module.split(".")[0])
    if found is None or found.origin is None:
        return ""
    path = Path(found.origin)
    return code_digest(["." if path.stem == "__init__" else path.name], path.parent)


def run_identity(run: RunConfig, data_digest: str) -> dict[str, str]:
    """Return a run's fingerprint: its seed and digests of configuration, data and training code.

    Evaluation code is left out, as new figures need no new training.
    """
    return {
        "seed": str(run.seed),
        "config": config_digest(run),
        "data": data_digest,
        "code": training_code(run),
    }


def folder_identity(run: RunConfig, data_digest: str) -> dict[str, str]:
    """Return the run's identity with its steps and a digest of all other values, for its folder.

    Without `schedule.decay_to`, step k does not depend on how many come after it: a run that
    differs in its steps alone can be prolonged.
    """
    steps = {"steps": str(run.schedule.steps), "config_without_steps": config_digest(run, False)}
    return run_identity(run, data_digest) | steps


def changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Name the parts of a folder's identity that keep a run from going on: none if it may."""
    same_values = before.get("config_without_steps") == now["config_without_steps"]
    prolonged = same_values and int(before["steps"]) < int(now["steps"])
    parts = ("seed", "data", "code") if prolonged else ("seed", "config", "data", "code")
    return [part for part in parts if before.get(part) != now[part]]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
