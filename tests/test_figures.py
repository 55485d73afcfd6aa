"""Figures, read back: every picture, every point, every caveat is where it belongs."""

import base64
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread
from numpy.typing import NDArray
from PIL import Image

from capsnet.data.info import DatasetInfo
from capsnet.errors import UserError
from capsnet.records.record import Record, outcome, write_arrays, write_record
from capsnet.records.runs import Run
from capsnet.report.figures import draw, reconstruction_figures
from capsnet.report.figures.chart import DOTS, Chart, save_chart
from capsnet.report.figures.class_errors import figure_class_errors
from capsnet.report.figures.routing_changes import figure_a1
from capsnet.report.figures.style import BLACK, BLUE, COLOURS, GREEN, VERMILION
from capsnet.report.figures.sweep import figure_sweep
from capsnet.report.figures.training_curves import all_curves, figure_a2, figure_recipes, smoothed
from capsnet.report.runs import caption, caveats
from capsnet.report.tables.sweep import ITERATIONS, Sweep, sweep_of
from helpers.drawn import Axes, panels, words
from helpers.records import record, run_of, runs_of
from helpers.running import output, output_here

RNG = np.random.default_rng(0)
SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


def routed(iterations: int, decoder: bool = True, **changes: Any) -> Record:
    model = {"name": "capsnet", "width": 1.0, "routing_iterations": iterations, "decoder": decoder}
    return record(experiment=f"mnist_capsnet_r{iterations}_recon", model=model, **changes)


def noise(*shape: int) -> NDArray[np.uint8]:
    """No two pictures of it are the same."""
    return RNG.integers(0, 256, shape, np.uint8)


def shown(targets: list[list[list[int]]]) -> dict[str, NDArray[Any]]:
    """Arrays for targets [n, 3, digits]."""
    count, digits = len(targets), len(targets[0][0])
    return {
        "images": noise(count, 12, 12),
        "parts": noise(count, digits, 12, 12),
        "targets": np.array(targets),
        "reconstructions": noise(count, 3, digits, 12, 12),
    }


def curve(*values: float) -> NDArray[np.float64]:
    return np.column_stack([10 * np.arange(1, len(values) + 1), values]).astype(float)


def trained(iterations: int = 3) -> dict[str, NDArray[Any]]:
    """Return the arrays that every CapsNet leaves."""
    falling = np.exp(-np.arange(100) / 30)
    logged = {f"curve.routing/change_{k}": curve(*falling) for k in range(1, iterations + 1)}
    losses = {"curve.train/loss": curve(*falling), "curve.train/margin": curve(*falling / 2)}
    return logged | losses | {"routing_changes": 10.0 ** -np.arange(1, 11)}


def leave(folder: Path, one: Record, arrays: dict[str, NDArray[Any]]) -> None:
    path = folder / one.experiment / f"seed{one.seed}.json"
    write_record(one, path)
    write_arrays(path, arrays)


class Placed(NamedTuple):
    down: float
    right: float
    pixels: NDArray[np.uint8]


def placed(path: Path) -> list[Placed]:
    """The pictures of an SVG, row by row, and where they stand, in points."""
    found: list[Placed] = []
    for image in ElementTree.parse(path).iter(f"{SVG}image"):
        pixels = imread(io.BytesIO(base64.b64decode(image.attrib[LINK].split(",")[1])))
        right, down = map(float, image.attrib["transform"].rstrip(")").split()[-2:])
        colours = (pixels[..., :3] * 255).round().astype(np.uint8)
        found.append(Placed(round(down), round(right), colours))
    return sorted(found, key=lambda one: one[:2])


def saved(folder: Path, chart: Chart | None) -> list[Axes]:
    """Write figure.png and figure.svg into `folder` and read the panels back."""
    assert chart is not None
    save_chart(folder / "figure", chart)
    return panels(folder / "figure.svg")


def triples(path: Path) -> list[str]:
    return re.findall(r"\(\d, \d, \d\)", words(path))


