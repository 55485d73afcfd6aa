"""A training step in Lightning's own loop never waits for the device, but where it logs."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from capsnet.compose import names
from capsnet.data.loading import load_dataset
from capsnet.tracking.loggers import build_loggers
from capsnet.training.factory import build_datamodule, build_module
from capsnet.training.trainer import build_trainer
from helpers.running import tiny

READS = ("_local_scalar_dense", "nonzero", "masked_select", "unique")  # a CUDA device is waited for
STEPS, EVERY = 61, 20


class Reads(TorchDispatchMode):
    """Counts, for each training step, the operations that read a value of a tensor."""

    def __init__(self, trainer: Any) -> None:
        super().__init__()
        self.trainer, self.at = trainer, Counter[int]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__.startswith(READS):
            self.at[self.trainer.fit_loop.epoch_loop.batch_idx] += 1
        return func(*args, **kwargs or {})


@pytest.mark.slow
@pytest.mark.parametrize("progress", ["true", "false"])
@pytest.mark.parametrize("experiment", ["mnist_capsnet_r3_recon", "mnist_baseline"])
def test_values_are_read_at_logged_steps_alone(
    experiment: str, progress: str, data_root: Path, tmp_path: Path
) -> None:
    run = tiny(
        data_root,
        f"schedule.steps={STEPS}",
        "schedule.batch=8",
        f"trainer.log_every={EVERY}",
        f"trainer.progress={progress}",
        "logger=csv",
        experiment=experiment,
    )
    data = load_dataset(run)
    trainer = build_trainer(run, tmp_path, build_loggers(run, tmp_path, {"sources": {}}))
    with Reads(trainer) as reads:
        trainer.fit(build_module(run, data.info), build_datamodule(run, data))
    logged = {step for step in range(STEPS) if (step + 1) % EVERY == 0}
    last = STEPS - 1  # what ends the training may read
    assert {step for step in reads.at if step not in logged} <= {-1, last}  # and what begins it
    assert all(reads.at[step] for step in logged)


def test_there_are_no_other_experiments_whose_step_reads() -> None:
    assert {name.split("_")[1] for name in names("experiment")} == {"baseline", "capsnet"}
