"""The typed configuration of a run: each field with the values that it may have.

Hydra composes a run from the defaults here and the files of `conf/`; `validated` checks it before
torch is imported.
"""

import re
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from capsnet import registry
from capsnet.config_errors import first_fault, impossible, in_one_line
from capsnet.errors import UserError

_PACKAGED = Path(__file__).parent / "conf"  # a wheel has it, a checkout has not
CONF = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[2] / "conf"

CHECKED = ConfigDict(extra="forbid", coerce_numbers_to_str=True)  # wandb's project may be 2026


def _registered(group: registry.Group) -> AfterValidator:
    """Make a check that a name is in a table of the registry or added by an installed package."""

    def check(name: str) -> str:
        if name in registry.TABLES[group] or name in registry.names(group):
            return name
        names = ", ".join(registry.names(group))
        raise PydanticCustomError("registered", "Input should be one of {names}", {"names": names})

    return AfterValidator(check)


OmegaConf.register_new_resolver("flat", lambda name: name.replace("/", "_"), replace=True)


def _not_boolean(value: object) -> object:
    """Refuse true and false, which pydantic takes for 1 and 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("integer", "Input should be a valid integer, not a boolean")
    return value


PICTURES = "images"  # data.source before your own pictures are prepared, in images-DIGEST
OptionalTestShare = Annotated[float | None, Field(gt=0, lt=1)]
Integer = Annotated[int, BeforeValidator(_not_boolean)]
Count = Annotated[Integer, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]
OptionalShare = Annotated[float | None, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Data:
    """Select the source images and the view of them."""

    name: Annotated[str, _registered("capsnet.views")]  # shifted, multimnist …
    source: str  # the prepared images below root: mnist, digits …
    root: str = "data"
    shift: Annotated[Integer, Field(ge=0, le=14)] = 2  # pixels, on both axes; only for SHIFTING
    holdout: Annotated[float, Field(ge=0, lt=1)] = 0.0  # fraction held out: the first images
    path: str | None = None  # the folder of your own pictures, which then are the source
    size: Annotated[Integer, Field(ge=1, le=128)] = 32  # pixels on a side that these get
    test_share: OptionalTestShare = None  # fraction of each class, without a test folder; null: 0.2
    channels: Literal[1, 3] | None = None  # 1: made grey, 3: made RGB, null: as they are


PICTURE_KEYS = ("path", "size", "test_share", "channels")
SHIFTING = ("shifted", "enumerated")  # our views that read data.shift


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Model:
    """Settings of all networks: a name, and a width that multiplies their channel counts."""

    name: str
    width: Annotated[float, Field(gt=0, le=8)] = 1.0  # 1 is the paper's network


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class CapsNet(Model):
    """The choices of Table 1, and the sizes in which section 7's networks differ from MNIST's."""

    name: Literal["capsnet"] = "capsnet"
    routing_iterations: Count = 3
    decoder: bool = True
    routing: Annotated[str, _registered("capsnet.routings")] = "dynamic"
    channels: Count = 256  # of Conv1, times the width
    types: Count = 32  # of primary capsules, times the width
    primary_dim: Count = 8  # dimensions of a primary capsule
    class_dim: Count = 16  # dimensions of a class capsule
    padding: Literal["valid", "same"] = "valid"  # of both convolutions; same is TensorFlow's
    sharing: Literal["none", "positions", "all"] = "none"  # primary capsules that share one W_j


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class DropoutBaseline(Model):
    """Settings of the baselines with dropout."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class MnistBaseline(DropoutBaseline):
    """The convolutional baseline of Table 1, and two ablations of it."""

    name: Literal["mnist_baseline"] = "mnist_baseline"
    decoder: bool = False  # the CapsNets', with its reconstruction loss
    loss: Literal["cross_entropy", "margin"] = "cross_entropy"  # margin: of sigmoids of the logits


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class MultiMnistBaseline(Model):
    """The convolutional baseline of Table 1's MultiMNIST column."""

    name: Literal["multimnist_baseline"] = "multimnist_baseline"


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class AffnistBaseline(DropoutBaseline):
    """The convolutional baseline of the affNIST experiment."""

    name: Literal["affnist_baseline"] = "affnist_baseline"


