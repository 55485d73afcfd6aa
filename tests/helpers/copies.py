"""The project with four experiments of three steps, for tests that change it."""

import shutil
import subprocess
from pathlib import Path

from capsnet.compose import names

PROJECT = Path(__file__).parents[2]
PARTS = (
    *("src", "conf", "demo/dvc.yaml", "dvc.yaml", "results/benchmark"),
    *(".dvc/config", ".dvc/plots", ".dvc/.gitignore", ".dvcignore", ".gitignore"),
    *(f"results/{folder}/README.md" for folder in ("paper", "paper-data", "demo", "demo-data")),
)
TINY_PROFILE = """\
# @package _global_
data: {source: digits}
model: {width: 0.03}
schedule: {name: demo, steps: 3, decay_steps: 10, batch: 16}
logger: {wandb: false}
trainer: {progress: false}
"""

EXPERIMENTS = ("affnist_capsnet", "mnist_baseline", "mnist_capsnet_r1", "multimnist_baseline")


def _dropped(line: str) -> bool:
    """Tell whether a line of the pipeline names an experiment that the copy leaves out."""
    name = line.removeprefix("      - ").strip()
    return name in names("experiment") and name not in EXPERIMENTS


def tiny_copy(copy: Path) -> Path:
    """Filled with what a checkout holds, as a git repository."""
    for part in PARTS:
        source, target = PROJECT / part, copy / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (copy / "conf/profile/demo.yaml").write_text(TINY_PROFILE)
    pipeline = copy / "demo/dvc.yaml"
    lines = pipeline.read_text().splitlines(keepends=True)
    pipeline.write_text("".join(line for line in lines if not _dropped(line)))
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    return copy
