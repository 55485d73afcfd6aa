"""What decides a run's numbers: its configuration, its data and the code. As digests."""

import ast
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from capsnet.config import Run

PACKAGE = Path(__file__).parent
DECIDING = (
    "functional.py",
    "layers.py",
    "networks.py",
    "metrics.py",
    "modules.py",
    "build.py",
    "evaluate.py",
    "train.py",
    "data/counter.py",
    "data/datamodule.py",
    "data/shifted.py",
)


def code_digest(package: Path = PACKAGE) -> str:
    """Of the modules that decide a run's numbers, comments, docstrings and layout left out."""
    sources = (normalised((package / name).read_text()) for name in DECIDING)
    return _digest("\n".join(sources))


def normalised(source: str) -> str:
    """Python source without what a reader alone sees.

    Parsed, stripped of docstrings and printed again, so that a better docstring costs no GPU run
    and a changed equation does.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body[0] = ast.Expr(ast.Constant(...))
    return ast.unparse(tree)


def run_identity(run: Run, data_digest: str) -> dict[str, str]:
    """Three digests. Two runs that agree in them come out the same, step by step."""
    decides = {
        key: value
        for key, value in asdict(run).items()
        if key in ("seed", "data", "model", "recipe", "schedule")
    }
    del decides["data"]["root"]
    return {
        "config": _digest(json.dumps(decides, sort_keys=True)),
        "data": data_digest,
        "code": code_digest(),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
