"""A sweep over one value: does the test error rise while the training loss still falls?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from statistics import mean

from capsnet.errors import UserError
from capsnet.records.files import write_atomically
from capsnet.records.record import Record
from capsnet.records.runs import Run
from capsnet.report.runs import caption, caveats
from capsnet.report.tables.runs_table import steps
from capsnet.report.tables.table import Column, Table, markdown, mean_sd, span

ITERATIONS = "model.routing_iterations"
LABELS = {ITERATIONS: "routing iterations"}
LAST = 0.1  # of the logged points: their mean is the final training loss
REMARK = (
    "Points: a run each, with its 95 % interval. Lines: means over seeds. Final training "
    f"loss: mean of the last {100 * LAST:.0f} % of the logged points."
)


@dataclass(frozen=True)
class Sweep:
    """Runs that differ in the value of `key` and in their seeds; what else differs makes series."""

    key: str
    runs: list[Run]

    @property
    def label(self) -> str:
        """Name the swept key, in words where there are some."""
        return LABELS.get(self.key, self.key)

    def value(self, run: Run) -> str:
        """Return the value that a run has of the swept key."""
        return settings(run)[self.key]

    @property
    def values(self) -> list[str]:
        """List all values that were swept, sorted as numbers where they are."""
        found = {self.value(run) for run in self.runs}
        return sorted(found, key=lambda value: (_number(value) is None, _number(value) or 0, value))

    def series(self) -> dict[str, list[Run]]:
        """Group runs that differ in nothing but value and seed, by all that they share."""
        order = self.values

        def place(run: Run) -> tuple[str, int, int]:
            return self._name(run), order.index(self.value(run)), run.record.seed

        return {
            name: list(group) for name, group in groupby(sorted(self.runs, key=place), self._name)
        }

    def _name(self, run: Run) -> str:
        return ", ".join(filter(None, facts(run, self.key).values()))

    def labels(self) -> list[str]:
        """Name each series by that in which it differs from the others; a single one 'all runs'."""
        every = [facts(group[0], self.key) for group in self.series().values()]
        kinds = list(dict.fromkeys(kind for one in every for kind in one))
        differing = [kind for kind in kinds if len({one.get(kind) for one in every}) > 1]
        names = (", ".join(filter(None, map(one.get, differing))) for one in every)
        return [name or "all runs" for name in names]


def sweep_of(runs: Sequence[Run]) -> Sweep:
    """Find the value that most of the runs' differences are in; routing iterations come first.

    Runs without such a value are left out. Raises UserError when there is none at all.
    """
    every = [settings(run) for run in runs]
    keys = dict.fromkeys((ITERATIONS, *(key for one in every for key in one)))
    counts = {key: len({one[key] for one in every if key in one}) for key in keys}
    key = max(counts, key=lambda key: counts[key])
    if counts[key] < 2:
        raise UserError("these runs differ in no override: there is no sweep")
    return Sweep(key, [run for run in runs if key in settings(run)])


def settings(run: Run) -> dict[str, str]:
    """Return the overrides and the routing iterations by key."""
    pairs = (one.partition("=") for one in run.record.overrides)
    routed = {} if run.record.iterations is None else {ITERATIONS: str(run.record.iterations)}
    return {key: value for key, _, value in pairs} | routed


def facts(run: Run, key: str) -> dict[str, str]:
    """Return a run's values by key of the configuration, without its seed and `key`."""
    one = run.record
    about = {
        "experiment": one.experiment,
        "recipe": replace(one, overrides=()).variant,
        "data.holdout": f"{one.training_examples:,} {one.source}",
        "model.width": f"width {one.model.width:g}",
        "model.decoder": ("decoder" if one.decoder else "no decoder") if one.capsules else "",
        "schedule.steps": f"{one.schedule}: {one.steps_planned:,} steps",
        "schedule.batch": f"batch {one.batch}",
    }
    overrides = {name: f"{name}={value}" for name, value in settings(run).items()}
    return {kind: fact for kind, fact in (about | overrides | about).items() if kind != key}


