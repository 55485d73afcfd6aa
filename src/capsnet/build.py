"""Configuration in, objects out: the one place where the rooms meet."""

import logging
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, Timer
from pytorch_lightning.loggers import Logger
from torch import nn

from capsnet import config, networks
from capsnet.along import Beginning, ErrorsAlong
from capsnet.callbacks import (
    FiniteLoss,
    ProgressBar,
    RoutingChange,
    StopAt,
    Throughput,
    TimedCheckpoint,
)
from capsnet.data import affnist, affnist_official, expanded, multimnist, prepared
from capsnet.data.datamodule import DigitsDataModule
from capsnet.data.examples import Split, StillDigits
from capsnet.data.prepared import Digits
from capsnet.data.shifted import EnumeratedShifts, ShiftedDigits
from capsnet.errors import Mistake
from capsnet.functional import Balance
from capsnet.interruption import Interruption
from capsnet.kernels.compiled import compiled
from capsnet.kernels.networks import (
    FastCapsNet,
    FastConv2d,
    FusedCapsNet,
    channels_last,
    choose_convolutions,
)
from capsnet.kernels.requirements import check_compiler, check_fused
from capsnet.modules import BaselineModule, CapsNetModule, DigitsModule, Optimisation
from capsnet.saving import WholeCheckpoints, last_checkpoint


class TestSet(NamedTuple):
    """What a trained network is judged on, and where it comes from: mnist, affnist-generated …

    Made of so many `digits`: example i shows digit i mod digits, or has it as its base.
    """

    split: Split
    source: str
    digits: int


class DataSet(NamedTuple):
    """Named splits; validation is None for runs that train on every image.

    `tests` holds 'test', the run's own, and 'affnist' where the run is judged on that too;
    `digest` is of all that was prepared for them.
    """

    train: Split
    validation: Split | None
    tests: dict[str, TestSet]
    digest: str

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        first = self.tests["test"].split.examples(torch.tensor([0]), None)
        channels, height, width = first.images.shape[1:]
        return channels, height, width


def dataset(run: config.Run) -> DataSet:
    """The run's data, checked. Raises Mistake when they are not prepared or not as the run says.

    The first `holdout` of the training digits validate, as in the released code [C].
    """
    data, root = run.data, Path(run.data.root)
    digits = prepared.read_digits(root / data.source)
    held = round(data.holdout * len(digits.train_labels))
    if held == len(digits.train_labels):
        raise Mistake(
            f"data.holdout = {data.holdout} leaves no digit of {digits.source} to train on"
        )
    match data.name:
        case "shifted":
            return _singles(digits, data.shift, held, partial(ShiftedDigits, seed=run.seed))
        case "enumerated":
            return _singles(digits, data.shift, held, EnumeratedShifts)
        case "multimnist":
            folder = root / f"multimnist-{data.source}"
            return _tabled(folder, digits, multimnist.read(folder, digits, held))
        case "expanded" | "affnist" | "affnist_official":
            folder = root / f"expanded-{data.source}"
            framed = _tabled(folder, digits, expanded.read(folder, digits, run.seed, held))
            return framed if data.name == "expanded" else with_affnist(framed, data, digits)
        case _:
            raise AssertionError(data.name)


def manifests(data: config.Data) -> list[Path]:
    """Of all that was prepared for the run: its digits and the tables made for them."""
    made = {
        "multimnist": [f"multimnist-{data.source}"],
        "expanded": [f"expanded-{data.source}"],
        "affnist": [f"expanded-{data.source}", f"affnist-{data.source}"],
        "affnist_official": [f"expanded-{data.source}", "affnist-official"],
    }
    folders = [data.source, *made.get(data.name, [])]
    return [Path(data.root) / folder / prepared.MANIFEST for folder in folders]


def _singles(digits: Digits, reach: int, held: int, train: Callable[..., Split]) -> DataSet:
    """Sets whose test digits stand where MNIST has them."""
    images, labels = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels)
    test = torch.from_numpy(digits.test_images), torch.from_numpy(digits.test_labels)
    return DataSet(
        train(images[held:], labels[held:], reach=reach),
        StillDigits(images[:held], labels[:held]) if held else None,
        {"test": TestSet(StillDigits(*test), digits.source, len(test[1]))},
        digits.digest,
    )


def _tabled(folder: Path, digits: Digits, splits: Mapping[str, Split]) -> DataSet:
    """Sets whose examples are told by the tables in `folder`."""
    tests = {"test": TestSet(splits["test"], digits.source, len(digits.test_labels))}
    return DataSet(splits["train"], splits.get("validation"), tests, prepared.digest(folder))


