"""The tables of routing reports: errors by tested iterations, and what each iteration changes."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from capsnet.records.routing_reports import RoutedTest, RoutingReport
from capsnet.report.tables.table import Column, Table, error_and_interval

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

    A row for each network on each test set; nothing where there are no reports. Errors are shown
    for the iterations TESTED and for those that a network was trained with.
    """
    rows = [RoutedRow(one, name) for one in reports for name in one.tests]
    trained = sorted({*TESTED, *(row.report.network.iterations for row in rows)})
    errors = [*NAMING, *(Column(f"r′ = {r}", _tested(r)) for r in trained)]
    title = "Trained with r iterations, tested with r′: error % (95 % interval)"
    both = [
        Table(title, errors, rows),
        Table("What routing does to couplings and answers", STATISTICS, rows),
    ]
    return both if rows else []


def called(report: RoutingReport) -> str:
    """Name a network: its experiment, variant (without `released`), schedule and seed."""
    one = report.network
    variant = one.variant.removeprefix("released").removeprefix(", ")
    words = (one.experiment, variant, one.schedule, f"seed {one.seed}", *one.caveats)
    return ", ".join(word for word in dict.fromkeys(words) if word and word != "short schedule")


def _tested(r: int) -> Callable[[RoutedRow], str | None]:
    """Return the error of r iterations, where they were tested."""
    return lambda row: next(map(error_and_interval, row.test.errors[r - 1 : r]), None)


def _each(value: Callable[[RoutedTest, int], float], form: str) -> Callable[[RoutedRow], str]:
    """Return the numbers of the iterations SHOWN, of which `value` takes the index."""
    return lambda row: " / ".join(f"{value(row.test, k - 1):{form}}" for k in SHOWN)


def _between(row: RoutedRow) -> str:
    """Return the shares of the variance between classes."""
    if (between := row.test.variance_between) is None:
        return "– (several labels)"
    return _each(lambda test, k: 100 * between[k] / test.variance[k], ".0f")(row)


def _never(row: RoutedRow) -> str:
    """Return the shares of the primary capsules that are always short."""
    test = row.test
    return " / ".join(
        f"{100 * test.never_longer[key] / test.primary_capsules:.1f}" for key in NEVER
    )


NAMING: Sequence[Column[RoutedRow]] = [
    Column("run", lambda row: called(row.report), "text"),
    Column("test set", lambda row: row.test.errors[0].source, "text"),
    Column("r", lambda row: f"{row.report.network.iterations}"),
]
STATISTICS: Sequence[Column[RoutedRow]] = [
    *NAMING,
    Column(
        f"entropy at iteration {EACH}, % of ln J",
        _each(lambda test, k: 100 * test.entropy_share[k], ".2f"),
    ),
    Column(
        f"answers unlike iteration 1's at {EACH}, %",
        _each(lambda test, k: 100 * test.changed_from_first[k] / test.total, ".2f"),
    ),
    Column(f"sd of c_ij at {EACH}", _each(lambda test, k: test.variance[k] ** 0.5, ".2g")),
    Column(f"its variance between classes at {EACH}, %", _between),
    Column(f"primary capsules never longer than {' / '.join(NEVER)}, %", _never),
]
