"""The paper's numbers beside ours, with counts, intervals and a verdict; and every run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev

from capsnet import paper
from capsnet.paper import Ablation, PaperResult, PaperTable
from capsnet.records.record import BY_DIGIT, Outcome, Record
from capsnet.report.analysis import plan
from capsnet.report.analysis.answers import answers, in_general
from capsnet.report.analysis.numbers import at_equal_error, numbers
from capsnet.report.analysis.selection import exclusion_reason, groups, looked, missing, noise
from capsnet.report.analysis.verdicts import PRIMARY, SEEDS, Difference, from_paper, row_verdict
from capsnet.report.tables.table import Column, Result, Row, Table

Runs = Mapping[Path, Record]


@dataclass(frozen=True, eq=False)
class PaperRow(Row):
    """A published number or an ablation, and our runs of it under one recipe and schedule.

    `group` is empty where there are none; `runs` are all runs, which tell how noisy seeds are.
    """

    published: PaperResult | Ablation
    group: Runs
    runs: Runs

    @property
    def records(self) -> list[Record]:
        """Return the records of its runs."""
        return [*self.group.values()]

    @property
    def results(self) -> list[Result]:
        """Return its runs, and their errors on its test set."""
        return [(record, record.tests[self.published.test]) for record in self.records]

    @cached_property
    def at_equal_error(self) -> bool:
        """Tell whether its errors are those at the paper's clean error."""
        return at_equal_error([*self.group], self.published.test) is not None

    @cached_property
    def errors(self) -> list[float]:
        """Return the errors of its runs in percent."""
        return numbers(self.runs, [*self.group], self.published.test)

    @cached_property
    def against(self) -> Difference | None:
        """Ours minus the paper's number; None where that says nothing for or against the paper."""
        seen, one = looked(self.group), self.published
        if not seen or isinstance(one, Ablation) or one.condition or exclusion_reason(self.records):
            return None
        spread = noise(self.runs, self.runs[seen[0]], one.test)
        ours = numbers(self.runs, seen, one.test)
        return None if spread is None else from_paper(ours, one.error_percent, spread)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 %, in percent, for digits in general: of one run its own, else crossed with seeds.

        None where several runs have not kept their answers, and at equal clean error, where the
        errors of single digits are not counted.
        """
        if self.at_equal_error:
            return None
        first, test = self.records[0], self.published.test
        if len(self.group) == 1:
            return first.tests[test].interval_percent
        kept = [answers(path, record, test) for path, record in self.group.items()]
        seeds = [one for one in kept if one is not None]
        if len(seeds) < len(kept):
            return None
        low, high = in_general(seeds, noise(self.runs, first, test))
        return max(0.0, low), min(100.0, high)


def paper_rows(runs: Runs, results: Iterable[PaperResult | Ablation]) -> list[PaperRow]:
    """List a row for each result and each recipe and schedule that it was run with, or one."""
    return [
        PaperRow(one, group, runs)
        for one in results
        for group in groups(runs, one.experiment) or [{}]
    ]


def published(row: PaperRow) -> str:
    """Return the paper's error in percent, with its sd where the paper gives one."""
    one = row.published
    if isinstance(one, Ablation):
        return "–"
    return f"{one.error_percent}" + (f" ± {one.sd}" if one.sd else "")


def public(row: PaperRow) -> str:
    """Return the best error that a public implementation states, and whose it is."""
    return getattr(row.published, "public", None) or "–"


def if_run(value: Callable[[PaperRow], str]) -> Callable[[PaperRow], str]:
    """Give '–' for rows without runs."""
    return lambda row: value(row) if row.group else "–"


def ours(row: PaperRow) -> str:
    """Return mean, sd and number of seeds."""
    spread = f" ± {stdev(row.errors):.3f} ({len(row.errors)})" if len(row.errors) > 1 else ""
    gaps = ", ".join(map(str, missing(row.records)))
    absent = f", without seed {gaps}" if gaps else ""
    where = f" at {paper.CLEAN} % clean error" if row.at_equal_error else ""
    return f"{mean(row.errors):.2f}{spread}{absent}{where}"


def counts(row: PaperRow) -> str:
    """Return the errors of each run, of how many examples."""
    errors = ", ".join(f"{test.errors:,}" for _, test in row.results)
    stop = " at the stop" if row.at_equal_error else ""
    return f"{errors} / {row.results[0][1].total:,}{stop}"


def against(row: PaperRow) -> str:
    """Return ours minus the paper's, with its interval over seeds."""
    if row.against is None:
        return "–"
    low, high = row.against.interval()
    return f"{float(row.against.value):+.2f} ({low:+.2f} to {high:+.2f})"


def in_general_percent(row: PaperRow) -> str:
    """Return the interval for digits in general."""
    return "–" if row.interval is None else "{:.2f}–{:.2f}".format(*row.interval)


def tested_on(row: PaperRow) -> str:
    """Return the test set's source, the recipe, and how many codes trained the runs."""
    codes = len({record.identity.get("code") for record in row.records})
    several = f", {codes} codes" if codes > 1 else ""
    return f"{row.results[0][1].source}, {row.records[0].variant}{several}"


def verdict(row: PaperRow) -> str:
    """Give the verdict of the runs of a row on the paper's number, by the analysis plan.

    Other digits, narrower networks, shorter schedules, values set by hand, uncommitted code and
    numbers that training was stopped at get no verdict; nor do experiments that are not the
    paper's.
    """
    if not row.group:
        return "not yet run"
    if (why := exclusion_reason(row.records)) is not None:
        return f"none: {why}"
    table = paper.table_of(row.published.experiment)
    if table is None or isinstance(row.published, Ablation):
        return "none: not in the paper"
    if row.published.condition:
        return "none: stopped there"
    if row.against is None:
        return "not enough runs"
    word = row_verdict(row.against, table.margin)
    return f"{word} ({qualified(row.runs, looked(row.group), row.published.test)})"