Network = CapsNet | MnistBaseline | MultiMnistBaseline | AffnistBaseline


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Recipe:
    """The choices in which the released code and the text of the paper differ."""

    name: str
    routing_bias: bool
    primary_coupling: bool
    initialisation: Literal["released", "text"]
    balance: Literal["released", "text"]  # margin loss: half the mean over classes, or the sum


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Schedule:
    """Adam's steps and the decay of its learning rate: lr · rate^(step / decay_steps) ≥ floor.

    With `decay_to`, lr · decay_to^(step / steps) ≥ floor instead: the decay then depends on how
    many steps are planned, and such a run cannot be prolonged.
    """

    name: str
    steps: Count
    decay_steps: Annotated[float, Field(ge=1)] = 2000.0  # [C]
    decay_stretch: Annotated[float, Field(ge=1)] = 1.0  # times decay_steps; 10 for MultiMNIST [P]
    decay_rate: Share = 0.96
    decay_to: OptionalShare = None  # share of the learning rate after the last step
    learning_rate: Share = 0.001
    floor: Annotated[float, Field(ge=0)] = 1e-6  # at most the learning rate
    batch: Count = 128  # over all devices together
    validate_every: Count = 500  # steps; only with data.holdout
    stop_at: OptionalShare = None  # accuracy on validation images at which training ends
    evaluate_below: OptionalShare = None  # test errors are counted at validation errors up to this


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Trainer:
    """Runtime settings. None changes the results beyond rounding, except `devices` with dropout.

    Each process draws its own masks.
    """

    accelerator: str = "auto"
    devices: Count = 1  # of a node
    num_nodes: Count = 1
    kernels: Literal["auto", "fast", "reference", "fused"] = "fast"  # auto: fused on a GPU
    convolutions: Literal["auto", "fourier", "direct"] = "auto"  # fourier in fp32
    compile: bool = False  # losses and scores, by torch.compile; on CUDA into graphs
    benchmark: bool = False  # let cuDNN time its algorithms and choose
    checkpoint_every: Annotated[float, Field(ge=0)] = 60.0  # seconds at least; 0: each logged step
    log_every: Count = 50  # steps
    progress: bool = True
    keep_scores: bool = False  # of every test example, in record.npz: for capsnet.ensemble

    @property
    def processes(self) -> int:
        """Count the processes that train, one for each device of each node."""
        return self.devices * self.num_nodes

    @property
    def processes_key(self) -> str:
        """Name the key that decides how many processes train, or both keys."""
        return "trainer.devices" + ("" if self.num_nodes == 1 else " × num_nodes")


def _wandb_name(name: str) -> str:
    if not re.fullmatch(r"[^/\\#?%:]{1,128}", name):
        rule = "Input should be a name of at most 128 letters without / \\ # ? % :"
        raise PydanticCustomError("project", rule)
    return name


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class Logger:
    """Settings of the loggers; CSV files are always written."""

    wandb: bool = True
    project: Annotated[str, AfterValidator(_wandb_name)] = "capsnet"


