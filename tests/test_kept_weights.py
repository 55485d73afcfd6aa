"""The card of the weights in results/weights names their files and their records."""

from hashlib import sha256
from pathlib import Path

import pytest

from capsnet.paper import result_of
from capsnet.records.record import read_record
from capsnet.records.run_folder import KEPT, WEIGHTS, trained_run

PROJECT = Path(__file__).parents[1]
FOLDER = PROJECT / KEPT
CARD = (FOLDER / "README.md").read_text()


def rows() -> dict[str, list[str]]:
    """The cells of the card's table, by the names of the weights."""
    lines = [line for line in CARD.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: rest for name, *rest in cells}


def test_the_card_names_every_folder_of_weights() -> None:
    assert set(rows()) == {path.parent.name for path in FOLDER.glob(f"*/{WEIGHTS}")}


@pytest.mark.parametrize("name", rows())
def test_the_card_says_of_weights_what_their_file_and_record_say(name: str) -> None:
    run = trained_run(FOLDER / name)
    assert run.record is not None
    record = read_record(PROJECT / run.record)
    place, test = run.record.removeprefix("results/"), record.tests["test"]
    assert test.total == 10_000
    assert record.commit is not None
    assert rows()[name] == [
        f"[{place}](../{place})",
        str(record.seed),
        f"{record.steps_done:,}, {record.schedule}",
        f"{test.errors} ({test.error_percent:.2f} %)",
        record.commit[:12],
        sha256((FOLDER / name / WEIGHTS).read_bytes()).hexdigest(),
    ]
    assert f"the paper's error is {result_of(name).error_percent} %" in CARD
