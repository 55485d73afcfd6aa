"""kill -9 at any moment, the same command again: the weights of an undisturbed run, bit for bit."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from helpers.running import TINY, command, output, wait_for

KILLS = int(os.environ.get("CAPSNET_TEST_KILLS", "2"))
EXPERIMENTS = (
    "mnist_baseline",  # dropout: the one network whose steps draw random numbers
    "mnist_capsnet_r3_recon",
)
RUN = (
    *TINY,
    "schedule.steps=600",
    "schedule.batch=16",
    "trainer.log_every=7",
    "trainer.checkpoint_every=0",
    "logger=csv",
)


def checkpoint(folder: Path) -> Path:
    return folder / "checkpoints" / "last.ckpt"


def written_at(folder: Path) -> int:
    return checkpoint(folder).stat().st_mtime_ns if checkpoint(folder).exists() else 0


def kill_after_progress(folder: Path, arguments: tuple[str, ...], moment: float) -> None:
    """Start, wait for a checkpoint of this very process, and kill `moment` seconds later."""
    before = written_at(folder)
    process = command("train", *arguments, f"hydra.run.dir={folder}", cwd=folder.parent)
    wait_for(lambda: written_at(folder) > before, process)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def state(folder: Path) -> dict[str, torch.Tensor]:
    loaded = torch.load(checkpoint(folder), weights_only=True)
    assert loaded["global_step"] == 600
    return loaded["state_dict"]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_killed_runs_end_in_the_weights_of_an_undisturbed_one(
    experiment: str, data_root: Path, tmp_path: Path
) -> None:
    moments = random.Random(0)
    arguments = (f"experiment={experiment}", *RUN, f"data.root={data_root}")
    for _ in range(KILLS):
        kill_after_progress(tmp_path / "killed", arguments, moments.uniform(0, 0.5))
        reached = torch.load(checkpoint(tmp_path / "killed"), weights_only=True)["global_step"]
        assert 0 < reached < 600
    for name in ("killed", "undisturbed"):
        here = f"hydra.run.dir={tmp_path / name}"
        code, printed = output("train", *arguments, here, cwd=tmp_path)
        assert code == 0, printed
        assert ("resuming from last.ckpt" in printed) == (name == "killed")
    killed, undisturbed = state(tmp_path / "killed"), state(tmp_path / "undisturbed")
    assert killed.keys() == undisturbed.keys()
    assert all(torch.equal(killed[name], undisturbed[name]) for name in killed)
