"""`python -m capsnet.attack RUN [RUN ...] [data.key=value ...]`: accuracy under FGSM and BIM.

RUN is the folder of a finished run, or its weights.safetensors with config.yaml beside it. The
attacker knows the network (white box), maximises a loss, and moves each pixel by at most eps, of
pixels in [0, 1]. The counts are written beside the run's record.
"""

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from capsnet.attack.plan import BIM, CROSS_ENTROPY, EPS, FGSM, SCORE_MARGIN, TRAINING, Plan
from capsnet.attack.run import attack
from capsnet.data import storage
from capsnet.data.options import whole_number
from capsnet.errors import UserError, exit_on_user_error
from capsnet.evaluate import record_place, with_data
from capsnet.kernels.allocator import keep_memory
from capsnet.records.attacks import Attacks, accuracy, write_attacks
from capsnet.records.files import check_writable
from capsnet.records.record import ATTACKS, Outcome
from capsnet.records.run_folder import trained_run


def main() -> None:
    """Attack each run, write its errors, and compare the clean ones."""
    arguments = _parser().parse_intermixed_args()
    keep_memory()
    with exit_on_user_error():
        runs, overrides = split_words(arguments.runs)
        plan, every = _plan(arguments), list[Attacks]()
        paths = [output(run, arguments.output, plan.loss, len(runs)) for run in runs]
        for run, path in zip(runs, paths, strict=True):
            check_data(run, overrides)
            check_writable("--output", path)
        for run, path in zip(runs, paths, strict=True):
            every.append(attack(run, overrides, plan, arguments.device))
            write_attacks(every[-1], path)
            print(f"{in_words(every[-1])}\nWritten to {path}")
        print(compared(every), end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m capsnet.attack", description=__doc__)
    about = "folders of runs; and data=SET, data.key=value as for capsnet.evaluate"
    parser.add_argument("runs", nargs="+", metavar="RUN", help=about)
    about = "that of the training, without reconstruction (the default), or of the class scores"
    losses = TRAINING, CROSS_ENTROPY, SCORE_MARGIN
    parser.add_argument("--loss", choices=losses, default=TRAINING, help=about)
    about = "may be given again; both by default"
    parser.add_argument("--attack", action="append", choices=(FGSM, BIM), help=about)
    about = f"above 0, at most 1; 0 is always counted ({' '.join(map(str, EPS))})"
    parser.add_argument("--eps", type=_share, nargs="+", default=EPS, metavar="EPS", help=about)
    parser.add_argument("--steps", type=whole_number(1), default=10, help="BIM steps (10)")
    about = "BIM step size, as a share of eps (1 / steps)"
    parser.add_argument("--step-size", type=_share, metavar="SHARE", help=about)
    about = "the first N test examples (all)"
    parser.add_argument("--limit", type=whole_number(1), metavar="N", help=about)
    parser.add_argument("--device", help="cpu, cuda, cuda:1 … (a GPU, if there is one)")
    about = f"for one RUN, ending in {ATTACKS} (beside its record)"
    parser.add_argument("--output", type=Path, metavar="FILE", help=about)
    return parser


def _share(text: str) -> float:
    """Make an option's type: a number above 0, at most 1."""
    if not 0 < float(text) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return float(text)


def _plan(arguments: argparse.Namespace) -> Plan:
    return Plan(
        loss=arguments.loss,
        attacks=[name for name in (FGSM, BIM) if name in (arguments.attack or (FGSM, BIM))],
        eps=sorted({*arguments.eps}),
        steps=arguments.steps,
        step=arguments.step_size or 1 / arguments.steps,
        limit=arguments.limit,
    )


def split_words(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Part the folders of runs from data=SET and data.key=value. Raises UserError without a run."""
    overrides = [word for word in words if word.startswith(("data=", "data."))]
    if len(overrides) == len(words):
        raise UserError("no RUN is named: it must be the folder of a finished run")
    return [Path(word) for word in words if word not in overrides], overrides


def output(run: Path, asked: Path | None, loss: str, runs: int) -> Path:
    """Choose the file to write: beside the record of the weights of `run`, else in its folder.

    Raises UserError for a name that readers would take for a record's, and for one of several runs.
    """
    if asked is not None and (runs > 1 or not asked.name.endswith(ATTACKS)):
        raise UserError(f"--output: {asked} must be for one RUN, and end in {ATTACKS}")
    record = record_place(run)
    ending = ATTACKS if loss == TRAINING else f".{loss}{ATTACKS}"
    return asked or record.with_name(record.stem + ending)


def check_data(run: Path, overrides: Sequence[str]) -> None:
    """Raise UserError unless the data of `run` are prepared and show one object each."""
    data = with_data(trained_run(run), [*overrides]).data
    storage.read_manifest(Path(data.root) / data.source)

    from capsnet.data.loading import load_view

    if (labels := load_view(data.name).labels_per_image) > 1:
        raise UserError(
            f"{run} is a run on images of {labels} objects each: only networks that answer with "
            "one class are attacked"
        )


def in_words(attacks: Attacks) -> str:
    """Write a line for the gradients, and one for each attack and eps."""
    total = attacks.clean.total
    lines = [
        f"{attacks.name}, attacked by its {attacks.loss} loss, {total:,} {attacks.clean.source}",
        f"no gradient: {attacks.zero_gradients:,} images, {attacks.zero_percent:.1f} %",
        f"clean: {_accuracy(attacks.clean)}",
        *(f"{one.attack} at {one.eps:g}: {_accuracy(one.test)}" for one in attacks.attacked),
    ]
    return "\n".join(lines)


def _accuracy(test: Outcome) -> str:
    percent, low, high = accuracy(test)
    interval = f"95 % interval {low:.2f}–{high:.2f}, {test.interval_kind}"
    return f"accuracy {percent:.2f} %, {test.errors:,} errors ({interval})"


def compared(every: Sequence[Attacks]) -> str:
    """Write how far the clean errors of each two runs differ: nothing of a single run."""
    return "".join(
        f"clean error: {one.name} {one.clean.error_percent:.2f} %, {other.name} "
        f"{other.clean.error_percent:.2f} %, a difference of "
        f"{abs(one.clean.error_percent - other.clean.error_percent):.2f} points\n"
        for one, other in combinations(every, 2)
    )


if __name__ == "__main__":
    main()
