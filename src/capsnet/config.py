"""The typed configuration of a run, checked before torch is imported.

Hydra composes it from `conf/`; `validated` turns what Hydra hands over into frozen dataclasses.
"""

from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any, cast

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from capsnet import registry
from capsnet.config_errors import in_one_line
from capsnet.errors import UserError

_PACKAGED = Path(__file__).parent / "conf"  # a wheel has it, a checkout has not
CONF = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "conf"


class SetOnce:
    """Frozen once built. OmegaConf merges into plain dataclasses, not into `frozen=True` ones."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Raises FrozenInstanceError when the attribute has a value already."""
        if name in self.__dict__:
            raise FrozenInstanceError(f"a validated configuration cannot change: {name}")
        super().__setattr__(name, value)


def _require(right: bool, key: str, value: object, rule: str) -> None:
    if not right:
        raise UserError(f"{key} = {value} is not possible: it must be {rule}")


def _require_name(group: registry.Group, key: str, name: str) -> None:
    names = registry.names(group) if name not in registry.TABLES[group] else [name]
    _require(name in names, key, name, f"one of {', '.join(names)}")


@dataclass
class Data(SetOnce):
    """Choose what is shown of which images."""

    name: str = MISSING  # a view of registry.py: shifted, multimnist …
    source: str = MISSING  # the prepared images below root: mnist, digits …
    root: str = "data"
    shift: int = 2  # pixels, −shift…shift on both axes; of shifted and enumerated
    holdout: float = 0.0  # share of the training digits, the first ones, that validate instead

    def __post_init__(self) -> None:
        """Raises UserError when a value is out of range; so do all parts of a run."""
        _require_name("capsnet.views", "data.name", self.name)
        _require(0 <= self.shift <= 14, "data.shift", self.shift, "between 0 and 14 pixels")
        held = self.holdout
        share = "at least 0 and below 1: a share of the training digits"
        _require(0 <= held < 1, "data.holdout", held, share)


@dataclass
class Model(SetOnce):
    """Settings of all networks: a name, and a width that multiplies their channel counts."""

    name: str = MISSING
    width: float = 1.0  # 1 is the paper's network

    def __post_init__(self) -> None:
        _require(0 < self.width <= 8, "model.width", self.width, "above 0 and at most 8")


@dataclass
class CapsNet(Model):
    """The choices of Table 1."""

    routing_iterations: int = 3
    decoder: bool = True
    routing: str = "dynamic"  # an algorithm of registry.py

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_name("capsnet.routings", "model.routing", self.routing)
        iterations = self.routing_iterations
        _require(iterations >= 1, "model.routing_iterations", iterations, "1 or more")


@dataclass
class DropoutBaseline(Model):
    """Settings of the baselines with dropout."""

    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(0 <= self.dropout < 1, "model.dropout", self.dropout, "at least 0 and below 1")


@dataclass
class MnistBaseline(DropoutBaseline):
    """The convolutional baseline of Table 1."""


@dataclass
class MultiMnistBaseline(Model):
    """The convolutional baseline of Table 1's MultiMNIST column."""


@dataclass
class AffnistBaseline(DropoutBaseline):
    """The convolutional baseline of the affNIST experiment."""


@dataclass
class Recipe(SetOnce):
    """The choices in which the released code and the text of the paper differ."""

    name: str = MISSING
    routing_bias: bool = MISSING
    primary_coupling: bool = MISSING
    initialisation: str = MISSING  # released | text
    balance: str = MISSING  # released | text: the margin loss beside the reconstruction loss

    def __post_init__(self) -> None:
        for key in ("initialisation", "balance"):
            value = getattr(self, key)
            _require(value in ("released", "text"), f"recipe.{key}", value, "released or text")


@dataclass
class Schedule(SetOnce):
    """Adam's steps and the decay of its learning rate: lr · rate^(step / decay_steps) ≥ floor.

    With `decay_to`, lr · decay_to^(step / steps) ≥ floor instead: the decay then depends on how
    many steps are planned, and such a run cannot be prolonged.
    """

    name: str = MISSING
    steps: int = MISSING
    decay_steps: float = 2000  # [C]
    decay_stretch: float = 1.0  # times decay_steps; 10 for MultiMNIST [P]
    decay_rate: float = 0.96
    decay_to: float | None = None  # share of the learning rate after the last step
    learning_rate: float = 0.001
    floor: float = 1e-6
    batch: int = 128  # over all devices together
    validate_every: int = 500  # steps; only with data.holdout
    stop_at: float | None = None  # accuracy on validation digits at which training ends
    evaluate_below: float | None = None  # validation error from which on test errors are counted

    def __post_init__(self) -> None:
        for key in ("steps", "decay_steps", "decay_stretch", "batch", "validate_every"):
            value = getattr(self, key)
            _require(value >= 1, f"schedule.{key}", value, "1 or more")
        for key in ("learning_rate", "decay_rate"):
            value = getattr(self, key)
            _require(0 < value <= 1, f"schedule.{key}", value, "above 0 and at most 1")
        share = self.decay_to is None or 0 < self.decay_to <= 1
        _require(share, "schedule.decay_to", self.decay_to, "above 0 and at most 1, or null")
        stop = self.stop_at
        accuracy = stop is None or 0 < stop <= 1
        _require(accuracy, "schedule.stop_at", stop, "an accuracy above 0 and at most 1, or null")
        below = self.evaluate_below
        error = below is None or 0 < below <= 1
        _require(error, "schedule.evaluate_below", below, "above 0 and at most 1, or null")