def with_affnist(expanded: DataSet, data: config.Data, digits: Digits) -> DataSet:
    """Expanded digits, judged on affNIST as well: generated from `digits`, or the official one."""
    count = len(digits.test_labels)
    if data.name == "affnist":
        folder = Path(data.root) / f"affnist-{data.source}"
        affine = TestSet(affnist.read(folder, digits), "affnist-generated", count)
    else:  # that each batch of the file has MNIST's order is nowhere stated [?]
        folder = Path(data.root) / "affnist-official"
        affine = TestSet(affnist_official.read(folder), "affnist-official", count)
    digest = f"{expanded.digest}+{prepared.digest(folder)}"
    return expanded._replace(tests=expanded.tests | {"affnist": affine}, digest=digest)


def network(run: config.Run, image: tuple[int, int, int]) -> nn.Module:
    """Build the run's network for images of that shape, its weights drawn from the run's seed.

    Raises Mistake when the images are too small for it, or when the run asks for kernels that need
    a GPU where there is none.
    """
    torch.manual_seed(run.seed)
    try:
        built = _network(run, image)
    except ValueError as error:
        raise Mistake(f"model.name = {run.model.name} is not possible: {error}") from error
    choose_convolutions(built, run.trainer.convolutions)
    if run.precision != "32-true":
        channels_last(built)
    return built


def _network(run: config.Run, image: tuple[int, int, int]) -> nn.Module:
    conv = nn.Conv2d if run.trainer.kernels == "reference" else FastConv2d
    match run.model:
        case config.CapsNet():
            kind = KINDS[kernels(run.trainer)]
            return capsnet(kind, run.model, run.recipe, image)
        case config.MnistBaseline():
            return dropout_baseline(networks.MnistBaseline, (328, 192), run.model, image, conv)
        case config.MultiMnistBaseline(width=width):
            channels = scaled(512, width), scaled(256, width)
            return networks.MultiMnistBaseline(image, channels, scaled(1024, width), conv=conv)
        case config.AffnistBaseline():
            return dropout_baseline(networks.AffnistBaseline, (848, 192), run.model, image, conv)
        case _:
            raise AssertionError(run.model)


KINDS = {"fast": FastCapsNet, "fused": FusedCapsNet, "reference": networks.CapsNet}


def kernels(trainer: config.Trainer) -> str:
    """Choose the kernels of a CapsNet: fast, fused or reference.

    Raises Mistake when fused is asked for and cannot run, and says what it lacks.
    """
    if trainer.kernels not in ("auto", "fused"):
        return trainer.kernels
    try:
        if torch.cuda.is_available() and not on_cuda(trainer):
            raise Mistake(
                f"trainer.kernels=fused needs a CUDA GPU and trainer.accelerator is "
                f"{trainer.accelerator}: use fast"
            )
        check_fused()
    except Mistake:
        if trainer.kernels == "fused":
            raise
        return "fast"
    return "fused"


def on_cuda(trainer: config.Trainer) -> bool:
    """Tell whether the run trains on a CUDA GPU."""
    return trainer.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def capsnet(
    kind: type[networks.CapsNet],
    model: config.CapsNet,
    recipe: config.Recipe,
    image: tuple[int, int, int],
) -> networks.CapsNet:
    """A CapsNet under a recipe."""
    return kind(
        image,
        iterations=model.routing_iterations,
        decoder=model.decoder,
        routing_bias=recipe.routing_bias,
        primary_coupling=recipe.primary_coupling,
        initialisation=cast(networks.Initialisation, recipe.initialisation),
        channels=scaled(256, model.width),
        types=scaled(32, model.width),
        decoder_hidden=(scaled(512, model.width), scaled(1024, model.width)),
    )


def dropout_baseline(
    kind: type[networks.MnistBaseline | networks.AffnistBaseline],
    hidden: tuple[int, int],
    model: config.DropoutBaseline,
    image: tuple[int, int, int],
    conv: type[nn.Conv2d],
) -> nn.Module:
    """The MNIST or the affNIST baseline, which differ in `hidden` and in their pools."""
    first, second, third = (scaled(channels, model.width) for channels in (256, 256, 128))
    narrowed = scaled(hidden[0], model.width), scaled(hidden[1], model.width)
    return kind(image, (first, second, third), narrowed, model.dropout, conv=conv)


def scaled(channels: int, width: float) -> int:
    """`channels` × `width`, at least 1."""
    return max(1, round(channels * width))


def module(run: config.Run, image: tuple[int, int, int]) -> DigitsModule[Any]:
    """Build the network together with its loss and optimiser.

    Raises Mistake when kernels or compilation need what the machine lacks.
    """
    optimisation = optimised(run.schedule)
    built, made = network(run, image), None
    match built:
        case networks.CapsNet():
            balance = cast(Balance, run.recipe.balance)
            made = CapsNetModule(built, balance, optimisation, run.seed)
        case _:
            made = BaselineModule(built, optimisation, run.seed)
    if run.trainer.compile:
        if on_cuda(run.trainer):
            check_compiler()
        made.losses, made.scores = compiled(made.losses), compiled(made.scores)
    return made


