"""A finished training as plain values, read from its trainer."""

from typing import Any

import pytorch_lightning as pl
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Timer

from capsnet import config
from capsnet.data.dataset import DataSet
from capsnet.data.info import DatasetInfo
from capsnet.networks import parameter_count
from capsnet.records.provenance import device_name
from capsnet.records.record import TrainingSummary
from capsnet.training.build_network import choose_kernels
from capsnet.training.callbacks import StopAt
from capsnet.training.error_curve import ErrorCurve

SETTINGS = ("convolutions", "compile", "benchmark", "devices", "num_nodes")


def summarise(run: config.RunConfig, data: DataSet, trainer: pl.Trainer) -> TrainingSummary:
    """Summarise a finished training; its seconds count those of resumed runs as well."""
    callbacks = _callbacks(trainer)
    return TrainingSummary(
        steps=trainer.global_step,
        stopped=next((one.step for one in callbacks if isinstance(one, StopAt)), None),
        examples=len(data.train),
        parameters=parameter_count(trainer.lightning_module),
        seconds=sum(one.time_elapsed("train") for one in callbacks if isinstance(one, Timer)),
        device=device_name(trainer.strategy.root_device),
        settings=settings(run, data.info),
    )


def settings(run: config.RunConfig, info: DatasetInfo) -> dict[str, Any]:
    """Return the runtime settings for a record: they change speed, and results by rounding."""
    chosen = {name: getattr(run.trainer, name) for name in SETTINGS}
    return {"kernels": choose_kernels(run, info)} | chosen


def errors_along_training(trainer: pl.Trainer) -> dict[str, NDArray[Any]]:
    """Return the errors counted along the training, as `ErrorCurve.arrays`, if any were."""
    counted = (one.arrays() for one in _callbacks(trainer) if isinstance(one, ErrorCurve))
    return next(counted, {})


def _callbacks(trainer: pl.Trainer) -> list[pl.Callback]:
    return getattr(trainer, "callbacks", [])  # Lightning's own types lack this attribute
