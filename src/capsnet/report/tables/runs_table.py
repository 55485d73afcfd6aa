"""Every run by itself, and how all tables write steps and counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capsnet import paper
from capsnet.records.record import BY_DIGIT, Outcome, Record
from capsnet.records.runs import Run
from capsnet.report.tables.table import Column, Result, Table, span


def steps(records: Sequence[Record]) -> str:
    """Done of planned, whether validation ended training, and the batch where it is not 128."""
    stopped = ", stopped" if all(record.stopped for record in records) else ""
    batch = "" if records[0].batch == paper.BATCH else f", batch {records[0].batch}"
    return f"{steps_done(records)} of {records[0].steps_planned:,}{stopped}{batch}"


def steps_done(records: Sequence[Record]) -> str:
    """Return the steps that all `records` have done, as a range where they differ."""
    done = sorted({record.steps_done for record in records})
    return "–".join(f"{count:,}" for count in (done[0], done[-1])[: len(done)])


def error_counts(tests: Sequence[Outcome]) -> str:
    """Return the errors of each test, of how many examples."""
    return ", ".join(f"{test.errors:,}" for test in tests) + f" / {tests[0].total:,}"


@dataclass(frozen=True)
class TestedRun:
    """A run on one of its test sets."""

    run: Run
    test: Outcome

    @property
    def record(self) -> Record:
        """Return the run's record."""
        return self.run.record

    @property
    def results(self) -> list[Result]:
        """Return the run itself."""
        return [(self.run, self.test)]


def run_interval(run: TestedRun) -> str:
    """Return the 95 % interval, and where it leaves out the second digits of the images."""
    base = run.test.interval_kind == BY_DIGIT and run.record.dataset.labels_per_image > 1
    return span(run.test.interval_percent) + " (base digits alone)" * base


def commit(run: TestedRun) -> str | None:
    """Return the beginning of the commit, and whether files were changed."""
    found = run.record.commit
    return found and found[:7] + ("" if run.record.clean else " changed")


RUN_COLUMNS: list[Column[TestedRun]] = [
    Column("run", lambda run: f"{run.record.experiment}, seed {run.record.seed}", "text"),
    Column("recipe", lambda run: run.record.variant, "text"),
    Column("errors / tests", lambda run: run.test.counts),
    Column("%", lambda run: f"{run.test.error_percent:.2f}"),
    Column("95 % interval", run_interval),
    Column("tested on", lambda run: run.test.source, "text"),
    Column("steps", lambda run: steps([run.record]), "text"),
    Column("images/s", lambda run: f"{run.record.images_per_second:.0f}"),
    Column("device", lambda run: run.record.device, "text"),
    Column("commit", commit, "text"),
]


def runs_table(runs: Iterable[Run], title: str = "Runs") -> Table[TestedRun]:
    """Tabulate every run on every test set by itself."""
    rows = [TestedRun(run, test) for run in runs for test in run.record.tests.values()]
    return Table(title, RUN_COLUMNS, rows, lead="run")
