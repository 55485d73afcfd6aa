"""The file of attacks on a run: its errors at each eps, and how many gradients vanished."""

from dataclasses import asdict, dataclass
from pathlib import Path

from capsnet.records.files import as_written, read_json, write_json
from capsnet.records.record import Outcome, read_outcome

SCHEMA = 1


@dataclass(frozen=True)
class Attacked:
    """The errors on images that were moved by `attack`, fgsm or bim, at most `eps` a pixel."""

    attack: str
    eps: float
    test: Outcome


@dataclass(frozen=True)
class Attacks:
    """State the errors of one run on its own test images, clean and attacked.

    `variant` is that of the record, `record` its file and `weights` the SHA-256 of the weights.
    The attacker, by the code of `commit`, maximised `loss`; `bim_steps` were of `bim_step` · eps.
    At `zero_gradients` of the test images the loss was flat, to 1e-12 of the steepest.
    """

    experiment: str
    seed: int
    variant: str
    schedule: str
    dataset: str
    demo: bool  # stand-in data: results say nothing of the paper's
    record: str | None
    weights: str
    loss: str
    bim_steps: int
    bim_step: float  # of eps
    zero_gradients: int
    clean: Outcome
    attacked: tuple[Attacked, ...]
    device: str
    commit: str | None
    clean_code: bool | None  # whether src/ and conf/ were the commit's
    width: float = 1.0  # of the network
    stopped: int | None = None  # the step at which validation ended the training
    schema: int = SCHEMA

    @property
    def name(self) -> str:
        """Name the run: 'mnist_baseline, seed 0'; and the width of a narrow network."""
        width = "" if self.width == 1 else f" of width {self.width:g}"
        return f"{self.experiment}{width}, seed {self.seed}"

    @property
    def recipe(self) -> str:
        """Name the recipe, without the overrides."""
        return self.variant.split(", ")[0]

    @property
    def trained(self) -> str:
        """Name the schedule, and the step at which a training was stopped."""
        return self.schedule if self.stopped is None else f"{self.schedule}, {self.stopped:,} steps"

    @property
    def methods(self) -> list[str]:
        """List the attacks that were made: fgsm, bim."""
        return list(dict.fromkeys(one.attack for one in self.attacked))

    @property
    def zero_percent(self) -> float:
        """Return the share of images without a gradient in percent."""
        return 100 * self.zero_gradients / self.clean.total

    def along(self, attack: str) -> dict[float, Outcome]:
        """Return the outcome at each eps of an attack, from 0 on."""
        return {0.0: self.clean} | {
            one.eps: one.test for one in self.attacked if one.attack == attack
        }


def accuracy(test: Outcome) -> tuple[float, float, float]:
    """Return the accuracy and the ends of its 95 % interval, in percent."""
    low, high = test.interval_percent
    return 100 - test.error_percent, 100 - high, 100 - low


def write_attacks(attacks: Attacks, path: Path) -> None:
    """Write the file atomically."""
    write_json(asdict(attacks), path)


def read_attacks(path: Path) -> Attacks:
    """Read the attacks at `path`. Raises UserError for another file, or another version."""
    with as_written(path, "holds no attacks of this version; run `python -m capsnet.attack` again"):
        values = read_json(path, SCHEMA)
        clean, attacked = values.pop("clean"), values.pop("attacked")
        return Attacks(
            clean=read_outcome(**clean),
            attacked=tuple(
                Attacked(one["attack"], one["eps"], read_outcome(**one["test"])) for one in attacked
            ),
            **values,
        )