def loss_kind(run: Run) -> str:
    """Name what the training loss is: numbers of two kinds cannot be compared."""
    if not run.record.capsules:
        return "cross-entropy"
    overrides = (
        f"{key}={value}" for key, value in settings(run).items() if key.startswith("recipe.")
    )
    return ", ".join((f"recipe {run.record.recipe}", *overrides))


def final_loss(run: Run) -> float | None:
    """Average the end of the training loss; None where no curve was kept."""
    values = run.curve("train/loss")[:, 1]
    return float(values[-max(1, round(LAST * len(values))) :].mean()) if len(values) else None


def write_numbers(path: Path, sweep: Sweep) -> None:
    """Write what the figure shows as two Markdown tables: the means and every run."""
    flags = " · ".join(caveats(sweep.runs))
    lines = [f"# Sweep over {sweep.label}", "", caption(sweep.runs), ""]
    lines += [f"**{flags}**", ""] * bool(flags)
    lines += [markdown(means_table(sweep)), markdown(runs_table(sweep)), REMARK]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


@dataclass(frozen=True)
class SweepRow:
    """The seeds of one value in a series, or one run of them."""

    series: str
    value: str
    runs: Sequence[Run]

    @property
    def record(self) -> Record:
        """Return the record of the first run."""
        return self.runs[0].record

    @property
    def error(self) -> str:
        """Write the mean test error in percent, and its sd."""
        return mean_sd([run.record.tests["test"].error_percent for run in self.runs], ".3f")

    @property
    def loss(self) -> str | None:
        """Write the mean of the final training losses, if any curve was kept."""
        losses = [loss for loss in map(final_loss, self.runs) if loss is not None]
        return f"{mean(losses):.4g}" if losses else None


def _naming(sweep: Sweep) -> list[Column[SweepRow]]:
    return [
        Column("series", lambda row: row.series, "text"),
        Column(sweep.label, lambda row: row.value),
    ]


def means_table(sweep: Sweep) -> Table[SweepRow]:
    """Tabulate each value of each series."""
    rows = [
        SweepRow(name, value, [*seeds])
        for name, group in sweep.series().items()
        for value, seeds in groupby(group, sweep.value)
    ]
    columns: list[Column[SweepRow]] = [
        *_naming(sweep),
        Column("seeds", lambda row: f"{len(row.runs)}"),
        Column("test error %, mean ± sd", lambda row: row.error),
        Column("final training loss, mean", lambda row: row.loss),
    ]
    return Table("Sweep, means", columns, rows)


def runs_table(sweep: Sweep) -> Table[SweepRow]:
    """Tabulate each run."""
    rows = [
        SweepRow(name, sweep.value(run), [run])
        for name, group in sweep.series().items()
        for run in group
    ]
    columns: list[Column[SweepRow]] = [
        *_naming(sweep),
        Column("seed", lambda row: f"{row.record.seed}"),
        Column("errors / tests", lambda row: row.record.tests["test"].counts),
        Column("test error %", lambda row: row.error),
        Column("95 % interval", lambda row: span(row.record.tests["test"].interval_percent, ".3f")),
        Column("final training loss", lambda row: row.loss),
        Column("steps", lambda row: steps([row.record]), "text"),
    ]
    return Table("Sweep, every run", columns, rows)


def sweep_tables(runs: Sequence[Run]) -> list[Table[SweepRow]]:
    """Tabulate every run of one sweep, a table for each series."""
    sweep = sweep_of(runs)
    title, table = sweep.label[0].upper() + sweep.label[1:], runs_table(sweep)
    return [
        Table(f"{title}: {name}", table.columns[1:], [r for r in table.rows if r.series == name])
        for name in sweep.series()
    ]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
