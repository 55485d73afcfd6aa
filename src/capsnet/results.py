"""One small record a run, and its arrays: written once, read by the report, kept in git."""

import io
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from errno import EISDIR
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from capsnet.clusters import Counts, sums
from capsnet.errors import Mistake

if TYPE_CHECKING:
    import torch

WILSON, BY_DIGIT, BY_PAIR = "wilson", "by digit", "by pair of digits"  # kinds of intervals
PACKAGES = ("capsnet", "torch", "torchvision", "pytorch-lightning", "numpy")


@dataclass(frozen=True)
class Outcome:
    """How a network did on one test set. The percentage is derived from the counts."""

    source: str  # mnist, uci-digits, affnist-generated, affnist-official
    errors: int
    total: int
    interval_percent: tuple[float, float]  # 95 %
    digits: int | None = None  # where several examples show one: example i shows i mod digits
    interval_kind: str = WILSON  # or BY_DIGIT, BY_PAIR: what examples have in common

    @property
    def error(self) -> float:
        """As a share of 1."""
        return self.errors / self.total

    @property
    def error_percent(self) -> float:
        """Errors in 100 test examples."""
        return 100 * self.errors / self.total

    @property
    def counts(self) -> str:
        """'60 / 10,000'."""
        return f"{self.errors:,} / {self.total:,}"


def outcome(source: str, errors: int, total: int) -> Outcome:
    """Of examples that all show another digit: with Wilson's interval."""
    return Outcome(source, errors, total, wilson(errors, total))


def outcome_of(
    source: str, wrong: NDArray[np.bool_], digits: int, partners: Counts | None = None
) -> Outcome:
    """Of wrong [n], where example i shows digit i mod `digits`: if n > `digits`, `clustered`.

    Where each example shows a second digit, `partners` is what `partner_counts` counts of it.
    """
    one = outcome(source, int(wrong.sum()), len(wrong))
    if partners is None and digits == one.total:
        return one
    kind = BY_DIGIT if partners is None else BY_PAIR
    interval = clustered(wrong, digits, partners)
    return replace(one, interval_percent=interval, digits=digits, interval_kind=kind)


@dataclass(frozen=True)
class Record:
    """What a run was and what came out."""

    experiment: str
    seed: int
    recipe: str
    schedule: str
    steps_done: int
    steps_planned: int
    stop_at: float | None  # the accuracy on validation digits that was to end training
    stopped: int | None  # the step at which it did
    batch: int
    tests: dict[str, Outcome]  # 'test', and 'affnist' where the run is judged on that too
    training_examples: int
    parameters: int
    model: dict[str, Any]  # name, width (1: the paper's) and choices of the network
    train_seconds: float
    images_per_second: float
    device: str
    identity: dict[str, str]
    commit: str | None
    clean: bool | None  # whether src/ and conf/ were the commit's
    versions: dict[str, str]
    wandb_id: str | None
    precision: str = "32-true"  # tf32, bf16-mixed: what convolutions multiplied in
    changed: tuple[str, ...] = ()  # what was set by hand beside the files of conf/: KEY=VALUE
    changed_known: bool = True  # False where a record is from before `changed`
    trainer: dict[str, Any] = field(default_factory=dict)  # kernels, devices, … that it ran with

    @property
    def capsules(self) -> bool:
        """Whether it is a CapsNet; recipes change no baseline."""
        return "routing_iterations" in self.model

    @property
    def variant(self) -> str:
        """The recipe, the arithmetic where that is not fp32, and what was set by hand.

        Runs that differ in it are never pooled.
        """
        arithmetic = {"32-true": (), "tf32": ("TF32",), "bf16-mixed": ("bf16",)}[self.precision]
        recipe = self.recipe if self.capsules else "any recipe"
        return ", ".join((recipe, *arithmetic, *self.changed))

    @property
    def processes(self) -> int:
        """Count the devices that trained it together."""
        return self.trainer.get("devices", 1) * self.trainer.get("num_nodes", 1)

    @property
    def source(self) -> str:
        """Whose digits it was trained on: mnist, uci-digits."""
        return self.tests["test"].source


