"""The table of attacks: accuracy at each eps, beside the share of images without a gradient."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from capsnet.records.attacks import Attacks, accuracy, read_attacks
from capsnet.records.record import ATTACKS
from capsnet.report.tables.table import Column, Table, span


class AttackRow(NamedTuple):
    """One run under one attack."""

    attacks: Attacks
    attack: str


def read_all_attacks(results: Path) -> list[Attacks]:
    """Read every file of attacks below `results`, in the order of runs and losses."""
    found = [read_attacks(path) for path in sorted(results.glob(f"**/*{ATTACKS}"))]
    return sorted(
        found, key=lambda one: (-one.width, one.experiment, one.variant, one.seed, one.loss)
    )


def attacks_table(every: Iterable[Attacks]) -> Table[AttackRow]:
    """Tabulate each attack on each run on the paper's data, one loss at a time."""
    rows = [AttackRow(one, attack) for one in every if not one.demo for attack in one.methods]
    eps = sorted({at for row in rows for at in row.attacks.along(row.attack)})
    columns = [*ATTACK_COLUMNS, *map(_accuracy_column, eps)]
    return Table("Accuracy under attack, %, with 95 % intervals", columns, rows)


def _accuracy_column(eps: float) -> Column[AttackRow]:
    """Make the column of an eps: '83.1 (80.6–85.3)', where it was tried."""

    def cell(row: AttackRow) -> str | None:
        if (test := row.attacks.along(row.attack).get(eps)) is None:
            return None
        percent, *interval = accuracy(test)
        return f"{percent:.1f} ({span(interval, '.1f')})"

    return Column(f"eps {eps:g}" if eps else "clean", cell)


def _method(row: AttackRow) -> str:
    """Name the attack, and the steps of BIM."""
    if row.attack == "fgsm":
        return "FGSM"
    return f"BIM, {row.attacks.bim_steps} × {row.attacks.bim_step:g} eps"


ATTACK_COLUMNS: list[Column[AttackRow]] = [
    Column("run", lambda row: row.attacks.name, "text"),
    Column("recipe", lambda row: row.attacks.recipe, "text"),
    Column("schedule", lambda row: row.attacks.trained, "text"),
    Column("loss", lambda row: row.attacks.loss, "text"),
    Column("attack", _method, "text"),
    Column("test images", lambda row: f"{row.attacks.clean.total:,}"),
    Column("no gradient %", lambda row: f"{row.attacks.zero_percent:.1f}"),
]
