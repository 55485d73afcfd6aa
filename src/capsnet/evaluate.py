"""`python -m capsnet.evaluate CHECKPOINT [data=SET] [data.key=value ...]`: test trained weights.

CHECKPOINT is the folder of a finished run, its weights.safetensors with config.yaml beside it, or a
name in results/weights/. Without `data=` it is tested on what it was trained for; with --validation
on the images that its training held out (data.holdout), which alone may choose anything.
"""

import argparse
import importlib.util
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from capsnet import config
from capsnet.data import storage
from capsnet.data.pictures import located
from capsnet.errors import UserError, exit_on_user_error
from capsnet.kernels.allocator import keep_memory
from capsnet.records.files import check_writable, write_json
from capsnet.records.record import Outcome, read_record, record_path, write_arrays
from capsnet.records.run_folder import run_folder, trained_run
from capsnet.records.runs import Run
from capsnet.startup import quick_imports
from capsnet.train import result_overrides
from capsnet.training.fingerprint import config_digest

if TYPE_CHECKING:
    import torch

    from capsnet.data.dataset import DataSet
    from capsnet.networks import Baseline, CapsNet


def main() -> None:
    """Print errors, total and interval of every test set, or write them as JSON."""
    arguments = _parser().parse_intermixed_args()
    keep_memory()
    with exit_on_user_error():
        if arguments.wandb and importlib.util.find_spec("wandb") is None:
            raise UserError("--wandb needs W&B: `pip install -e '.[pipeline]'`")
        run_folder(arguments.checkpoint)
        _check_files(arguments.json, arguments.wrong)
        data, validation = arguments.data, arguments.validation
        outcomes = evaluate(
            arguments.checkpoint, data, arguments.device, validation, arguments.wrong
        )
        for name, test in outcomes.items():
            print(f"{name}: {in_words(test)}")
        if arguments.json is not None:
            write_json({name: asdict(test) for name, test in outcomes.items()}, arguments.json)
        if arguments.wandb:
            log_to_wandb(arguments.checkpoint, data, outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m capsnet.evaluate", description=__doc__)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    about = "data=SET and data.key=value, as for training"
    parser.add_argument("data", nargs="*", default=[], help=about)
    parser.add_argument("--device", help="cpu, cuda, cuda:1 … (a GPU, if there is one)")
    parser.add_argument("--validation", action="store_true", help="test the held-out images")
    parser.add_argument("--json", type=Path, help="write the outcomes there")
    examples = "write which examples are wrong, as bits, as in record.npz"
    parser.add_argument("--wrong", type=Path, metavar="FILE.npz", help=examples)
    about = "log to a W&B run that has the weights as input"
    parser.add_argument("--wandb", action="store_true", help=about)
    return parser


def _check_files(json: Path | None, wrong: Path | None) -> None:
    """Raise UserError for files that cannot be written."""
    if json is not None:
        check_writable("--json", json)
    if wrong is not None:
        if wrong.suffix != ".npz":
            raise UserError(f"--wrong: {wrong} is not possible: its name must end in .npz")
        check_writable("--wrong", wrong)


def in_words(test: Outcome) -> str:
    """Write an outcome in one line."""
    low, high = test.interval_percent
    counts = f"{test.errors:,} errors in {test.total:,} {test.source}"
    interval = f"95 % interval {low:.2f}–{high:.2f}, {test.interval_kind}"
    return f"{counts}: {test.error_percent:.2f} % ({interval})"


def evaluate(
    checkpoint: Path,
    overrides: list[str],
    device: str | None = None,
    validation: bool = False,
    wrong: Path | None = None,
) -> dict[str, Outcome]:
    """Test the trained weights on every test set of the data asked for.

    With `validation`, tests on the images held out from training instead. Which examples are wrong
    is written to `wrong`, as `wrong.<test>` in record.npz. Raises UserError as `load_run` does, and
    for validation on other images than those of the training.
    """
    other = [one for one in overrides if not one.startswith("data.root=")]
    if validation and other:
        raise UserError(
            f"{other[0]}: only data.root=FOLDER can be changed with --validation, which tests the "
            "images that the training held out"
        )
    run, network, data, where = load_run(checkpoint, overrides, device)

    from capsnet.evaluation.outcomes import count_outcomes
    from capsnet.evaluation.predict import predict_all
    from capsnet.evaluation.validation import validation_set
    from capsnet.kernels.precision import fp32_arithmetic
    from capsnet.training.factory import autocast

    if validation:
        data = data._replace(tests={"validation": validation_set(run, data)})
    with fp32_arithmetic(run.precision), autocast(run, where):
        predictions = predict_all(network, data)
    if wrong is not None:
        bits = {name: np.packbits(one.wrong.numpy()) for name, one in predictions.items()}
        write_arrays(wrong, {f"wrong.{name}": one for name, one in bits.items()})
    return count_outcomes(data, predictions)


class LoadedRun(NamedTuple):
    """A finished run on the data asked for: its network, on `device`, and the test sets."""

    run: config.RunConfig
    network: "CapsNet | Baseline"
    data: "DataSet"
    device: "torch.device"


def load_run(checkpoint: Path, overrides: list[str], device: str | None = None) -> LoadedRun:
    """Load the trained weights and the data asked for.

    Uses the fast kernels, which run on every device, whichever kernels trained the weights. Raises
    UserError when there are no weights, or the data are not prepared, or their images have another
    shape than those of the training.
    """
    # What may be missing comes before torch, whose import takes seconds.
    run = with_data(trained_run(checkpoint), overrides)
    storage.read_manifest(Path(run.data.root) / run.data.source)

    with quick_imports():
        from capsnet.data.loading import load_dataset
        from capsnet.records.weights import load_weights, read_weights
        from capsnet.training.build_network import anywhere, build_network

    _, weights = read_weights(checkpoint)
    data = load_dataset(run)
    if run.data.path is not None:
        require_classes(checkpoint, run, data.info.class_names)
    network, where = build_network(anywhere(run), data.info), _device(device)
    load_weights(network, weights, data.image)
    return LoadedRun(run, network.to(where), data, where)


def find_run(checkpoint: Path) -> Run | None:
    """Find the finished run that these weights belong to.

    Its record is at its configured path or in its folder. None where there is no record, or only
    those of another configuration or seed. Raises UserError as `run_folder` does.
    """
    run, folder = trained_run(checkpoint), run_folder(checkpoint)
    trained = {"config": config_digest(run), "seed": str(run.seed)}
    for path in (record_path(folder, run.record), record_path(folder, None)):
        if path.is_file():
            found = Run(read_record(path), path)
            identity = {"seed": str(found.record.seed)} | found.record.identity
            if identity.items() >= trained.items():
                return found
    return None


def record_place(checkpoint: Path) -> Path:
    """Return where the record of these weights is, or in their folder would be."""
    trained = find_run(checkpoint)
    return trained.path if trained else record_path(run_folder(checkpoint), None)


def require_classes(checkpoint: Path, run: config.RunConfig, names: tuple[str, ...]) -> None:
    """Raise UserError where pictures are of other classes than those that were trained on."""
    from capsnet.records.weights import read_info

    found = find_run(checkpoint)
    info = found.record.dataset if found else read_info(checkpoint)
    trained = info.class_names if info else names
    if trained != names:
        raise UserError(
            f"the classes of {run.data.path} are {', '.join(names)}, but must be those that "
            f"{checkpoint} was trained on: {', '.join(trained)}"
        )


def log_to_wandb(checkpoint: Path, overrides: list[str], outcomes: dict[str, Outcome]) -> None:
    """Log the evaluation to W&B as a run beside the training's, offline in the same folder."""
    from capsnet.data.loading import manifest_paths
    from capsnet.tracking import wandb_summary
    from capsnet.tracking.loggers import start_wandb, wandb_finished

    run, folder = with_data(trained_run(checkpoint), overrides), run_folder(checkpoint)
    weights = wandb_summary.weights(run.name, run.seed, folder)
    named = f"{weights.name}:{wandb_summary.alias(weights)}"
    sources = {name: test.source for name, test in outcomes.items()}
    trained = find_run(checkpoint)
    trained_overrides = trained.record.overrides if trained else ()
    all_overrides = (*trained_overrides, *result_overrides(overrides))
    about = asdict(run) | {"sources": sources, "weights": named, "overrides": all_overrides}
    with wandb_finished():
        shown = start_wandb(run, folder, "evaluate", about)
        wandb_summary.evaluated(shown, outcomes, weights, manifest_paths(run.data))


def _device(name: str | None) -> "torch.device":
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        why = str(error).splitlines()[0]
        raise UserError(f"--device {name} is not available: {why}") from error
    return torch.device(name)


def with_data(run: config.RunConfig, overrides: list[str]) -> config.RunConfig:
    """Return `run` with other data settings.

    Its source stays unless `data.source`, or a key of own pictures, is set. Raises UserError for
    anything but settings of `data`.
    """
    for override in overrides:
        if not override.startswith(("data=", "data.")) or "=" not in override:
            raise UserError(f"{override}: only data=SET and data.key=value can be changed")
    values: Any = asdict(run)
    for override in overrides:
        if override.startswith("data="):
            values["data"] |= _set(override.removeprefix("data=")) | {"source": run.data.source}
    keys = [override for override in overrides if override.startswith("data.")]
    if any(one.startswith(tuple(f"data.{key}=" for key in config.PICTURE_KEYS)) for one in keys):
        values["data"]["source"] = config.PICTURES
    try:
        merged = OmegaConf.merge(values, OmegaConf.from_dotlist(keys))
    except (OmegaConfBaseException, YAMLError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{' '.join(keys)} is not possible: {why}") from error
    chosen = config.validated(cast(DictConfig, merged))
    return replace(chosen, data=located(chosen.data))


def _set(name: str) -> dict[str, Any]:
    """Read conf/data/NAME.yaml. Raises UserError, listing the sets, where it is missing."""
    files = {path.stem: path for path in (config.CONF / "data").glob("*.yaml")}
    if name not in files:
        raise UserError(
            f"data={name} is not possible: it must be one of {', '.join(sorted(files))}"
        )
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(files[name])))


if __name__ == "__main__":
    main()
