"""Tables in a terminal: no word is broken, and the widest columns give way first."""

import pytest

from capsnet.report.tables.table import text_table
from capsnet.report.tables.terminal import GAP, WIDTH, fitted, show

NAMES = ("row", "paper %", "verdict")
ROWS = [
    ("CapsNet, 3 routing, decoder", "0.25 ± 0.005", "none: values set by hand in this run"),
    ("Baseline CNN", "0.39", "schedule.learning_rate=0.0042"),
]


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (200, [27, 12, 36]),  # all fits
        (70, [27, 12, 31]),  # the widest gives way
        (66, [27, 10, 29]),  # then the next
        (40, [27, 5, 29]),  # the longest words
    ],
)
def test_the_widest_columns_give_way_down_to_their_words(room: int, widths: list[int]) -> None:
    assert fitted(text_table("", NAMES, ROWS), room) == widths


def test_a_table_too_wide_for_the_terminal_keeps_its_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    many = [tuple(f"{cell}-{'x' * 12}" for cell in row * 6) for row in (NAMES, *ROWS)]
    show([text_table("wide", many[0], many[1:])])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) > WIDTH
    assert {word for row in many for cell in row for word in cell.split()} <= {*printed.split()}


def test_a_narrow_table_stays_within_the_width(capsys: pytest.CaptureFixture[str]) -> None:
    long = text_table("a title", NAMES, [*ROWS, ("CapsNet", "0.1", "word " * 60)])
    show([long])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "a title"
    assert max(map(len, lines)) <= WIDTH
    assert sum(fitted(long, WIDTH - 3 * GAP)) == WIDTH - 3 * GAP