@dataclass(frozen=True, kw_only=True, config=CHECKED)
class RunConfig:
    """One training run."""

    name: str  # the experiment
    seed: Annotated[Integer, Field(ge=0, lt=2**32)] = 0
    data: Data
    model: Annotated[Network, Field(discriminator="name")]
    recipe: Recipe
    schedule: Schedule
    trainer: Trainer
    logger: Logger
    precision: Literal["32-true", "tf32", "bf16-mixed"] = "32-true"  # of convolutions; rest is fp32
    record: str | None = None  # where the result goes; by default record.json in the run's folder
    composition: str | None = None  # digest of values and code, in composed configurations

    def __post_init__(self) -> None:
        """Check values of different parts together. Raises UserError when they do not fit."""
        batch, processes = self.schedule.batch, self.trainer.processes
        if batch % processes:
            rule = f"a divisor of the global batch, schedule.batch = {batch}"
            raise UserError(impossible(self.trainer.processes_key, processes, rule))
        self._check_pictures()
        self._check_shift()
        if self.schedule.floor > self.schedule.learning_rate:
            rule = f"at most schedule.learning_rate = {self.schedule.learning_rate}"
            raise UserError(impossible("schedule.floor", self.schedule.floor, rule))
        for key in ("stop_at", "evaluate_below"):
            value = getattr(self.schedule, key)
            if value is not None and self.data.holdout == 0:
                rule = "null without validation images: data.holdout is 0"
                raise UserError(impossible(f"schedule.{key}", value, rule))

    def _check_pictures(self) -> None:
        """Raise UserError for settings of pictures without any, and for `data=images` alone."""
        path = self.data.path
        if path == "" or (path is None and self.data.source == PICTURES):
            raise UserError(impossible("data.path", path or "null", "the folder of your pictures"))
        for key in PICTURE_KEYS if path is None else ():
            value = getattr(self.data, key)
            if value != getattr(Data, key):
                raise UserError(impossible(f"data.{key}", value, "left out without data.path"))

    def _check_shift(self) -> None:
        """Raise UserError for a shift that the view, one of ours, would ignore."""
        data, ours = self.data, registry.TABLES["capsnet.views"]
        if data.shift == Data.shift or data.name in SHIFTING or data.name not in ours:
            return
        rule = f"left out with data.name = {data.name}, which does not read it"
        if data.name == "multimnist":
            command = f"capsnet.prepare multimnist-{data.source} --max-shift {data.shift}"
            rule += f"; its pairs are shifted by `python -m {command}`"
        raise UserError(impossible("data.shift", data.shift, rule))


MODELS = {
    "capsnet": CapsNet,
    "mnist_baseline": MnistBaseline,
    "multimnist_baseline": MultiMnistBaseline,
    "affnist_baseline": AffnistBaseline,
}


def defaults(kind: Any) -> dict[str, Any]:
    """Collect the defaults of a dataclass and of those in it, for Hydra; `???` means none."""
    values = {one.name: "???" if one.default is MISSING else one.default for one in fields(kind)}
    return values | {one.name: defaults(one.type) for one in fields(kind) if is_dataclass(one.type)}


def register() -> None:
    """Give Hydra the defaults, which the files of `conf/` build on, before it composes a run."""
    from hydra.core.config_store import ConfigStore  # `capsnet.load` needs no Hydra

    store = ConfigStore.instance()
    store.store(name="schema", node=defaults(RunConfig))
    for name, model in MODELS.items():
        store.store(group="model", name=name, node=defaults(model))


def validated(cfg: DictConfig) -> RunConfig:
    """Check the run that `cfg` describes. Raises UserError with the key at fault."""
    try:
        name = OmegaConf.select(cfg, "model.name")
        if name not in MODELS:
            raise UserError(impossible("model.name", name, f"one of {', '.join(MODELS)}"))
        schema = OmegaConf.create(defaults(RunConfig) | {"model": defaults(MODELS[name])})
        OmegaConf.set_struct(schema, True)  # Hydra lets +foo=1 pass; the merge does not
        merged = OmegaConf.merge(schema, cfg)
        values = OmegaConf.to_container(merged, resolve=True, throw_on_missing=True)
        return TypeAdapter(RunConfig).validate_python(values)
    except OmegaConfBaseException as error:
        raise UserError(in_one_line(error)) from error
    except ValidationError as error:
        parts = {one.name: one.type for one in fields(RunConfig)}
        raise UserError(first_fault(error, {"": RunConfig} | parts | MODELS)) from error