PRECISIONS = ("32-true", "tf32", "bf16-mixed")
KERNELS = ("auto", "fast", "reference", "fused")
CONVOLUTIONS = ("auto", "fourier", "direct")


@dataclass
class Trainer(SetOnce):
    """Runtime settings. None changes the results beyond rounding."""

    accelerator: str = "auto"
    devices: int = 1  # of a node
    num_nodes: int = 1
    kernels: str = "fast"  # auto: fused for CapsNets where a GPU can run it, else fast
    convolutions: str = "auto"  # in fp32: fourier on CPUs, direct (cuDNN) on GPUs
    compile: bool = False  # losses and scores, by torch.compile; on CUDA into graphs
    benchmark: bool = False  # let cuDNN time its algorithms and choose
    checkpoint_every: float = 60  # seconds at least, at the next logged step; 0: each logged step
    log_every: int = 50  # steps
    progress: bool = True

    def __post_init__(self) -> None:
        for key, allowed in (("kernels", KERNELS), ("convolutions", CONVOLUTIONS)):
            value = getattr(self, key)
            _require(value in allowed, f"trainer.{key}", value, f"one of {', '.join(allowed)}")
        for key in ("devices", "num_nodes", "log_every"):
            value = getattr(self, key)
            _require(value >= 1, f"trainer.{key}", value, "1 or more")
        seconds = self.checkpoint_every
        _require(seconds >= 0, "trainer.checkpoint_every", seconds, "0 or more seconds")

    @property
    def processes(self) -> int:
        """Count the processes that train, one for each device of each node."""
        return self.devices * self.num_nodes


@dataclass
class Logger(SetOnce):
    """CSV files are always written."""

    wandb: bool = True
    project: str = "capsnet"


@dataclass
class Run(SetOnce):
    """One training run, whole."""

    name: str = MISSING  # the experiment
    seed: int = 0
    data: Data = MISSING
    model: Model = MISSING
    recipe: Recipe = MISSING
    schedule: Schedule = MISSING
    trainer: Trainer = MISSING
    logger: Logger = MISSING
    precision: str = "32-true"  # tf32, bf16-mixed: what convolutions multiply in; all else is fp32
    record: str | None = None  # where the result goes; by default record.json in the run's folder
    composition: str | None = None  # digest of values and code, in composed configurations

    def __post_init__(self) -> None:
        batch, processes = self.schedule.batch, self.trainer.processes
        _require(0 <= self.seed < 2**32, "seed", self.seed, "between 0 and 2^32 - 1")
        _require(
            batch % processes == 0,
            "trainer.devices" if self.trainer.num_nodes == 1 else "trainer.devices × num_nodes",
            processes,
            f"a divisor of the global batch, schedule.batch = {batch}",
        )
        known = self.precision in PRECISIONS
        _require(known, "precision", self.precision, f"one of {', '.join(PRECISIONS)}")
        for key in ("stop_at", "evaluate_below"):
            value = getattr(self.schedule, key)
            _require(
                value is None or self.data.holdout > 0,
                f"schedule.{key}",
                value,
                "null without validation digits: data.holdout is 0",
            )


MODELS = {
    "capsnet": CapsNet,
    "mnist_baseline": MnistBaseline,
    "multimnist_baseline": MultiMnistBaseline,
    "affnist_baseline": AffnistBaseline,
}


def register() -> None:
    """Make the schemas known to Hydra."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Run)
    for name, model in MODELS.items():
        store.store(group="model", name=f"{name}_schema", node=model)


def validated(cfg: DictConfig) -> Run:
    """The frozen run that `cfg` describes. Raises UserError with the key at fault.

    Hydra accepts `+foo=1` and reads a composed file without types; merging its plain values into
    the schema accepts neither.
    """
    try:
        values: Any = OmegaConf.to_container(cfg, resolve=True)
        name = values["model"]["name"]
        _require(name in MODELS, "model.name", name, f"one of {', '.join(MODELS)}")
        model = OmegaConf.structured(MODELS[name])
        return cast(Run, OmegaConf.to_object(OmegaConf.merge(Run, {"model": model}, values)))
    except OmegaConfBaseException as error:
        raise UserError(in_one_line(error)) from error
