"""Runs whose networks see standardised crops: what is kept, shown and explored of them."""

import asyncio
import base64
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from nicegui import ui
from nicegui.testing import user_simulation
from numpy.typing import NDArray
from PIL import Image

import capsnet
from capsnet import registry
from capsnet.benchmark.experiments import noise
from capsnet.compose import composed
from capsnet.data.examples import UnshiftedImages
from capsnet.data.info import DatasetInfo
from capsnet.data.loading import dataset_info, load_dataset
from capsnet.data.specification import DataSpec
from capsnet.data.storage import write_images
from capsnet.errors import UserError
from capsnet.evaluate import evaluate
from capsnet.explorer import inference
from capsnet.explorer.checkpoint import load_run
from capsnet.explorer.page import show
from capsnet.explorer.panels.pose import captioned_pictures
from capsnet.explorer.session import Query, Recompute, compute, view_sweep
from capsnet.records.runs import Run, read_runs
from capsnet.report.figures import contact_sheets
from capsnet.report.figures.reconstruction_figures import PREDICTED, _single, found, visible
from capsnet.report.web import images as web
from capsnet.tracking.wandb_summary import strip
from capsnet.train import train
from helpers.running import tiny

NAMES = ("airplane", "bird", "cat", "deer")


class Case(NamedTuple):
    data: str
    shape: tuple[int, int, int]
    margin: int

    def picture(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The middle of an image, as a person sees it: in colour, or the left eye's at the left."""
        middle = image[:, self.margin : -self.margin, self.margin : -self.margin]
        return np.dstack(list(middle)) if len(middle) == 3 else np.hstack(list(middle))


CASES = {
    "photos": Case("cifar10", (3, 32, 32), 4),
    "stereo": Case("smallnorb", (2, 48, 48), 8),
}


def photographs(case: Case, count: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(1)
    return random.integers(150, 256, (count, *case.shape), np.uint8)  # bright: no ink on paper


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, case in CASES.items():
        labels = np.arange(60) % len(NAMES)
        about = {"name": name, "source": name, "class_names": NAMES}
        part = photographs(case, 60), labels
        write_images(folder / name, about, part, part)
    return folder


@pytest.fixture(scope="module", params=CASES)
def trained(
    request: pytest.FixtureRequest, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Case, Path]:
    """A run of three steps on stand-ins that `data.source` names."""
    case = CASES[request.param]
    folder = tmp_path_factory.mktemp("runs") / "one"
    short = ("schedule.steps=3", "schedule.batch=8", "logger=csv", "data.holdout=0.1")
    source = f"data.source={request.param}"
    assert train(tiny(root, f"data={case.data}", source, *short), folder / "seed0") is not None
    return case, folder / "seed0"


def result(folder: Path) -> Run:
    [run] = read_runs(folder, "record.json")
    return run


def decoded(uri: str) -> NDArray[np.uint8]:
    """The pixels of a picture in a data URI."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


@pytest.mark.slow
def test_the_record_names_classes_and_the_size_of_the_crop(trained: tuple[Case, Path]) -> None:
    case, folder = trained
    info = result(folder).record.dataset
    sides = (case.shape[1] - 2 * case.margin, case.shape[2] - 2 * case.margin)
    assert (info.image, info.class_names, info.ink) == ((case.shape[0], *sides), NAMES, False)
    assert evaluate(folder, [])["test"].errors == result(folder).record.tests["test"].errors


@pytest.mark.slow
def test_figures_page_and_tracking_show_pictures_before_standardisation(
    trained: tuple[Case, Path],
) -> None:
    case, folder = trained
    run = result(folder)
    right, wrong = found(run.arrays["targets"])
    shown, drawn = run.arrays["images"], run.arrays["reconstructions"]
    [*originals] = map(case.picture, photographs(case, 60))
    chosen = [next(i for i, one in enumerate(originals) if (one == image).all()) for image in shown]
    assert len({*chosen}) == len(right) + len(wrong)
    place = (right + wrong)[0]
    column = _single(run, place, PREDICTED)
    colours = originals[chosen[place]].reshape(*shown.shape[1:3], -1) * np.ones(3, np.uint8)
    np.testing.assert_array_equal(column.pictures[0], colours)
    in_w_and_b = strip(shown[place], run.arrays["parts"][place], drawn[place, 0])
    width = shown.shape[2]
    np.testing.assert_array_equal(in_w_and_b[:, :width], originals[chosen[place]])
    np.testing.assert_array_equal(in_w_and_b[:, width : 2 * width], originals[chosen[place]])
    failure = web.failures(run)[0]
    expected = originals[chosen[wrong[0]]].reshape(*shown.shape[1:3], -1) * np.ones(3, np.uint8)
    np.testing.assert_array_equal(decoded(failure.pictures[0].source), expected)
    assert failure.label in NAMES


@pytest.mark.slow
def test_the_explorer_gives_the_network_what_it_was_trained_on(trained: tuple[Case, Path]) -> None:
    case, folder = trained
    loaded, network = load_run(folder), capsnet.load(folder)
    example = loaded.tests["test"].split.examples(torch.tensor([3]), None)
    image = photographs(case, 60)[3, :, case.margin : -case.margin, case.margin : -case.margin]
    query = Query(inference.from_uint8(image), [3])
    found = compute(loaded.network, query, Recompute.PICTURE, None)
    with torch.no_grad():
        assert torch.allclose(found.activations.capsules, network(example.images)[0], atol=1e-5)
        raw = network(example.pictures)[0]
        assert not torch.allclose(found.activations.capsules, raw, atol=1e-3)
    _, (caption, seen) = captioned_pictures(found, loaded)
    assert caption == "input"
    np.testing.assert_array_equal(seen, case.picture(photographs(case, 60)[3]))
    swept = view_sweep(loaded.network, found, None).sweep
    assert torch.allclose(swept.capsules[10], found.activations.capsules, atol=1e-5)
    assert (loaded.max_shift, loaded.ink) == (case.margin, False)


@pytest.mark.slow
def test_the_explorers_page_shows_the_picture_before_standardisation(
    trained: tuple[Case, Path],
) -> None:
    case, folder = trained
    loaded = load_run(folder)

    async def page() -> None:
        await show(loaded)

    async def visit() -> str:
        async with user_simulation(page) as user:
            await user.open("/")
            await user.should_see("label airplane", retries=40)
            await user.should_see("standardised.")
            elements = user.find(kind=ui.element).elements
            alt = "the picture as the network gets it"
            return next(one.props["src"] for one in elements if one.props.get("alt") == alt)

    expected = case.picture(photographs(case, 1)[0])
    np.testing.assert_array_equal(decoded(asyncio.run(visit())), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_contact_sheets_are_of_colour_or_both_eyes_and_not_inverted(
    name: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    monkeypatch.setattr(registry, "names", lambda group: ["affnist", f"{case.data}_crops"])
    drawn = {path.stem: path for path in contact_sheets.draw(root, name, tmp_path)}
    pixels = imread(drawn[f"{case.data}-crops"])[..., :3]
    assert pixels.mean() > 0.7  # bright photographs, on white
    assert (np.ptp(pixels, axis=2) > 0.1).any() == (name == "photos")
    assert (pixels.shape[1] > 1.5 * pixels.shape[0]) == (name == "stereo")


def test_only_handwriting_is_inverted() -> None:
    grey = np.array([[0, 200]], np.uint8)
    assert visible(grey, ink=True)[..., 0].tolist() == [[255, 55]]
    assert visible(grey, ink=False)[..., 0].tolist() == [[0, 200]]
    assert DatasetInfo("MNIST", 1, 28, 28).ink
    assert not DatasetInfo("SVHN", 3, 32, 32).ink
    assert not DatasetInfo("Faces", 1, 28, 28, ("face", "none")).ink


@pytest.mark.parametrize("source", CASES)
def test_the_benchmark_crops_its_noise(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[source]
    channels, height, width = case.shape
    spec = DataSpec(
        name=source,
        title=source,
        channels=channels,
        height=height,
        width=width,
        class_names=NAMES,
        prepare=print,
    )
    monkeypatch.setattr(registry, "load", _loading(source, spec))
    run = tiny(Path("nowhere"), f"data={case.data}", f"data.source={source}")
    split = noise(run)
    assert not isinstance(split, UnshiftedImages)
    images = split.examples(torch.arange(3), 0).images
    assert images.shape[1:] == dataset_info(run.data).image
    assert torch.allclose(images.mean((1, 2, 3)), torch.zeros(3), atol=1e-5)


def _loading(source: str, spec: DataSpec) -> object:
    load = registry.load

    def loading(group: registry.Group, name: str) -> object:
        return spec if name == source else load(group, name)

    return loading


@pytest.mark.parametrize(("data", "side"), [("cifar10", 24), ("smallnorb", 32)])
def test_images_smaller_than_the_crop_are_refused(
    data: str, side: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = np.zeros((20, 3, side, side - 1), np.uint8), np.arange(20) % 10
    write_images(tmp_path / "small", {"name": "small", "source": "small"}, part, part)
    run = tiny(tmp_path, f"data={data}", "data.source=small")
    with pytest.raises(UserError) as caught:
        load_dataset(run)
    assert str(caught.value) == (
        f"{data}_crops cuts {side}×{side} pixels out of larger images, and those of small are "
        f"{side}×{side - 1}: choose another view, data.name"
    )
    view = f"{data}_crops"
    assert not [*contact_sheets.draw(tmp_path, "small", tmp_path / "sheets", [view])]
    assert capsys.readouterr().out == f"Left out: {view}. {caught.value}\n"


@pytest.mark.parametrize(
    ("data", "view", "source"),
    [
        ("cifar10", "cifar10_crops", "photodigits"),
        ("svhn", "shifted", "photodigits"),
        ("smallnorb", "smallnorb_crops", "stereodigits"),
        ("shifted", "shifted", "digits"),
    ],
)
def test_the_demo_puts_a_stand_in_of_the_same_shape_in_their_place(
    data: str, view: str, source: str
) -> None:
    chosen = ("experiment=mnist_capsnet_r3", f"data={data}")
    paper, demo = (composed(*chosen, f"profile={profile}").data for profile in ("paper", "demo"))
    assert (paper.name, paper.source) == (view, "mnist" if data == "shifted" else data)
    assert (demo.name, demo.source) == (view, source)
    assert (data == "svhn") == (paper.shift == demo.shift == 0)
