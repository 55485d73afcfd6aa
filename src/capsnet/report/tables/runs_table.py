"""Every run by itself, and how all tables write steps and counts."""

from collections.abc import Callable, Sequence

from capsnet import paper
from capsnet.records.record import BY_DIGIT, Outcome, Record
from capsnet.report.tables.rows import Runs, RunsRow
from capsnet.report.tables.table import Column, Table, span


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


def run_interval(row: RunsRow) -> str:
    """Return the 95 % interval, and where it leaves out the second digits of the images."""
    [record], [test] = row.records, row.tests
    base = test.interval_kind == BY_DIGIT and record.dataset.labels_per_image > 1
    return span(test.interval_percent) + " (base digits alone)" * base


def commit(record: Record) -> str | None:
    """Return the beginning of the commit, and whether files were changed."""
    return record.commit and record.commit[:7] + ("" if record.clean else " changed")


def _of_run(value: Callable[[Record], str | None]) -> Callable[[RunsRow], str | None]:
    """Return what the record of a row of one run says."""
    return lambda row: value(row.records[0])


RUN_COLUMNS: list[Column[RunsRow]] = [
    Column("run", _of_run(lambda record: f"{record.experiment}, seed {record.seed}"), "text"),
    Column("recipe", _of_run(lambda record: record.variant), "text"),
    Column("errors / tests", lambda row: row.tests[0].counts),
    Column("%", lambda row: f"{row.tests[0].error_percent:.2f}"),
    Column("95 % interval", run_interval),
    Column("tested on", lambda row: row.tests[0].source, "text"),
    Column("steps", lambda row: steps(row.records), "text"),
    Column("images/s", _of_run(lambda record: f"{record.images_per_second:.0f}")),
    Column("device", _of_run(lambda record: record.device), "text"),
    Column("commit", _of_run(commit), "text"),
]


def runs_table(runs: Runs, title: str = "Runs") -> Table[RunsRow]:
    """Tabulate every run on every test set by itself."""
    rows = [RunsRow(runs, [run], test) for run in runs for test in run.record.tests]
    return Table(title, RUN_COLUMNS, rows, lead="run")