def qualified(runs: Runs, paths: Sequence[Path], test: str) -> str:
    """State what limits a verdict on the runs at `paths`, and the plan's digest."""
    seen = [runs[path] for path in paths]
    limits = {
        "secondary": any(one.capsules and one.recipe != PRIMARY for one in seen),
        "interim": len({one.seed for one in seen}) < len(SEEDS),
        "at the stop": test == "affnist" and at_equal_error(paths, test) is None,
    }
    return ", ".join((*(word for word, holds in limits.items() if holds), plan.quoted()))


def steps(records: Sequence[Record]) -> str:
    """Done of planned, whether validation ended training, and the batch where it is not 128."""
    stopped = ", stopped" if all(record.stopped for record in records) else ""
    batch = "" if records[0].batch == paper.BATCH else f", batch {records[0].batch}"
    return f"{steps_done(records)} of {records[0].steps_planned:,}{stopped}{batch}"


def steps_done(records: Sequence[Record]) -> str:
    """Return the steps that all `records` have done, as a range where they differ."""
    done = sorted({record.steps_done for record in records})
    return "–".join(f"{count:,}" for count in (done[0], done[-1])[: len(done)])


def trained(row: PaperRow) -> str:
    """Return the steps done, the schedule and the recipe."""
    if not row.group:
        return "not yet run"
    first = row.records[0]
    return f"{steps_done(row.records)}, {first.schedule}, {first.variant}"


def row_title(row: PaperRow) -> str:
    """Return 'MNIST: Baseline CNN', say."""
    table = paper.table_of(row.published.experiment)
    return f"{table.title}: {row.published.name}" if table else row.published.name


OURS = Column("ours %", if_run(ours))
COUNTS = Column("errors / tests", if_run(counts))
IN_GENERAL = Column("digits in general (seeds and digits)", if_run(in_general_percent))
TESTED_ON = Column("tested on, recipe", if_run(tested_on), "text")
STEPS = Column("steps", if_run(lambda row: steps(row.records)), "text")
PAPER_COLUMNS: list[Column[PaperRow]] = [
    Column("row", lambda row: row.published.name, "text"),
    Column("paper %", published),
    Column("public %", public),
    OURS,
    COUNTS,
    Column("against the paper (seeds)", if_run(against)),
    IN_GENERAL,
    TESTED_ON,
    STEPS,
    Column("verdict", verdict, "text"),
]
ABLATION_COLUMNS: list[Column[PaperRow]] = [
    Column("experiment", lambda row: row.published.name, "text"),
    *(OURS, COUNTS, IN_GENERAL, TESTED_ON, STEPS),
]
STATE_COLUMNS = [
    Column("test error, %", row_title, "text"),
    Column("paper", published),
    Column("ours so far", if_run(ours)),
    Column("steps, schedule, recipe", trained, "text"),
]


def paper_table(runs: Runs, table: PaperTable) -> Table[PaperRow]:
    """Tabulate each of the paper's results and each recipe and schedule that it was run with.

    *Against the paper* is ours minus the paper's, in percentage points, the same test digits
    having been shown to both; *digits in general* is the error in percent. Both are 95 % intervals.
    """
    rows = paper_rows(runs, table.rows)
    return Table(f"{table.title}: test error", PAPER_COLUMNS, rows, lead=OURS.name)


def state_table(runs: Runs) -> Table[PaperRow]:
    """Tabulate each published result and each recipe and schedule it was run with, in short.

    The results whose number is the condition at which training stops are left out.
    """
    results = [one for table in paper.TABLES for one in table.rows if not one.condition]
    return Table("State", STATE_COLUMNS, paper_rows(runs, results))


def ablations_table(runs: Runs) -> Table[PaperRow]:
    """Tabulate each ablation, recipe and schedule that was run; ablations get no verdict."""
    rows = [row for row in paper_rows(runs, paper.ABLATIONS) if row.group]
    return Table("Ablations, not in the paper", ABLATION_COLUMNS, rows)


@dataclass(frozen=True)
class TestedRun(Row):
    """A run on one of its test sets."""

    record: Record
    test: Outcome

    @property
    def results(self) -> list[Result]:
        """Return the run itself."""
        return [(self.record, self.test)]


def run_interval(run: TestedRun) -> str:
    """Return the 95 % interval, and where it leaves out the second digits of the images."""
    base = run.test.interval_kind == BY_DIGIT and run.record.dataset.labels_per_image > 1
    return percents(run.test.interval_percent) + (" (base digits alone)" if base else "")


def percents(interval: tuple[float, float]) -> str:
    """Return '0.17–0.37'."""
    return "{:.2f}–{:.2f}".format(*interval)


def commit(record: Record) -> str:
    """Return the beginning of the commit, and whether files were changed."""
    if record.commit is None:
        return "–"
    return record.commit[:7] + ("" if record.clean else " changed")


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
    Column("commit", lambda run: commit(run.record), "text"),
]


def runs_table(records: Iterable[Record], title: str = "Runs") -> Table[TestedRun]:
    """Tabulate every run on every test set by itself."""
    rows = [TestedRun(record, test) for record in records for test in record.tests.values()]
    return Table(title, RUN_COLUMNS, rows, lead="run")
