"""The project with four experiments of three steps, for tests that change it."""

import shutil
import subprocess
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[2]
PARTS = (
    *("src", "conf", "demo/dvc.yaml", "dvc.yaml", "docs/analysis-plan.md"),
    "results/benchmark",
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

OF_OTHERS = ("photodigits", "stereodigits", "contact-sheets-section7", "ensemble")  # stages
EXPERIMENTS = ("affnist_capsnet", "mnist_baseline", "mnist_capsnet_r1", "multimnist_baseline")


def tiny_pipeline(text: str) -> str:
    """Leave out of a pipeline all other experiments, with the stages that would have none."""
    values = yaml.safe_load(text)
    [lists] = values["vars"]
    for name in (one for one in lists if one.endswith("experiments")):
        lists[name] = [one for one in lists[name] if one in EXPERIMENTS]
    empty = {f"${{{name}}}" for name, some in lists.items() if not some}
    values["stages"] = {
        name: stage
        for name, stage in values["stages"].items()
        if stage.get("matrix", {}).get("experiment") not in empty and name not in OF_OTHERS
    }
    values["plots"] = [
        one
        for one in values["plots"]
        if any(path.split("/")[3] in EXPERIMENTS for plot in one.values() for path in plot["y"])
    ]
    return yaml.safe_dump(values, sort_keys=False)


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
    pipeline.write_text(tiny_pipeline(pipeline.read_text()))
    subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
    return copy
