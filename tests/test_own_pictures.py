"""The tour of docs/extending.md, run on real picture files: grey digits, and RGB in two parts."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from capsnet import evaluate as evaluation
from capsnet import train
from capsnet.data.storage import LabelledImages
from capsnet.errors import UserError
from capsnet.evaluate import evaluate
from capsnet.records.record import read_record
from capsnet.report import __main__ as report
from helpers.explored import free_port, serving
from helpers.running import TINY, command, tiny

PAGE = Path(__file__).parents[1] / "docs/extending.md"
SHORT = ("schedule.steps=4", "schedule.batch=16", "logger=csv", *TINY[1:])
NAMES = [f"digit {number}" for number in range(10)]

pytestmark = pytest.mark.slow


def commands() -> Iterator[list[str]]:
    """Give the module and the arguments of each command of the tour."""
    [tour] = re.findall(r"## Your own pictures\n.*?```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for line in tour.splitlines():
        python, option, module, *arguments = shlex.split(line)
        assert (python, option) == ("python", "-m")
        yield [module.removeprefix("capsnet."), *arguments]


def save_digits(digits: LabelledImages, folder: Path, count: int) -> None:
    """Save the first digits as PNGs of 28×28, each in the folder of its class."""
    for number in range(count):
        path = folder / NAMES[digits.train_labels[number]] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.train_images[number, 0]).save(path)


@pytest.fixture(scope="module")
def tour(digits: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all commands of the tour but the explorer have been run.

    Both trainings run at once, so that both are to prepare the same pictures.
    """
    folder = tmp_path_factory.mktemp("tour")
    save_digits(digits, folder / "pets", 200)
    trainings = [one for one in commands() if one[0] == "train"]
    for process in [command(*one, *SHORT, cwd=folder) for one in trainings]:
        printed, _ = process.communicate(timeout=300)
        assert process.returncode == 0, printed
        assert "Traceback" not in printed
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for module, *arguments in commands():
            if module in ("evaluate", "report"):
                run_here(module, arguments, patch)
    return folder


def run_here(module: str, arguments: list[str], patch: pytest.MonkeyPatch) -> None:
    """Run a command in this process, which has imported torch already."""
    patch.setattr("sys.argv", [module, *arguments])
    {"evaluate": evaluation, "report": report}[module].main()


def test_the_records_have_the_classes_and_names_of_the_pictures(tour: Path) -> None:
    for kind, name in (("capsnet", "pets_capsnet_r3_recon"), ("baseline", "pets_baseline")):
        record = read_record(tour / f"results/mine/pets/{kind}.json")
        assert record.experiment == name
        assert (record.dataset.name, record.dataset.image) == ("pets", (1, 32, 32))
        assert record.dataset.class_names == tuple(NAMES)
        assert record.tests["test"].total + record.training_examples == 200
        assert record.overrides[:1] == ("data=images",)
        assert not any("path" in one for one in record.overrides)


def test_the_report_has_no_verdict_on_them(tour: Path) -> None:
    table, page = ((tour / f"results/mine.{kind}").read_text() for kind in ("md", "html"))
    [line] = [line for line in table.splitlines() if line.startswith("| pets_capsnet_r3_recon")]
    record = read_record(tour / "results/mine/pets/capsnet.json")
    assert record.tests["test"].counts in line
    assert "reproduced" not in table
    assert "not in the paper: 2 of 2 runs" in page
    assert any(name in page for name in NAMES)  # beside the reconstructions


def test_the_explorer_shows_the_classes(tour: Path) -> None:
    *_, (module, *arguments) = commands()
    port = free_port()
    assert module == "explorer"
    with (
        serving(tour, port, *arguments) as _,
        urlopen(f"http://127.0.0.1:{port}", timeout=60) as page,
    ):
        shown = page.read().decode()
    assert all(name in shown for name in NAMES)


def test_pictures_in_colour_are_trained_on_and_tested(
    digits: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red ones and blue ones, which a grey reading could not tell apart."""
    monkeypatch.chdir(tmp_path)
    for part, numbers in (("train", range(120)), ("test", range(120, 160))):
        for number in numbers:
            pixels = np.zeros((28, 28, 3), np.uint8)
            pixels[..., 2 * (number % 2)] = digits.train_images[number, 0]
            path = tmp_path / "ink" / part / ("red", "blue")[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    steps = ("data=images", "data.path=ink", "data.size=20", *SHORT, "schedule.steps=60")
    run = tiny(tmp_path / "data", *steps)
    record = train.train(run, tmp_path / "run")
    assert record is not None
    assert record.dataset.image == (3, 20, 20)
    assert (record.dataset.class_names, record.training_examples) == (("blue", "red"), 120)
    assert record.tests["test"].errors == 0
    assert evaluate(tmp_path / "run", [])["test"] == record.tests["test"]
    (tmp_path / "ink/train/red").rename(tmp_path / "ink/train/green")
    (tmp_path / "ink/test/red").rename(tmp_path / "ink/test/green")
    assert json.loads((tmp_path / "run/record.json").read_text())["experiment"].startswith("ink_")
    for _ in range(2):  # by the record, and without it by the weights
        with pytest.raises(UserError, match=r"are blue, green, but must be those .*: blue, red"):
            evaluate(tmp_path / "run", ["data.path=ink"])
        (tmp_path / "run/record.json").unlink(missing_ok=True)
