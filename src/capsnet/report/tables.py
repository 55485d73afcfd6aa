"""The paper's numbers beside ours, with counts, intervals and a verdict; and every run by itself.

A table is text: a tuple of column names, then one tuple a row.
"""

from collections.abc import Iterable, Sequence
from statistics import mean, stdev

from rich.box import SIMPLE_HEAD
from rich.table import Table

from capsnet import paper
from capsnet.report.groups import groups, shortcoming
from capsnet.results import Outcome, Record, t_interval

Text = tuple[str, ...]
NARROW = 0.5  # of the paper's number: at most so wide is an interval that can reproduce it [D]
LONG = 18  # letters: a column with a longer word, such as KEY=VALUE, is made to fit it
PAPER_COLUMNS = (
    "row",
    "paper %",
    "public %",
    "ours %",
    "errors / tests",
    "95 % interval",
    "tested on, recipe",
    "steps",
    "verdict",
)
ABLATION_COLUMNS = ("experiment", *PAPER_COLUMNS[3:-1])
RUN_COLUMNS = (
    "run",
    "recipe",
    "errors / tests",
    "%",
    "95 % interval",
    "tested on",
    "steps",
    "images/s",
    "device",
    "commit",
)


def paper_table(records: Iterable[Record], rows: Sequence[paper.Row]) -> list[Text]:
    """A line for each of the paper's `rows` and each recipe and schedule it was run with."""
    return [PAPER_COLUMNS, *(_row(row, group) for row, group in paired(records, rows))]


def paired(
    records: Iterable[Record], rows: Sequence[paper.Row]
) -> list[tuple[paper.Row, list[Record]]]:
    """What each line of `paper_table` tells of; no records where a row was not yet run."""
    runs = list(records)
    return [(row, group) for row in rows for group in groups(runs, row.experiment) or [[]]]


def ablations_table(records: Iterable[Record]) -> list[Text]:
    """A line for each ablation, recipe and schedule that was run; ablations get no verdict."""
    runs = list(records)
    found = [(one, group) for one in paper.ABLATIONS for group in groups(runs, one.experiment)]
    return [ABLATION_COLUMNS, *((one.name, *_ours(one, group)) for one, group in found)]


def _row(row: paper.Row, records: list[Record]) -> Text:
    published = f"{row.error_percent}" + (f" ± {row.sd}" if row.sd else "")
    return row.name, published, row.public or "–", *_ours(row, records), verdict(row, records)


def _ours(row: paper.Row | paper.Ablation, records: list[Record]) -> Text:
    """Mean, sd and number of seeds; counts and interval; what was tested; how long trained."""
    if not records:
        return ("–",) * 5
    outcomes = [record.tests[row.test] for record in records]
    percents = [outcome.error_percent for outcome in outcomes]
    spread = f" ± {stdev(percents):.3f} ({len(percents)})" if len(percents) > 1 else ""
    counts = ", ".join(f"{outcome.errors:,}" for outcome in outcomes)
    low, high = interval(outcomes)
    return (
        f"{mean(percents):.2f}{spread}",
        f"{counts} / {outcomes[0].total:,}",
        f"{low:.2f}–{high:.2f}",
        f"{outcomes[0].source}, {records[0].variant}",
        steps(records),
    )


def interval(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """95 %, in percent: of one run its own, of several Student's over their seeds, from 0 up."""
    if len(outcomes) == 1:
        return outcomes[0].interval_percent
    low, high = t_interval([outcome.error_percent for outcome in outcomes])
    return max(0.0, low), high


def steps(records: Sequence[Record]) -> str:
    """Done of planned, whether validation ended training, and the batch where it is not 128."""
    done = sorted({record.steps_done for record in records})
    told = "–".join(f"{count:,}" for count in (done[0], done[-1])[: len(done)])
    stopped = ", stopped" if all(record.stopped for record in records) else ""
    batch = "" if records[0].batch == paper.BATCH else f", batch {records[0].batch}"
    return f"{told} of {records[0].steps_planned:,}{stopped}{batch}"


def verdict(row: paper.Row, records: Sequence[Record]) -> str:
    """What the runs say of the paper's number, in a few words.

    'reproduced' when the 95 % interval over three seeds or more holds it and is narrow, 'open' when
    it is wide; 'not reproduced' when it lies above, 'lower' when it lies below. Other digits,
    narrower networks, shorter schedules, values set by hand and numbers that training was stopped
    at get no verdict.
    """
    if not records:
        return "not yet run"
    if (why := shortcoming(records)) is not None:
        return f"none: {why}"
    if row.condition:
        return "none: stopped there"
    if len(records) < paper.TRIALS:
        return "not enough runs"
    low, high = interval([record.tests[row.test] for record in records])
    if low > row.error_percent:
        return "not reproduced"
    if high < row.error_percent:
        return "lower"
    return "reproduced" if high - low <= NARROW * row.error_percent else "open"


def runs_table(records: Iterable[Record]) -> list[Text]:
    """Every run on every test set by itself."""
    lines = [_run(record, test) for record in records for test in record.tests.values()]
    return [RUN_COLUMNS, *lines]


def _run(record: Record, test: Outcome) -> Text:
    low, high = test.interval_percent
    return (
        f"{record.experiment}, seed {record.seed}",
        record.variant,
        test.counts,
        f"{test.error_percent:.2f}",
        f"{low:.2f}–{high:.2f}",
        test.source,
        steps([record]),
        f"{record.images_per_second:.0f}",
        record.device,
        "–" if record.commit is None else record.commit[:7] + ("" if record.clean else " changed"),
    )


def rich_table(table: Sequence[Text], title: str) -> Table:
    """Lay a table out for the terminal, without cutting any word."""
    drawn = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    for place, (name, *cells) in enumerate(zip(*table, strict=True)):
        longest = max(len(word) for cell in (name, *cells) for word in cell.split())
        width = longest if place and longest > LONG else None
        drawn.add_column(name, no_wrap=place == 0, width=width, overflow="fold")
    for row in table[1:]:
        drawn.add_row(*row)
    return drawn


def markdown(table: Sequence[Text]) -> str:
    """For a file."""
    columns, *rows = table
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