def optimised(schedule: config.Schedule) -> Optimisation:
    """Give Adam's settings: the learning rate falls by decay_rate, or to decay_to at the end."""
    rate, every = schedule.decay_rate, schedule.decay_steps * schedule.decay_stretch
    if schedule.decay_to is not None:
        rate, every = schedule.decay_to, schedule.steps
    return Optimisation(schedule.learning_rate, rate, every, schedule.floor)


def check_training(run: config.Run, data: DataSet) -> None:
    """Raise Mistake for what this machine or these data cannot do, before anything is touched."""
    if run.precision == "tf32" and not on_cuda(run.trainer):
        raise Mistake("precision = tf32 needs a CUDA GPU, and this run is to train on none")
    batch, examples = run.schedule.batch, len(data.train)
    if batch > examples:
        raise Mistake(
            f"schedule.batch = {batch} is not possible: it must be at most {examples:,}, which is "
            "how many training examples there are"
        )


def datamodule(run: config.Run, data: DataSet) -> DigitsDataModule:
    """Make what the trainer trains and validates on."""
    return DigitsDataModule(
        data.train, data.validation, run.schedule.batch, run.schedule.steps, run.seed
    )


def arithmetic(run: config.Run, device: torch.device) -> torch.autocast:
    """What a network is judged under: autocast to bf16 if it was trained so, else fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=run.precision == "bf16-mixed")


NOT_NEWS = (  # what Lightning warns of and this project has seen to
    "does not have many workers",  # the loader hands out indices, nothing worth a worker
    "Your `IterableDataset` has `__len__` defined",  # likewise
    "You're resuming from a checkpoint that ended before the epoch ended",  # data follow the step
    ".*LeafSpec",  # inside Lightning
)


def quiet() -> None:
    """Leave out what Lightning says at every start."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in NOT_NEWS:
        warnings.filterwarnings("ignore", f".*{message}")


COPIES = 2  # of each test digit, at most, are asked while training goes on


def along(run: config.Run, tests: Mapping[str, TestSet]) -> list[Callback]:
    """Make what counts test errors along the training, if the run asks for it."""
    below = run.schedule.evaluate_below
    if below is None or not tests:
        return []
    asked = {
        name: Beginning(test.split, min(len(test.split), COPIES * test.digits))
        for name, test in tests.items()
    }
    return [ErrorsAlong(asked, below)]


def callbacks(
    run: config.Run,
    folder: Path,
    log_every: int,
    interruption: Interruption,
    tests: Mapping[str, TestSet],
) -> list[Callback]:
    """Make what measures, checks and may stop the training; what shows it comes last.

    Lightning calls the one that writes checkpoints after all others.
    """
    path, seconds = last_checkpoint(folder), run.trainer.checkpoint_every
    made: list[Callback] = [
        TimedCheckpoint(path, seconds, log_every, interruption),
        FiniteLoss(log_every, path),
        Timer(),
        *along(run, tests),  # before Throughput, whose clock it would stretch
        Throughput(log_every),
    ]
    if run.schedule.stop_at is not None:
        made.append(StopAt(run.schedule.stop_at))
    if isinstance(run.model, config.CapsNet):
        made.append(RoutingChange(log_every))
    if run.trainer.progress:
        made.append(ProgressBar(refresh_rate=log_every))
    return made


def trainer(
    run: config.Run,
    folder: Path,
    loggers: list[Logger],
    interruption: Interruption | None = None,
    tests: Mapping[str, TestSet] | None = None,
) -> pl.Trainer:
    """Make the trainer: one long epoch of `steps` steps, a checkpoint every now and then.

    With `tests`, their errors are counted along the training where the schedule says so.
    Raises Mistake when the machine has not the devices that the run asks for.
    """
    quiet()
    log_every = min(run.trainer.log_every, run.schedule.steps)
    try:
        return pl.Trainer(
            default_root_dir=folder,  # where Lightning looks for what SLURM interrupted
            accelerator=run.trainer.accelerator,
            devices=run.trainer.devices,
            num_nodes=run.trainer.num_nodes,
            precision="bf16-mixed" if run.precision == "bf16-mixed" else "32-true",
            max_steps=run.schedule.steps,
            max_epochs=-1,
            val_check_interval=min(run.schedule.validate_every, run.schedule.steps),
            limit_val_batches=1.0 if run.data.holdout else 0,
            num_sanity_val_steps=0,
            log_every_n_steps=log_every,
            logger=loggers,
            callbacks=callbacks(
                run, folder, log_every, interruption or Interruption(), tests or {}
            ),
            plugins=[WholeCheckpoints()],
            enable_progress_bar=run.trainer.progress,
            enable_model_summary=False,
            enable_checkpointing=True,
            benchmark=run.trainer.benchmark,
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, ValueError) as error:
        asked = f"trainer.accelerator = {run.trainer.accelerator}, .devices = {run.trainer.devices}"
        raise Mistake(f"{asked} is not possible here: {error}") from error
