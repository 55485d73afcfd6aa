"""Contact sheets, read back as pictures: every example stands in its cell, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import Tensor

from capsnet.data import mnist
from capsnet.data.examples import Examples, UnshiftedImages
from capsnet.report.figures import contact_sheets
from capsnet.report.figures.contact_sheets import COLUMNS, ROWS, sheet
from helpers.running import output_here

pytestmark = pytest.mark.slow


def changed(before: Path, after: Path) -> tuple[float, float]:
    """The middle of what differs between two sheets, (down, right), as shares of the sheet."""
    differs = np.abs(imread(before) - imread(after)).max(axis=2) > 0.5
    rows, columns = differs.any(1).nonzero()[0], differs.any(0).nonzero()[0]
    return rows.mean() / differs.shape[0], columns.mean() / differs.shape[1]


@pytest.mark.parametrize("cell", [0, 13, 47])
def test_an_example_is_drawn_in_its_own_cell(cell: int, tmp_path: Path) -> None:
    images, captions = np.zeros((48, 1, 28, 28), np.uint8), ["5"] * 48
    sheet(tmp_path / "before.png", "Title", [list(cell) for cell in images], captions)
    images[cell, :, 8:20, 8:20] = 255
    sheet(tmp_path / "after.png", "Title", [list(cell) for cell in images], captions)
    down, right = changed(tmp_path / "before.png", tmp_path / "after.png")
    row, column = divmod(cell, COLUMNS)
    assert right == pytest.approx((column + 0.5) / COLUMNS, abs=0.4 / COLUMNS)
    assert down == pytest.approx((row + 0.5) / ROWS, abs=0.6 / ROWS)  # the title takes a share


class Pairs(UnshiftedImages):
    """48 pairs; the first one's digits alone are marked in the middle, as `marked` says."""

    marked: int | None = None

    def examples(self, indices: Tensor, step: int | None) -> Examples:
        parts = torch.zeros(48, 2, 1, 36, 36)
        if self.marked is not None:
            parts[0, self.marked, :, 10:26, 10:26] = 1
        whole = torch.zeros(48, 1, 36, 36)
        return Examples(whole, torch.full((48, 2), 3), parts)


def test_a_pair_stands_left_of_its_two_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = Pairs(torch.zeros(48, 1, 36, 36), torch.zeros(48))
    before, info = tmp_path / "before.png", mnist.SPEC.info
    contact_sheets._examples(before, "Title", pairs, 0, info)
    places = []
    for part in range(2):
        monkeypatch.setattr(Pairs, "marked", part)
        after = tmp_path / "after.png"
        contact_sheets._examples(after, "Title", pairs, 0, info)
        places.append(changed(before, after)[1])
    cell = 1 / COLUMNS  # three pictures wide: the pair, then the base, then the partner
    assert places == pytest.approx([cell / 2, cell * 5 / 6], abs=cell / 8)


def test_sets_that_are_not_prepared_are_named(data_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / "digits").symlink_to(data_root / "digits")
    arguments = ("data", "--source", "digits", "--root", str(root))
    code, printed = output_here("report.__main__", *arguments, cwd=tmp_path)
    assert code == 0
    assert "Left out: affnist. expanded-digits and affnist-digits in" in printed
    drawn = {path.name for path in (tmp_path / "results/paper-data").iterdir()}
    assert drawn == {"shifted.png", "enumerated.png"}