def wilson(errors: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson interval of errors/total, in percent."""
    from scipy.stats import binomtest

    interval = binomtest(errors, total).proportion_ci(0.95, method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def clustered(
    wrong: NDArray[np.bool_], digits: int, partners: Counts | None = None
) -> tuple[float, float]:
    """Student's 95 % interval, in percent, of the error over other digits like these.

    Of wrong [n]; example i shows digit i mod `digits`. Pictures of one digit err together, so that
    they are worth fewer independent examples than they are. With `partners`, as `partner_counts`
    gives them, so do those that have a digit as base and those that have it as partner; without
    them, an interval of MultiMNIST's counts the base alone and is too narrow.
    """
    from scipy.stats import t

    counted = sums(wrong, digits, partners)
    half = float(t.ppf(0.975, digits - 1)) * counted.variance() ** 0.5
    return max(0.0, 100 * (counted.mean - half)), min(100.0, 100 * (counted.mean + half))


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean, by Student's t: over seeds, say. Needs two values or more."""
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5
    return mean(values) - half, mean(values) + half


def check_writable(key: str, path: Path) -> None:
    """Raise Mistake unless a file can be written at `path`, which `key` names; make its folder."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.touch()
        scratch.unlink()
    except OSError as error:
        raise Mistake(f"{key}: {path} cannot be written: {error.strerror}") from None


def record_path(folder: Path, record: str | None) -> Path:
    """Give the place of a run's record: `record`, or record.json in the run's folder."""
    return Path(record) if record else folder / "record.json"


def write(record: Record, path: Path) -> None:
    """Store the record, whole or not at all."""
    write_json(asdict(record), path)


def write_json(value: Any, path: Path) -> None:
    """Store `value` as text that people can read and git can compare, whole or not at all."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def write_atomically(path: Path, content: bytes) -> None:
    """A reader finds the old content or the new, whatever kills the writer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def read(path: Path) -> Record:
    """The record at `path`. Raises Mistake when it is none, or of another version."""
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        tests = {name: _outcome(**test) for name, test in values.pop("tests").items()}
        values.setdefault("changed_known", "changed" in values)
        changed = tuple(values.pop("changed", ()))
        values["device"] = values["device"].replace(", 1 threads", ", 1 thread")  # as once written
        return Record(**values, tests=tests, changed=changed)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Mistake(f"{path} is no result of this version: train it again ({error!r})") from error


def _outcome(interval_percent: Sequence[float], **values: Any) -> Outcome:
    """An outcome as read: one without `interval_kind` is from before intervals by pair."""
    kind = values.setdefault("interval_kind", BY_DIGIT if values.get("digits") else WILSON)
    if kind not in (WILSON, BY_DIGIT, BY_PAIR):
        raise ValueError(f"interval_kind {kind!r}")
    low, high = interval_percent
    return Outcome(interval_percent=(low, high), **values)


def read_all(folder: Path, pattern: str = "*/*.json") -> dict[Path, Record]:
    """Every record of a profile's `folder` by its path, in the order of their paths."""
    return {path: read(path) for path in sorted(folder.glob(pattern))}


def write_arrays(record: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Store what figures and paired tests need beside the record at `record`, compressed."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomically(record.with_suffix(".npz"), buffer.getvalue())


def read_arrays(record: Path) -> dict[str, NDArray[Any]]:
    """The arrays of the record at `record`; none where they were not kept.

    Raises Mistake when the file is not a whole one.
    """
    path = record.with_suffix(".npz")
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, EOFError, BadZipFile) as error:
        raise Mistake(f"{path} holds no arrays of a run: train it again ({error})") from error


def device_name(device: "torch.device") -> str:
    """The GPU's name, or the processor's with the number of threads; of others their kind."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = processor() if device.type == "cpu" else device.type
    return f"{name}, {threads(torch.get_num_threads())}"


def threads(count: int) -> str:
    """Write a number of threads in words: 1 thread, 2 threads."""
    return f"{count} thread" if count == 1 else f"{count} threads"


def processor() -> str:
    """The processor's name, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Of Python and of the packages that compute."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit(folder: Path = Path(__file__).parent) -> tuple[str | None, bool | None]:
    """The commit that is checked out, and whether its src/ and conf/ are as they lie on disk.

    None where there is no git, or `folder` is not the package in a checkout of this project: an
    installed package may be inside the repository of another one.
    """
    module = Path(__file__).name
    if _git(folder, "ls-files", "--full-name", module) != f"src/capsnet/{module}":
        return None, None
    head = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", ":/src", ":/conf")
    return head, None if head is None or changes is None else not changes


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(("git", *arguments), cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
