"""The tables of routing reports: errors by tested iterations, and what each iteration changes."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from capsnet.records.record import Outcome
from capsnet.records.routing_reports import RoutedTest, RoutingReport
from capsnet.report.tables.table import Column, Table

TESTED = (1, 2, 3, 5, 10)  # iterations that have a column
SHOWN = (2, 3, 10)  # iterations of a cell with several numbers
NEVER = ("0.05", "0.1", "0.2")  # lengths, of `THRESHOLDS`
EACH = " / ".join(map(str, SHOWN))


class RoutedRow(NamedTuple):
    """One network on one of its test sets."""

    report: RoutingReport
    name: str

    @property
    def test(self) -> RoutedTest:
        """Return the numbers."""
        return self.report.tests[self.name]


def routing_tables(reports: Iterable[RoutingReport]) -> list[Table[RoutedRow]]:
    """Tabulate errors by tested iterations, then entropies, changed answers and variances.

    A row for each network on each test set; nothing where there are no reports.
    """
    rows = [RoutedRow(one, name) for one in reports for name in one.tests]
    return [errors_table(rows), statistics_table(rows)] if rows else []


def errors_table(rows: Sequence[RoutedRow]) -> Table[RoutedRow]:
    """Tabulate the test error by iterations: TESTED, and those that a network was trained with."""
    tested = sorted({*TESTED, *(row.report.network.iterations for row in rows)})
    columns = [*_naming(), *(_tested(r) for r in tested)]
    return Table(
        "Trained with r iterations, tested with r′: error % (95 % interval)", columns, rows
    )


def _naming() -> list[Column[RoutedRow]]:
    return [
        Column("run", lambda row: called(row.report), "text"),
        Column("test set", lambda row: row.test.errors[0].source, "text"),
        Column("r", lambda row: f"{row.report.network.iterations}"),
    ]


def called(report: RoutingReport) -> str:
    """Name a network: its experiment, variant but for the released recipe, schedule and seed."""
    one = report.network
    variant = one.variant.removeprefix("released").removeprefix(", ")
    words = (one.experiment, variant, one.schedule, f"seed {one.seed}", *one.caveats)
    return ", ".join(word for word in dict.fromkeys(words) if word and word != "short schedule")


def _tested(r: int) -> Column[RoutedRow]:
    def cell(row: RoutedRow) -> str:
        return percent(row.test.errors[r - 1]) if r <= len(row.test.errors) else "–"

    return Column(f"r′ = {r}", cell)


def percent(one: Outcome) -> str:
    """Write an error and its interval in percent: '0.60 (0.47–0.77)'."""
    low, high = one.interval_percent
    return f"{one.error_percent:.2f} ({low:.2f}–{high:.2f})"


def statistics_table(rows: Sequence[RoutedRow]) -> Table[RoutedRow]:
    """Tabulate what iterations SHOWN do to couplings and answers."""
    columns = [
        *_naming(),
        Column(f"entropy at iteration {EACH}, % of ln J", _entropy),
        Column(f"answers unlike iteration 1's at {EACH}, %", _changed),
        Column(f"sd of c_ij at {EACH}", _deviation),
        Column(f"its variance between classes at {EACH}, %", _between),
        Column(f"primary capsules never longer than {' / '.join(NEVER)}, %", _never),
    ]
    return Table("What routing does to couplings and answers", columns, rows)


def _entropy(row: RoutedRow) -> str:
    return joined(f"{100 * row.test.entropy_share[k - 1]:.2f}" for k in SHOWN)


def _changed(row: RoutedRow) -> str:
    counts = (row.test.changed_from_first[k - 1] for k in SHOWN)
    return joined(f"{100 * count / row.test.total:.2f}" for count in counts)


def _deviation(row: RoutedRow) -> str:
    return joined(f"{row.test.variance[k - 1] ** 0.5:.2g}" for k in SHOWN)


def _between(row: RoutedRow) -> str:
    between = row.test.variance_between
    if between is None:
        return "– (several labels)"
    return joined(f"{100 * between[k - 1] / row.test.variance[k - 1]:.0f}" for k in SHOWN)


def _never(row: RoutedRow) -> str:
    counts = (row.test.never_longer[key] for key in NEVER)
    return joined(f"{100 * count / row.test.primary_capsules:.1f}" for count in counts)


def joined(cells: Iterable[str]) -> str:
    """Join the numbers of a cell."""
    return " / ".join(cells)