def ink(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture dark on light, in three channels."""
    return np.repeat(255 - picture[..., None], 3, axis=-1)


RIGHT_AND_WRONG = [[[4], [4], [9]], [[7], [7], [1]], [[5], [3], [8]]]


def test_figure_3_shows_failures_from_both_capsules(tmp_path: Path) -> None:
    arrays = shown(RIGHT_AND_WRONG)
    reconstruction_figures.figure_3(tmp_path / "figure", run_of(record(), arrays))
    assert triples(tmp_path / "figure.svg") == ["(4, 4, 4)", "(7, 7, 7)", "(5, 3, 5)", "(5, 3, 3)"]
    found = placed(tmp_path / "figure.svg")
    above, below = found[:4], found[4:]
    assert {one.down for one in above} != {one.down for one in below}
    assert [one.right for one in above] == [one.right for one in below]
    for one, example in zip(above, (0, 1, 2, 2), strict=True):
        np.testing.assert_array_equal(one.pixels, ink(arrays["images"][example]))
    drawn = arrays["reconstructions"][[0, 1, 2, 2], [1, 1, 0, 1], 0]
    for one, expected in zip(below, drawn, strict=True):
        np.testing.assert_array_equal(one.pixels, ink(expected))


def test_the_png_shows_the_same_pictures_where_the_svg_does(tmp_path: Path) -> None:
    arrays = shown(RIGHT_AND_WRONG)
    for name in ("images", "reconstructions"):
        arrays[name][:] = 0
    reconstruction_figures.figure_3(tmp_path / "before", run_of(record(), arrays))
    arrays["reconstructions"][2, 0] = 255
    reconstruction_figures.figure_3(tmp_path / "after", run_of(record(), arrays))
    before, after = (imread(tmp_path / f"{name}.png")[..., 0] for name in ("before", "after"))
    rows, columns = np.nonzero(before - after > 0.5)
    corner = placed(tmp_path / "after.svg")[6]  # below (5, 3, 5)
    assert (corner.pixels == 0).all()
    dots = 200 / 72
    top, left = rows.min(), columns.min()
    assert (top, left) == pytest.approx((corner.down * dots, corner.right * dots), abs=4)
    assert len(rows) == (rows.max() - top + 1) * (columns.max() - left + 1)


def test_no_wrong_answers_are_said_and_do_no_harm(tmp_path: Path) -> None:
    reconstruction_figures.figure_3(
        tmp_path / "figure", run_of(record(), shown(RIGHT_AND_WRONG[:2]))
    )
    assert triples(tmp_path / "figure.svg") == ["(4, 4, 4)", "(7, 7, 7)"]
    assert "No answer on the test set is wrong." in words(tmp_path / "figure.svg")
    reconstruction_figures.figure_3(
        tmp_path / "figure", run_of(record(), shown(RIGHT_AND_WRONG[2:]))
    )
    assert triples(tmp_path / "figure.svg") == ["(5, 3, 5)", "(5, 3, 3)"]
    assert "No answer on the test set is right." in words(tmp_path / "figure.svg")


@pytest.mark.slow
def test_figure_4_has_a_row_a_dimension_and_a_column_an_offset(tmp_path: Path) -> None:
    arrays = {"perturbed": noise(10, 16, 11, 6, 6)}
    reconstruction_figures.figure_4(tmp_path / "figure", run_of(record(), arrays))
    blocks = placed(tmp_path / "figure.svg")
    assert len({block.down for block in blocks}) == 2
    for digit, block in enumerate(blocks):
        assert block.pixels.shape == (16 * 6, 11 * 6, 3)
        for dim, offset in ((0, 0), (0, 10), (15, 0), (7, 5)):
            here = block.pixels[dim * 6 : dim * 6 + 6, offset * 6 : offset * 6 + 6]
            np.testing.assert_array_equal(here, ink(arrays["perturbed"][digit, dim, offset]))
    assert words(tmp_path / "figure.svg").count("+0.25") == 10
    assert imread(tmp_path / "figure.png").shape[1] == 2400


PAIRS = [[[2, 7], [7, 2], [2, 0]], [[6, 1], [6, 1], [6, 9]], [[8, 3], [8, 5], [8, 4]]]


@pytest.mark.slow
def test_figure_5_overlays_red_and_green(tmp_path: Path) -> None:
    arrays = shown(PAIRS)
    one = record(experiment="multimnist_capsnet_r3_recon")
    reconstruction_figures.figure_5(tmp_path / "figure", run_of(one, arrays))
    told = words(tmp_path / "figure.svg")
    assert re.findall(r"R:\(.*?\)", told) == [
        *("R:(2, 7)", "R:(6, 1)"),  # the first predicted as (7, 2): right in any order
        *("R:(2, 0*)", "R:(6, 9*)"),
        *("R:(8, 5)", "R:(8, 3)"),
    ]
    assert re.findall(r"L:\((\d, \d)\)", told) == ["2, 7", "6, 1", "2, 7", "6, 1", "8, 3", "8, 3"]
    found = placed(tmp_path / "figure.svg")
    shown_here = [(0, 0), (1, 0), (0, 2), (1, 2), (2, 1), (2, 0)]
    columns = zip(shown_here, found[:6], found[6:12], found[12:], strict=True)
    for (example, which), above, middle, below in columns:
        red, green = arrays["reconstructions"][example, which]
        assert (above.pixels == arrays["images"][example][..., None]).all()
        np.testing.assert_array_equal(middle.pixels, np.dstack([red, green, 0 * red]))
        assert (below.pixels[1:-1, 1:11] == red[1:-1, 1:-1, None]).all()
        assert (below.pixels[1:-1, 13:-1] == green[1:-1, 1:-1, None]).all()
        assert below.pixels[0, [0, -1]].tolist() == [[255, 0, 0], [0, 255, 0]]


SIGNS = DatasetInfo("Signs", 3, 12, 12, tuple(f"road sign {i}" for i in range(43)))


def signs() -> Run:
    """Give a run on images in colour of 43 classes, of which figure 4 shows ten."""
    arrays = {
        "images": noise(3, 12, 12, 3),
        "targets": np.array([[[42], [42], [9]], [[7], [7], [1]], [[5], [30], [8]]]),
        "reconstructions": noise(3, 3, 1, 12, 12, 3),
        "perturbed": noise(10, 4, 11, 6, 6, 3),
    }
    return run_of(record(experiment="signs_capsnet", dataset=SIGNS), arrays)


def test_figure_3_shows_colours_as_they_are_and_names_classes(tmp_path: Path) -> None:
    run = signs()
    reconstruction_figures.figure_3(tmp_path / "figure", run)
    names = re.findall(r"\(road.*?\)", words(tmp_path / "figure.svg"))
    assert names[:2] == ["(road si…, road si…, road si…)"] * 2  # eight characters each
    pixels = [one.pixels for one in placed(tmp_path / "figure.svg")]
    drawn = run.arrays["reconstructions"][[0, 1, 2, 2], [1, 1, 0, 1], 0]
    for one, expected in zip(pixels, [*run.arrays["images"][[0, 1, 2, 2]], *drawn], strict=True):
        np.testing.assert_array_equal(one, expected)


def test_figure_4_has_a_block_for_each_class_in_its_array(tmp_path: Path) -> None:
    run = signs()
    short = replace(run.record.dataset, class_names=tuple(f"sign {i}" for i in range(43)))
    named = run_of(replace(run.record, dataset=short), run.arrays)
    reconstruction_figures.figure_4(tmp_path / "figure", named)
    texts = words(tmp_path / "figure.svg")
    assert [f"sign {i}" in texts for i in range(12)] == [True] * 10 + [False] * 2
    assert "the 4 dimensions" in texts
    blocks = placed(tmp_path / "figure.svg")
    assert len(blocks) == 10
    for place, block in enumerate(blocks):
        assert block.pixels.shape == (4 * 6, 11 * 6, 3)
        np.testing.assert_array_equal(
            block.pixels[6:12, 60:], run.arrays["perturbed"][place, 1, 10]
        )


def test_figure_5_adds_pictures_in_colour_by_their_brightness(tmp_path: Path) -> None:
    run = signs()
    arrays = run.arrays | {
        "targets": np.array([[[2, 42], [2, 42], [2, 0]]]),
        "images": noise(1, 12, 12, 3),
        "reconstructions": noise(1, 3, 2, 12, 12, 3),
    }
    reconstruction_figures.figure_5(tmp_path / "figure", run_of(run.record, arrays))
    above, _, middle, _, below, _ = (one.pixels for one in placed(tmp_path / "figure.svg"))
    np.testing.assert_array_equal(above, arrays["images"][0])
    red, green = arrays["reconstructions"][0, 0]
    np.testing.assert_allclose(middle[..., 0], red.mean(axis=-1), atol=0.5)
    np.testing.assert_allclose(middle[..., 1], green.mean(axis=-1), atol=0.5)
    assert (middle[..., 2] == 0).all()
    np.testing.assert_array_equal(below[1:-1, 13:-1], green[1:-1, 1:-1])


def test_each_data_set_has_its_own_pictures_and_curves(tmp_path: Path) -> None:
    logged = {"curve.train/margin": curve(3, 2)}
    runs = [run_of(record(seed=seed), shown(RIGHT_AND_WRONG) | logged) for seed in (1, 0)]
    other = run_of(signs().record, signs().arrays | logged)
    chosen = draw.reconstruction_runs([other, *runs])
    assert [*chosen] == ["figure_3", "figure_3-Signs", "figure_4"]
    assert chosen["figure_3"] is runs[1]  # the lowest seed, on the data set of most runs
    axes = saved(tmp_path, all_curves([other, *runs]))
    assert [one.title.split(" (")[0] for one in axes] == ["MNIST", "Signs"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"tests": {"test": outcome("uci-digits", 1, 500)}}, ["demo"]),
        ({"model": {"width": 0.25}}, ["demo"]),
        ({"steps_done": 400}, ["short schedule"]),
        ({"steps_done": 400, "stopped": 400}, []),
        ({"steps_done": 400, "model": {"width": 0.5}}, ["demo", "short schedule"]),
    ],
)
def test_caveats(changes: dict[str, Any], expected: list[str]) -> None:
    assert caveats([run_of(record()), run_of(record(**changes))]) == expected


def test_caveats_and_caption_are_in_pictures_and_charts(tmp_path: Path) -> None:
    small = record(tests={"test": outcome("uci-digits", 1, 500)}, steps_done=400, seed=7)
    for name, one in (("small", small), ("full", record())):
        run = run_of(one, shown(RIGHT_AND_WRONG) | trained())
        reconstruction_figures.figure_3(tmp_path / f"{name}-pictures", run)
        chart = figure_a1([run])
        assert chart is not None
        save_chart(tmp_path / f"{name}-chart", chart)
    for kind in ("pictures", "chart"):
        texts = words(tmp_path / f"small-{kind}.svg")
        assert "demo · short schedule" in texts
        for fact in ("mnist_capsnet_r3_recon", "uci-digits", "released", "seed 7"):
            assert fact in texts
        assert "400 of 300,000 steps" in texts
        assert not re.search("demo|short", words(tmp_path / f"full-{kind}.svg"))


def test_a_charts_caveats_are_at_its_top_right_in_both_files(tmp_path: Path) -> None:
    run = run_of(record(steps_done=400), trained())
    saved(tmp_path, figure_a1([run]))
    root = ElementTree.parse(tmp_path / "figure.svg").getroot()
    [title, caveat, *caption] = root.findall(f"{SVG}text")
    assert (title.text, caveat.text) == (
        "Figure A.1: how much routing still changes",
        "short schedule",
    )
    assert caveat.get("text-anchor") == "end"
    assert float(caveat.attrib["x"]) == float(root.attrib["width"]) - float(title.attrib["x"])
    assert caveat.attrib["y"] == title.attrib["y"]
    assert all(float(line.attrib["y"]) > float(root.attrib["height"]) - 60 for line in caption)
    assert root.findtext(f"{SVG}title") == title.text
    described = "short schedule · mnist_capsnet_r3_recon · trained on mnist"
    assert (root.findtext(f"{SVG}desc") or "").startswith(described)
    with Image.open(tmp_path / "figure.png").convert("RGB") as image:
        red = np.argwhere((np.array(image) == (0xD5, 0x5E, 0x00)).all(axis=-1))
        top = red[red[:, 0] < 24 * DOTS]
        assert image.width - 14 * DOTS < top[:, 1].max() < image.width - 8 * DOTS


def test_a_charts_png_has_its_points_where_the_svg_has_them(tmp_path: Path) -> None:
    saved(tmp_path, figure_sweep(sweep_of([swept("0.1", 0, 40), swept("0.2", 0, 80)])))
    pixels = imread(tmp_path / "figure.png")
    root = ElementTree.parse(tmp_path / "figure.svg").getroot()
    found = list(dots(root))
    assert len(found) == 4  # of two runs the error and the loss
    for x, y in found:
        red, green, blue = (255 * pixels[int(DOTS * y), int(DOTS * x), :3]).round().astype(int)
        assert f"#{red:02X}{green:02X}{blue:02X}" == BLUE


def dots(one: ElementTree.Element, x: float = 0, y: float = 0) -> Iterator[tuple[float, float]]:
    """Locate the circles of an SVG on its page."""
    x, y = x + float(one.get("x", 0)), y + float(one.get("y", 0))
    for right, down in re.findall(r"translate\((.+),(.+)\)", one.get("transform", "")):
        x, y = x + float(right), y + float(down)
    if one.get("aria-roledescription") == "circle":
        yield x, y
    for child in one:
        yield from dots(child, x, y)


def test_captions_tell_all_that_differs() -> None:
    runs = [run_of(record(seed=2)), run_of(record(recipe="text", steps_done=5))]
    told = "recipe released, text · 5 of 300,000, 300,000 of 300,000 steps · seeds 0, 2"
    assert caption(runs).endswith(told)


def test_smoothing_is_a_running_mean() -> None:
    values = np.arange(80.0) ** 2
    steps, means = smoothed(curve(*values)).T  # over 80 / 20 = 4 points
    where = int(np.flatnonzero(steps == 500)[0])  # the point at place 49 of the curve
    assert means[where] == pytest.approx(values[47:51].mean())
    assert smoothed(curve(1, 1, 1))[:, 1].tolist() == [1, 1, 1]


def test_figure_a1_is_straight_where_changes_fall_tenfold(tmp_path: Path) -> None:
    run = run_of(record(), trained())
    left, right = saved(tmp_path, figure_a1([run]))
    texts = words(tmp_path / "figure.svg")
    assert "iteration 3" in texts
    assert "iteration 4" not in texts
    places, changes = right.points(VERMILION).T
    assert places == pytest.approx(range(1, 11), abs=1e-3)
    assert np.log10(changes) == pytest.approx(-places, abs=1e-3)
    assert right.y.log
    logged = smoothed(run.curve("curve.routing/change_3".removeprefix("curve.")))
    for colour in (BLUE, VERMILION, GREEN):  # the same made-up values for each iteration
        [line] = left.lines(colour)
        np.testing.assert_allclose(line, logged, rtol=2e-3, atol=2e-3)


def test_figure_a1_tells_data_sets_apart_by_dashes(tmp_path: Path) -> None:
    runs = [run_of(record(seed=seed), trained()) for seed in (0, 1)]
    runs.append(run_of(record(experiment="multimnist_capsnet_r3_recon"), trained()))
    left, right = saved(tmp_path, figure_a1(runs))
    assert len(left.lines(BLUE)) == 2  # the seeds on the data set of most runs
    assert right.dashes(VERMILION) == {"1,0", "6,3"}
    for name in ("MNIST, 3 iterations, decoder", "MultiMNIST, 3 iterations, decoder"):
        assert name in words(tmp_path / "figure.svg")


def test_figure_a2_compares_one_and_three_iterations(tmp_path: Path) -> None:
    arrays = {r: trained(r) | {"curve.train/loss": curve(*[0.1 * r] * 30)} for r in (1, 2, 3)}
    runs = [run_of(routed(r), arrays[r]) for r in arrays]
    [panel] = saved(tmp_path, figure_a2(runs))
    assert panel.title == "MNIST"
    for colour, loss in ((BLUE, 0.1), (VERMILION, 0.3)):
        [line] = panel.lines(colour)
        assert line[:, 1] == pytest.approx(loss, rel=1e-3)
        assert (line[0, 0], line[-1, 0]) == pytest.approx((10, 300), abs=0.1)
    assert panel.lines(GREEN) == []
    assert figure_a2(runs[1:]) is None


def test_figure_a2_shows_networks_without_decoder_where_there_is_no_pair_with_one(
    tmp_path: Path,
) -> None:
    """CIFAR-10's of the released code, which the paper's figure is of, have none."""

    def run(iterations: int, decoder: bool, loss: float) -> Run:
        arrays = trained(iterations) | {"curve.train/loss": curve(*[loss] * 30)}
        return run_of(routed(iterations, decoder), arrays)

    def losses(shown: Sequence[Run]) -> list[float]:
        [panel] = saved(tmp_path, figure_a2(shown))
        return sorted(line[0, 1] for colour in COLOURS for line in panel.lines(colour))

    plain = [run(1, False, 0.2), run(3, False, 0.4)]
    assert losses([*plain, run(3, True, 0.8)]) == pytest.approx([0.2, 0.4], rel=1e-3)
    both = [*plain, run(1, True, 0.1), run(3, True, 0.5)]
    assert losses(both) == pytest.approx([0.1, 0.5], rel=1e-3)


def test_losses_keep_baselines_and_capsnets_apart(tmp_path: Path) -> None:
    model = {"name": "mnist_baseline", "width": 1.0}
    entropy = {"curve.train/cross_entropy": curve(3, 2, 1), "curve.train/loss": curve(3, 2, 1)}
    baseline = run_of(record(experiment="mnist_baseline", model=model), entropy)
    affnist = run_of(
        record(experiment="affnist_capsnet"),
        trained() | {"curve.validation/error": curve(0.5, 0.1)},
    )
    capsnet = run_of(record(), trained())
    margins, other, entropies, percents = saved(tmp_path, all_curves([baseline, capsnet, affnist]))
    assert margins.title == "MNIST (not comparable with cross-entropy)"
    assert other.title == "affNIST (not comparable with cross-entropy)"
    assert entropies.title == "MNIST (not comparable with margin loss)"
    assert percents.title == "affNIST"
    for panel in (margins, other):
        [line] = panel.lines(VERMILION)
        np.testing.assert_allclose(line, smoothed(capsnet.curve("train/margin")), rtol=2e-3)
        assert panel.lines(BLACK) == []
    [line] = entropies.lines(BLACK)
    np.testing.assert_allclose(line, curve(3, 2, 1), rtol=2e-3)
    assert entropies.dashes(BLACK) == margins.dashes(VERMILION) == {"1,0"}
    np.testing.assert_allclose(percents.points(VERMILION), [(10, 50), (20, 10)], rtol=2e-3)
    texts = words(tmp_path / "figure.svg")
    for text in ("baselines: cross-entropy", "CapsNets: margin loss", "validation error, %"):
        assert text in texts


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of which all figures can be drawn."""
    folder = tmp_path_factory.mktemp("project") / "results" / "small"
    pictured = {"perturbed": noise(10, 16, 11, 4, 4)} | shown(RIGHT_AND_WRONG)
    for seed in (3, 1):
        leave(folder, routed(3, seed=seed), trained() | pictured | shown(RIGHT_AND_WRONG))
    leave(folder, routed(1), trained(1) | pictured)
    pairs = record(experiment="multimnist_capsnet_r3_recon")
    leave(folder, pairs, trained() | shown(PAIRS))
    return folder


def test_errors_by_class_stand_where_their_classes_are(tmp_path: Path) -> None:
    confusion = np.diag(np.full(10, 90.0))
    confusion[4, 9], confusion[7, 1], confusion[0, 5] = 10, 2.5, 0
    pairs = np.zeros((2, 10, 10), np.uint32)
    pairs[:, 2, 6], pairs[:, 0, 1] = (3, 12), (0, 8)
    arrays = {"confusion.test": confusion, "by_pair.test": pairs}
    single, pair = saved(tmp_path, figure_class_errors(run_of(record(), arrays)))
    assert single.texts() == {(9, 4): "10.00", (1, 7): "2.70"}
    assert pair.texts() == {(6, 2): "25.00"}


def test_errors_by_class_are_drawn_for_the_run_that_has_them(tmp_path: Path) -> None:
    plain = run_of(record())
    counted = run_of(record(seed=1), {"confusion.test": np.eye(10)})
    assert "seed 1" in draw.charts([plain, counted])["class_errors"].caption
    assert "class_errors" not in draw.charts([plain])


NAMES = ("curves", "figure_3", "figure_4", "figure_5", "figure_a1", "figure_a2")


@pytest.mark.slow
def test_the_command_draws_every_figure_and_twice_the_same(profile: Path, tmp_path: Path) -> None:
    code, printed = output("report", "figures", "--profile", "small", cwd=profile.parents[1])
    assert code == 0, printed
    drawn = profile.with_name("small-figures")
    assert sorted(path.stem for path in drawn.glob("*.svg")) == [*NAMES]
    assert len(printed.splitlines()) == 2 * len(NAMES)
    again = list(draw.draw(profile, tmp_path))
    assert sorted(path.name for path in again) == sorted(path.name for path in drawn.iterdir())
    for path in again:
        assert path.read_bytes() == (drawn / path.name).read_bytes(), path.name
    assert "seed 1" in words(tmp_path / "figure_3.svg")  # the lowest of three iterations
    assert "MultiMNIST" not in words(tmp_path / "figure_a2.svg")  # it has no pair
    assert "seeds 0, 1, 3" in words(tmp_path / "figure_a2.svg")


@pytest.mark.slow
def test_figures_of_two_recipes_show_one_and_compare_both(tmp_path: Path) -> None:
    """A recipe is another model: its losses would not mean the same."""
    both = {"curve.validation/error": curve(0.04, 0.02)} | trained()
    for seed in (0, 1):
        leave(tmp_path / "some", record(seed=seed), both)
    leave(tmp_path / "some", record(seed=7, recipe="text"), both)
    drawn = {path.stem for path in draw.draw(tmp_path / "some", tmp_path)}
    assert drawn == {"curves", "figure_a1", "recipes"}
    for name in ("curves", "figure_a1"):
        assert "recipe released" in words(tmp_path / f"{name}.svg")
        assert "seeds 0, 1" in words(tmp_path / f"{name}.svg")
    [panel] = panels(tmp_path / "recipes.svg")
    for colour, lines in ((BLUE, 2), (VERMILION, 1)):
        assert len(panel.lines(colour)) == lines
        for line in panel.lines(colour):
            np.testing.assert_allclose(line, [(10, 4), (20, 2)], rtol=1e-3)
    for name in ("released", "text", "validation error, %", "seeds 0, 1, 7"):
        assert name in words(tmp_path / "recipes.svg")


@pytest.mark.slow
def test_curves_are_named_by_what_was_set_by_hand_for_some(tmp_path: Path) -> None:
    steps, rate = "schedule.steps=9", "schedule.learning_rate=0.1"
    leave(tmp_path / "some", record(seed=0, overrides=(steps,)), trained())
    leave(tmp_path / "some", record(seed=1, overrides=(steps,)), trained())
    leave(tmp_path / "some", record(seed=2, overrides=(rate, steps)), trained())
    list(draw.draw(tmp_path / "some", tmp_path))
    drawn = words(tmp_path / "curves.svg")
    assert "3 iterations, decoder" in drawn
    assert f"3 iterations, decoder, {rate}" in drawn
    assert drawn.count(steps) == 1  # in the caption
    assert "seeds 0, 1, 2" in drawn
    [panel] = panels(tmp_path / "curves.svg")
    assert [len(panel.lines(colour)) for colour in (VERMILION, BLUE)] == [2, 1]


def test_no_figure_compares_recipes_of_which_one_was_not_validated() -> None:
    validated = {"curve.validation/error": curve(0.04, 0.02)}
    runs = [run_of(record(), validated), run_of(record(recipe="text"), trained())]
    assert figure_recipes(runs) is None


def test_figures_without_arrays_are_left_out(tmp_path: Path) -> None:
    leave(tmp_path / "some", record(), {"routing_changes": np.ones(10)})
    drawn = draw.draw(tmp_path / "some", tmp_path / "drawn")
    assert [path.name for path in drawn] == ["figure_a1.png", "figure_a1.svg"]
    write_record(record(), tmp_path / "bare" / "experiment" / "seed0.json")
    with pytest.raises(UserError, match=r"no record in .*bare has its arrays"):
        list(draw.draw(tmp_path / "bare", tmp_path / "drawn"))


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("figures", "--profile", "none"), ("sweep", "results/none")])
def test_nothing_to_draw_gets_a_sentence(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code, printed = output_here("report.__main__", *arguments, cwd=tmp_path)
    assert (code, printed) == (1, "error: there are no results in results/none\n")


@pytest.mark.slow
def test_figures_without_altair_get_a_sentence_and_tables_need_none(tmp_path: Path) -> None:
    leave(tmp_path / "results/some", record(), trained())
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/altair.py").write_text("raise ImportError('No module named altair')")
    path = f"{tmp_path / 'bare'}:{os.environ.get('PYTHONPATH', '')}"
    for arguments in (("figures", "--profile", "some"), ("sweep", "results/some"), ("growth", "x")):
        code, printed = output("report", *arguments, cwd=tmp_path, PYTHONPATH=path)
        sentence = "error: No module named altair: `pip install -e '.[pipeline]'` installs it\n"
        assert (code, printed) == (1, sentence)
    code, printed = output("report", "table", "--profile", "some", cwd=tmp_path, PYTHONPATH=path)
    assert code == 0, printed


@pytest.mark.slow
def test_a_sweeps_numbers(tmp_path: Path) -> None:
    for iterations, seed, errors in ((1, 0, 40), (1, 1, 60), (3, 0, 30)):
        model = {"name": "capsnet", "routing_iterations": iterations, "decoder": False}
        tests = {"test": outcome("mnist", errors, 10_000)}
        path = tmp_path / f"model.routing_iterations={iterations},seed={seed}" / "record.json"
        write_record(record(model=model, seed=seed, tests=tests), path)
        values = [9.0] * 18 + [0.25 * iterations, 0.75 * iterations]  # the last tenth: two points
        write_arrays(path, {"curve.train/loss": curve(*values)})
    baseline = record(experiment="mnist_baseline", model={"name": "mnist_baseline", "width": 1.0})
    write_record(baseline, tmp_path / "baseline" / "record.json")
    code, printed = output_here("report.__main__", "sweep", str(tmp_path), cwd=tmp_path)
    assert code == 0, printed
    series = (
        "mnist_capsnet_r3_recon, released, 60,000 mnist, width 1, no decoder, "
        "paper: 300,000 steps, batch 128"
    )
    told = (tmp_path / "sweep.md").read_text().splitlines()
    assert [line for line in told if line.startswith(f"| {series}")] == [
        f"| {series} | 1 | 2 | 0.500 ± 0.141 | 0.5 |",
        f"| {series} | 3 | 1 | 0.300 | 1.5 |",
        f"| {series} | 1 | 0 | 40 / 10,000 | 0.400 | 0.294–0.544 | 0.5 | 300,000 of 300,000 |",
        f"| {series} | 1 | 1 | 60 / 10,000 | 0.600 | 0.466–0.771 | 0.5 | 300,000 of 300,000 |",
        f"| {series} | 3 | 0 | 30 / 10,000 | 0.300 | 0.210–0.428 | 1.5 | 300,000 of 300,000 |",
    ]
    assert "baseline" not in "".join(told)
    drawn = words(tmp_path / "figure_sweep.svg")
    assert "routing iterations" in drawn
    assert "seeds 0, 1" in drawn
    errors, losses = panels(tmp_path / "figure_sweep.svg")
    places, percents = errors.points(BLUE).T
    assert percents == pytest.approx((0.4, 0.6, 0.3), rel=1e-3)
    assert (places[:2].mean(), places[0] < places[1]) == (pytest.approx(1, abs=0.01), True)
    np.testing.assert_allclose(errors.lines(BLUE), [[(1, 0.5), (3, 0.3)]], atol=0.01)
    bars = [(0.294, 0.544), (0.466, 0.771), (0.210, 0.428)]
    np.testing.assert_allclose(errors.bars(BLUE), bars, atol=1e-3)
    np.testing.assert_allclose(losses.lines(BLUE), [[(1, 0.5), (3, 1.5)]], atol=0.01)


def test_what_differs_in_more_than_iterations_is_another_series() -> None:
    runs = [
        run_of(record()),
        run_of(record(recipe="text")),
        run_of(routed(3, seed=1)),
    ]
    runs += [run_of(record(batch=64)), run_of(record(training_examples=48_000))]
    by_hand = record(seed=2, overrides=("model.routing_iterations=5",))
    runs += [
        run_of(by_hand),
        run_of(replace(by_hand, overrides=("schedule.decay_steps=9",))),
    ]
    sweep = Sweep("model.routing_iterations", runs)
    assert sorted(len(group) for group in sweep.series().values()) == [1, 1, 1, 1, 3]
    assert {*sweep.labels()} == {
        "released, 60,000 mnist, batch 128",
        "text, 60,000 mnist, batch 128",
        "released, 60,000 mnist, batch 64",
        "released, 48,000 mnist, batch 128",
        "released, 60,000 mnist, batch 128, schedule.decay_steps=9",
    }


def swept(rate: str, seed: int, errors: int, **changes: Any) -> Run:
    """A run of a sweep over the learning rate, at twenty steps, an override too."""
    changed = (f"schedule.learning_rate={rate}", "schedule.steps=20")
    tests = {"test": outcome("mnist", errors, 10_000)}
    one = record(
        overrides=changed, seed=seed, tests=tests, steps_planned=20, steps_done=20, **changes
    )
    return run_of(one, {"curve.train/loss": curve(*[2.0 if one.recipe == "text" else 0.1] * 20)})


def test_any_value_can_be_swept_and_the_legend_says_what_differs(tmp_path: Path) -> None:
    rates = ("0.01", "0.0001", "0.001")
    runs = [swept(rate, seed, 50) for rate in rates for seed in (0, 1)]
    runs += [swept(rate, 0, 70, recipe="text") for rate in rates]
    sweep = sweep_of(runs)
    assert (sweep.key, sweep.values) == ("schedule.learning_rate", ["0.0001", "0.001", "0.01"])
    assert sweep.labels() == ["released", "text"]
    axes = saved(tmp_path, figure_sweep(sweep))
    drawn = words(tmp_path / "figure.svg")
    assert "schedule.learning_rate=0.01, 0.0001, 0.001 · schedule.steps=20" in drawn
    assert "recipe released, text · schedule" in drawn
    assert drawn.count("60,000 mnist") == 0  # what all have in common is no legend
    losses = {"Final training loss, recipe released": 0.1, "Final training loss, recipe text": 2.0}
    assert [one.title for one in axes] == ["Test error, %", *losses]
    for one, colour, loss in zip(axes[1:], (BLUE, VERMILION), losses.values(), strict=True):
        assert one.points(colour)[:, 1] == pytest.approx(loss, rel=1e-3)
        assert len(one.points(BLUE)) + len(one.points(VERMILION)) == len(one.points(colour))


def test_a_sweep_shows_each_series_whole_interval(tmp_path: Path) -> None:
    many = {"test": outcome("mnist", 900, 10_000)}
    runs = [run_of(record()), run_of(record(recipe="text", tests=many))]
    [panel] = saved(tmp_path, figure_sweep(Sweep(ITERATIONS, runs)))
    for run, colour in zip(runs, (BLUE, VERMILION), strict=True):
        [bar] = panel.bars(colour)
        assert bar == pytest.approx(run.record.tests["test"].interval_percent, rel=1e-3)


def test_a_folder_without_a_sweep_gets_a_sentence(tmp_path: Path) -> None:
    model = {"name": "mnist_baseline", "width": 1.0}
    write_record(record(model=model), tmp_path / "one" / "record.json")
    with pytest.raises(UserError, match=r"differ in no override"):
        list(draw.draw_sweep(tmp_path))
    with pytest.raises(UserError, match=r"differ in no override"):
        sweep_of(runs_of(record(seed=seed) for seed in range(2)))  # of the same iterations
