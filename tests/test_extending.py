"""The package of docs/extending.md, built from that page: a data set and a routing from outside."""

import json
import os
import re
import signal
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from PIL import Image

import capsnet
from capsnet import registry
from capsnet.data.storage import read_images
from capsnet.evaluate import evaluate
from capsnet.functional import routing_trace
from capsnet.report.__main__ import figures, table
from capsnet.report.figures import contact_sheets
from helpers.explored import free_port, serving
from helpers.offline_wandb import read_runs
from helpers.running import command, output, wait_for

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs/extending.md"
CLASSES, SIDE = 43, 32
TRAIN = (
    *("--config-dir", "conf", "experiment=signs_capsnet", "profile=demo", "model.width=0.03"),
    *("data.source=signs", "schedule.steps=40", "schedule.batch=16", "trainer.log_every=5"),
    *("trainer.progress=false", "trainer.checkpoint_every=0", "model.routing=sharp"),
)
RECORD = "results/mine/signs_capsnet/seed0.json"


def write_package(folder: Path) -> None:
    """Write the blocks of the page to the files that their first lines name."""
    blocks = re.findall(r"```(?:toml|python|yaml)\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for name, text in blocks:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def install(folder: Path) -> None:
    """Leave beside the modules what installing them would leave: their entry points."""
    groups = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
    entries = [
        f"[{group}]\n{name} = {value}"
        for group, names in groups.items()
        for name, value in names.items()
    ]
    info = folder / "signs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: signs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(entries))


def draw_signs(folder: Path) -> None:
    """Draw six training and two test pictures of each class: a colour, a bar and some noise."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 2)):
        for number in range(CLASSES):
            (folder / part / str(number)).mkdir(parents=True)
            for copy in range(count):
                pixels = generator.integers(0, 60, (SIDE, SIDE, 3))
                pixels[6:26, 6:26, number % 3] += 120
                pixels[8 + number // 3 : 11 + number // 3, 8:24] += 70
                picture = Image.fromarray(pixels.astype(np.uint8))
                picture.save(folder / part / str(number) / f"{copy}.png")


@pytest.fixture(scope="module")
def signs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signs")
    write_package(folder)
    install(folder)
    draw_signs(folder / "pictures")
    done(folder, "prepare", "signs")
    return folder


def environment(folder: Path) -> dict[str, str]:
    paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": paths, "SIGNS": str(folder / "pictures")}


def done(folder: Path, module: str, *arguments: str) -> str:
    code, printed = output(module, *arguments, cwd=folder, **environment(folder))
    assert code == 0, printed
    assert "Traceback" not in printed
    return printed


def weights(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def run(signs: Path) -> Path:
    """A run that was interrupted and resumed, beside one that was not."""
    done(signs, "train", *TRAIN, "hydra.run.dir=runs/straight", "logger=csv")
    here = signs / "runs/interrupted"
    arguments = (*TRAIN, f"hydra.run.dir={here}", f"record={RECORD}")
    process = command("train", *arguments, cwd=signs, **environment(signs))
    wait_for((here / "checkpoints/last.ckpt").exists, process)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 143, printed
    assert "resuming from" in done(signs, "train", *arguments)
    return here


pytestmark = pytest.mark.slow


def test_a_run_on_other_data_by_another_routing_resumes_to_the_same_weights(
    signs: Path, run: Path
) -> None:
    assert weights(run) == weights(signs / "runs/straight")


def test_the_record_says_what_the_data_are_and_that_no_kernel_routed(
    signs: Path, run: Path
) -> None:
    record = json.loads((signs / RECORD).read_text())
    info = record["dataset"]
    assert (info["name"], info["channels"], info["height"]) == ("Road signs", 3, SIDE)
    assert info["class_names"] == [f"sign {number}" for number in range(CLASSES)]
    assert not info["stand_in"]
    assert record["model"]["routing"] == "sharp"
    assert record["tests"]["test"]["total"] == 2 * CLASSES


@pytest.fixture
def imported(signs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the package for this process as well, and work in its folder."""
    monkeypatch.syspath_prepend(signs)
    monkeypatch.chdir(signs)
    registry.installed.cache_clear()
    yield
    registry.installed.cache_clear()


@pytest.mark.usefixtures("imported")
def test_the_trace_is_that_of_the_runs_own_routing(signs: Path, run: Path) -> None:
    network: Any = capsnet.load(run)
    images = torch.from_numpy(read_images(Path("data/signs")).test_images).float() / 255
    with torch.no_grad():
        u, layer = network.primary_capsules(images), network.class_capsules
        own = network.routing.trace(u, layer.weight, 11, layer.bias)
        other = routing_trace(u, layer.weight, 11, layer.bias)
        assert torch.allclose(network(images), own[2].v, atol=1e-6)
        assert not torch.allclose(network(images), other[2].v, atol=1e-4)
    changes = [(b.logits - a.logits).abs().mean().item() for a, b in pairwise(own)]
    kept = np.load((signs / RECORD).with_suffix(".npz"))["routing_changes"]
    assert kept == pytest.approx(changes, rel=1e-3)


@pytest.mark.usefixtures("imported")
def test_trained_weights_are_evaluated_to_the_records_errors(signs: Path, run: Path) -> None:
    errors = json.loads((signs / RECORD).read_text())["tests"]["test"]["errors"]
    test = evaluate(run, [])["test"]
    assert (test.errors, test.total, test.source) == (errors, 2 * CLASSES, "signs")


@pytest.mark.usefixtures("imported")
def test_the_report_shows_it_without_a_verdict(signs: Path, run: Path) -> None:
    folder = Path("results/mine")
    table(folder)
    lines = Path("results/mine.md").read_text().splitlines()
    line = next(line for line in lines if line.startswith("| signs_capsnet"))
    assert "reproduced" not in line
    figures(folder)
    drawn = {path.name for path in Path("results/mine-figures").glob("*.png")}
    assert {"figure_3.png", "figure_4.png"} <= drawn, drawn
    done(signs, "report", "page", "--profile", "mine")
    assert "Road signs" in Path("results/mine.html").read_text()


@pytest.mark.usefixtures("imported")
def test_its_contact_sheets_are_in_colour(signs: Path) -> None:
    assert list(contact_sheets.draw(Path("data"), "signs", Path("results/mine-data")))
    with Image.open(signs / "results/mine-data/shifted.png") as drawn:
        pixels = np.asarray(drawn.convert("RGB")).astype(int)
    assert (np.ptp(pixels, axis=2) > 80).mean() > 0.1


def test_w_and_b_gets_class_names_and_coloured_reconstructions(signs: Path, run: Path) -> None:
    tracked = read_runs(run)[-1]
    assert tracked.summary["test/total"] == 2 * CLASSES
    pictures = sorted(run.glob("wandb/**/media/images/reconstructions*.png"))
    with Image.open(pictures[0]) as picture:
        assert picture.mode == "RGB"
    tables = [path.read_text() for path in run.glob("wandb/**/media/table/**/*.json")]
    assert any('"sign 42"' in table for table in tables)


def test_a_metric_is_in_the_summary_and_the_dashboards(signs: Path, run: Path) -> None:
    lengths = np.load((signs / RECORD).with_suffix(".npz"))["lengths"]
    summary = read_runs(run)[-1].summary
    assert summary["capsules/confident"] == pytest.approx((lengths.max(1) > 0.9).mean())
    done(signs, "tracking.dashboards")
    assert "capsules/confident" in (signs / "results/dashboards.json").read_text()


def test_a_baseline_learns_the_same_data(signs: Path) -> None:
    values = [one for one in TRAIN if not one.startswith(("experiment", "model.routing"))]
    name = "experiment=signs_baseline"
    done(signs, "train", *values, name, "hydra.run.dir=runs/baseline", "logger=csv")
    record = json.loads((signs / "runs/baseline/record.json").read_text())
    assert record["tests"]["test"]["total"] == 2 * CLASSES


def test_the_explorer_opens_it(signs: Path, run: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with serving(signs, port, str(run), **environment(signs)), urlopen(address, timeout=60) as page:
        shown = page.read().decode()
    assert "sign 42" in shown
    assert "Road signs" in shown


def test_unknown_names_are_refused_with_those_there_are(signs: Path) -> None:
    for wrong, message in (
        ("model.routing=shrap", "model.routing = shrap is not possible: it must be one of dynamic"),
        ("data.name=moved", "data.name = moved is not possible: it must be one of shifted"),
        ("trainer.kernels=fused", "trainer.kernels=fused computes dynamic and leaky routing alone"),
    ):
        code, printed = output("train", *TRAIN, wrong, cwd=signs, **environment(signs))
        assert (code, message in printed) == (1, True), printed


def test_code_of_another_package_decides_a_runs_fingerprint(signs: Path, run: Path) -> None:
    before = json.loads((run / "identity.json").read_text())["code"]
    module = signs / "sharp.py"
    text = module.read_text()
    try:
        module.write_text(text.replace("couplings(2 * b", "couplings(3 * b"))
        printed = done(signs, "train", *TRAIN, f"hydra.run.dir={run}", "schedule.steps=20")
    finally:
        module.write_text(text)
    assert "code changed since the last run" in printed
    assert json.loads((run / "identity.json").read_text())["code"] != before
