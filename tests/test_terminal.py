"""Tables in a terminal: no word is broken, and the widest columns give way first."""

import pytest

from capsnet.report.tables.table import text_table
from capsnet.report.tables.terminal import GAP, WIDTH, fitted, show

NAMES = ("row", "paper %", "verdict")
CELLS = [
    ("CapsNet, 3 routing, decoder", "0.25 ± 0.005", "none: values set by hand in this run"),
    ("Baseline CNN", "0.39", "schedule.learning_rate=0.0042"),
]
ROWS = [dict[str, str](zip(NAMES, cells, strict=True)) for cells in CELLS]


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
    assert fitted(text_table("", ROWS), room) == widths


def test_a_table_too_wide_for_the_terminal_keeps_its_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wide = [
        {f"{name}-{k}": f"{row[name]}-{'x' * 12}" for k in range(6) for name in NAMES}
        for row in ROWS
    ]
    show([text_table("wide", wide)])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) > WIDTH
    assert {word for row in wide for cell in row.values() for word in cell.split()} <= {
        *printed.split()
    }


def test_a_narrow_table_stays_within_the_width(capsys: pytest.CaptureFixture[str]) -> None:
    long = text_table("a title", [*ROWS, {"row": "CapsNet", "verdict": "word " * 60}])
    show([long])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "a title"
    assert max(map(len, lines)) <= WIDTH
    assert sum(fitted(long, WIDTH - 3 * GAP)) == WIDTH - 3 * GAP
