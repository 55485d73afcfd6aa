"""The explorer without a browser: against the oracle, and against the network itself."""

import asyncio
import base64
import io
import re
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nicegui import ui
from nicegui.testing import user_simulation
from PIL import Image
from torch.nn.functional import one_hot

from capsnet.data.info import DatasetInfo
from capsnet.data.storage import LabelledImages
from capsnet.errors import UserError
from capsnet.evaluation.figure_data import to_uint8
from capsnet.explorer import __main__ as command
from capsnet.explorer import drawing, inference, pictures
from capsnet.explorer.checkpoint import ExploredRun, caveats, describe, load_run
from capsnet.explorer.inference import Move
from capsnet.explorer.page import show
from capsnet.explorer.panels.input import (
    DRAW,
    PAIR,
    TEST_SET,
    describe_input,
    picture_sources,
)
from capsnet.explorer.panels.lengths import verdict
from capsnet.explorer.panels.pose import captioned_pictures
from capsnet.explorer.panels.routing import axis, describe_shares, legend
from capsnet.explorer.session import Query, Recompute, compute, view_sweep
from capsnet.networks import CapsNet
from capsnet.prepare import prepare
from capsnet.train import train
from capsnet.training.build_network import build_network
from helpers import oracle
from helpers.explored import CLASSES, NAMES, open_signs, prepare_signs, untrained
from helpers.running import output, tiny


def small(**changes: object) -> CapsNet:
    torch.manual_seed(0)
    options = {"image": (1, 28, 28), "channels": 3, "types": 2, "decoder_hidden": (16, 16)}
    return CapsNet(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape or (1, 28, 28), np.float32)


def primary_capsule(
    network: CapsNet, picture: np.ndarray, place: tuple[int, int, int]
) -> np.ndarray:
    """One capsule by its type, row and column, from the 17×17 pixels that it sees."""
    kind, row, column = place
    with torch.no_grad():
        window = torch.from_numpy(picture)[:, 2 * row : 2 * row + 17, 2 * column : 2 * column + 17]
        seen = network.primary.conv(network.conv1(window[None]).relu())[0, :, 0, 0]
        s = seen * network.primary.scale + network.primary.bias
    return oracle.squash(s[8 * kind : 8 * kind + 8].double().numpy()[None])[0]


def test_couplings_and_lengths_are_those_of_the_oracle_at_their_places() -> None:
    network, picture = small(), noise()
    seen = inference.run_network(network, picture)
    places = [(kind, row, column) for kind in (0, 1) for row in range(6) for column in range(6)]
    u = np.array([[primary_capsule(network, picture, place) for place in places]])
    weight, bias = network.class_capsules.weight, network.class_capsules.bias
    assert bias is not None
    steps = oracle.routing(u, weight.detach().double().numpy(), 3, bias.detach().double().numpy())
    assert seen.couplings.shape == (3, 2, 6, 6, 10)
    for iteration, step in enumerate(steps):
        for i, place in enumerate(places):
            assert np.allclose(seen.couplings[iteration][place], step.couplings[0, i], atol=1e-5)
        assert np.allclose(seen.lengths[iteration], np.linalg.norm(step.v[0], axis=1), atol=1e-5)
    assert np.allclose(seen.couplings.sum(-1), 1, atol=1e-6)
    assert np.allclose(seen.capsules, steps[-1].v[0], atol=1e-5)


def test_whose_capsules_are_drawn() -> None:
    scores = np.array([0.1, 0.9, 0.3, 0.8])
    assert inference.longest(scores, 2) == [1, 3]
    assert inference.reconstructed_classes(scores, [], None) == [1]  # a drawing
    assert inference.reconstructed_classes(scores, [2], None) == [1]
    assert inference.reconstructed_classes(scores, [2], 2) == [2]
    assert inference.reconstructed_classes(scores, [3, 1], None) == [
        3,
        1,
    ]  # right: in the labels' order
    assert inference.reconstructed_classes(scores, [3, 2], None) == [
        1,
        3,
    ]  # wrong: the longest first
    assert inference.reconstructed_classes(scores, [3, 1], 1) == [3, 1]
    assert inference.reconstructed_classes(scores, [3, 1], 0) == [3, 0]
    assert inference.reconstructed_classes(scores, [3, 3], None) == [1]  # no pair of two classes


def test_a_reconstruction_is_decoded_from_the_changed_capsule_alone() -> None:
    network = small()
    capsules = inference.run_network(network, noise()).capsules

    def decoded(changed: torch.Tensor, digit: int) -> np.ndarray:
        with torch.no_grad():
            mask = one_hot(torch.tensor([digit]), 10).float()
            return to_uint8(network.reconstruct(changed[None], mask))[0].numpy()

    still = inference.reconstruct(network, capsules, 4, np.zeros(16))
    assert np.array_equal(still, decoded(capsules, 4))
    other = capsules.clone()
    other[4, 6] += 0.2
    moved = inference.reconstruct(network, capsules, 4, 0.2 * np.eye(16)[6])
    assert np.array_equal(moved, decoded(other, 4))
    assert not np.array_equal(moved, still)
    ends = inference.reconstruct_ends(network, capsules, 4)
    for side, offset in enumerate((-0.25, 0.25)):
        alone = inference.reconstruct(network, capsules, 4, offset * np.eye(16)[6])
        assert np.abs(alone.astype(int) - ends[6, side]).max() <= 1  # a larger batch rounds so


def test_pictures_move_by_the_sliders_in_every_channel() -> None:
    picture = noise(3, 28, 28)
    assert np.array_equal(inference.move_picture(picture, Move()), picture)
    right = inference.move_picture(picture, Move(right=3))
    assert np.array_equal(right[..., 3:], picture[..., :-3])
    assert not right[..., :3].any()
    down = inference.move_picture(picture, Move(down=-2))
    assert np.array_equal(down[:, :-2], picture[:, 2:])
    half = inference.move_picture(picture, Move(right=0.5))
    assert np.allclose(half[..., 1:], (picture[..., 1:] + picture[..., :-1]) / 2, atol=1e-6)
    clockwise = inference.move_picture(picture, Move(turn=90))
    inner = slice(1, -1)  # the rim may lie a rounding outside
    turned = np.rot90(picture, -1, (1, 2))
    assert np.allclose(clockwise[:, inner, inner], turned[:, inner, inner], atol=1e-5)
    both = inference.move_picture(picture, Move(turn=90, down=4))
    assert np.allclose(both[:, 5:-1, inner], clockwise[:, 1:-5, inner], atol=1e-5)


def test_an_answer_is_worked_out_anew_only_as_far_as_it_must_be() -> None:
    network = small()
    query = Query(noise(), [3], move=Move(turn=8, right=1))
    first = compute(network, query, Recompute.PICTURE, None)
    assert first.classes == [first.selected] == inference.longest(first.activations.lengths[-1], 1)
    nudged = replace(query, offsets=0.1 * np.ones(16))
    second = compute(network, nudged, Recompute.RECONSTRUCTION, first)
    assert second.activations is first.activations
    assert second.ends is first.ends
    alone = inference.reconstruct(
        network, first.activations.capsules, first.selected, nudged.offsets
    )
    assert np.array_equal(second.reconstructions[0], alone)
    forced = compute(network, replace(query, labels=[3, 7], chosen=5), Recompute.CAPSULE, first)
    assert forced.activations is first.activations
    assert (forced.selected, forced.classes[-1]) == (5, 5)
    assert len(forced.reconstructions) == 2


def test_a_capsule_is_followed_along_a_slider() -> None:
    network = small()
    query = Query(noise(), [3], move=Move(turn=8, right=1), chosen=5)
    first = compute(network, query, Recompute.PICTURE, None)
    turned = view_sweep(network, first, None)
    # At the place where the picture is now, it is the picture as it is now.
    here = int(np.flatnonzero(inference.places("turn") == 8)[0])
    assert np.array_equal(turned.sweep.inputs[here], first.activations.picture)
    assert torch.allclose(turned.sweep.capsules[here], first.activations.capsules, atol=1e-6)
    # The middle one of three places stands for them: the fourth picture is of 0 degrees.
    still = inference.reconstruct(network, turned.sweep.capsules[10], 5, np.zeros(16))
    assert np.abs(turned.strip[3].astype(int) - still).max() <= 1

    along = replace(query, move=Move(turn=-12, right=1))
    second = compute(network, along, Recompute.PICTURE, first)
    assert not np.array_equal(second.activations.picture, first.activations.picture)
    assert view_sweep(network, second, turned) is turned
    other = view_sweep(network, second._replace(selected=6), turned)
    assert other.sweep is turned.sweep
    assert not np.array_equal(other.strip, turned.strip)
    across = compute(network, replace(along, axis="right"), Recompute.PICTURE, second)
    shifted = view_sweep(network, across, turned)
    assert np.array_equal(shifted.sweep.inputs[12], second.activations.picture)  # 1 px right


def test_a_changed_dimension_moves_only_the_selected_one_of_a_pair() -> None:
    network = small()
    query = Query(noise(), [3, 7])
    first = compute(network, query, Recompute.PICTURE, None)
    moved = compute(
        network, replace(query, offsets=0.2 * np.ones(16)), Recompute.RECONSTRUCTION, first
    )
    for digit, before, after in zip(
        first.classes, first.reconstructions, moved.reconstructions, strict=True
    ):
        assert np.array_equal(before, after) == (digit != first.selected)


THREE = [[(0.3, 0.2), (0.6, 0.15), (0.7, 0.3), (0.5, 0.45)], [(0.5, 0.45), (0.75, 0.6), (0.3, 0.8)]]


def test_strokes_become_digits_in_the_format_of_mnist() -> None:
    picture = drawing.digit(THREE)
    rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (20, 21)  # an edge may straddle two pixels
    assert np.abs(centre(picture) - 14).max() < 0.1
    assert picture.max() == 255
    # Wherever and however large it was drawn.
    elsewhere = [[(7 + 90 * x, 90 * y - 30) for x, y in stroke] for stroke in THREE]
    assert np.abs(drawing.digit(elsewhere).astype(int) - picture).max() <= 32  # 1/8: rounded
    turned = drawing.digit([[(y, x) for x, y in stroke] for stroke in THREE])
    assert np.abs(turned.T.astype(int) - picture).mean() < 1  # shape and thickness stay
    line = drawing.digit([[(0, 0), (0, 1)]])
    assert line.sum() / 255 == pytest.approx(drawing.PEN * 20, rel=0.1)
    dot = drawing.digit([[(0.9, 0.1)]])
    assert dot.sum() / 255 == pytest.approx(np.pi * (drawing.PEN / 2) ** 2, rel=0.2)
    assert not drawing.digit([[], []]).any()


def centre(picture: np.ndarray) -> np.ndarray:
    weights = picture / picture.sum()
    return np.array([weights.sum(axis) @ (np.arange(28) + 0.5) for axis in (1, 0)])


def test_mnist_is_of_that_format_itself(mnist: LabelledImages) -> None:
    some = mnist.test_images[:200, 0].astype(float)
    boxes = [max(np.ptp(np.flatnonzero(one.any(axis))) + 1 for axis in (0, 1)) for one in some]
    assert np.median(boxes) == 20
    # Whole pixels were moved, and pixels are counted from their corner here.
    assert np.abs(np.mean([centre(one) for one in some], axis=0) - 14).max() < 0.6


def test_frames_are_widened_and_cut_evenly() -> None:
    picture = drawing.digit(THREE)
    wide = drawing.framed(picture, 36, 40)
    assert np.array_equal(wide[4:-4, 6:-6], picture)
    assert wide.sum() == picture.sum()
    assert np.array_equal(drawing.framed(wide, 28, 28), picture)
    assert np.array_equal(drawing.framed(picture, 28, 28), picture)
    odd = drawing.framed(picture[None], 31, 25)
    assert np.array_equal(odd[0, 1:29], picture[:, 1:26])


def shown(uri: str) -> np.ndarray:
    kind, data = uri.split(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_pictures_hold_what_they_were_made_of() -> None:
    grey_picture = drawing.digit(THREE)
    assert np.array_equal(shown(pictures.png(grey_picture)), grey_picture)
    c = np.array([[[0.02, 0.1]], [[0.4, 0.25]]])  # two types, on a grid of 1×2
    tiles = pictures.shares(c, 0.02, 0.1, 0.4)
    assert tuple(tiles[0, 0, 0]) == pictures.BLUE
    assert tuple(tiles[0, 0, 1]) == pictures.EQUAL
    assert tuple(tiles[1, 0, 0]) == pictures.ORANGE
    halfway = np.array(pictures.ORANGE) * 0.5**0.5 + np.array(pictures.EQUAL) * (1 - 0.5**0.5)
    assert np.abs(tiles[1, 0, 1] - halfway).max() <= 0.5  # colours grow as the root
    laid = shown(pictures.png(pictures.tiled(tiles, 2)))
    assert laid.shape == (1, 5, 4)
    assert np.array_equal(laid[0, :2], tiles[0, 0])
    assert not laid[0, 2].any()
    assert np.array_equal(laid[0, 3:], tiles[1, 0])
    even = pictures.shares(np.full((1, 1, 1), 0.1), 0.1, 0.1, 0.1)  # one iteration of routing
    assert tuple(even[0, 0, 0]) == pictures.EQUAL
    both = pictures.contest(c, c[::-1], 0.1, 0.4)
    assert both[0, 0, 0].tolist() == [0, 255, 0, 255]
    assert both[1, 0, 1].tolist() == [round(255 * np.sqrt(0.5)), 0, 0, 255]


def test_curves_and_columns_stand_where_their_numbers_are() -> None:
    numbers = np.array([[0.5, -1.0], [0.0, 1.0]])
    svg = pictures.lines(numbers, -1, 1, [1])
    points = dict(re.findall(r'data-number="(\d)" points="([^"]+)"', svg))
    assert points == {"1": "0.5,25.00 1.5,50.00", "2": "0.5,100.00 1.5,0.00"}
    assert re.findall(r'class="(\w*)" data-number="(\d)"', svg) == [("", "1"), ("m0", "2")]
    bars = pictures.columns(np.array([0.25, 1.0]), {1: "red"}, ["a", "<b>"])
    assert re.findall(r'class="(\w*)".*?height="([\d.]+)"', bars) == [
        ("", "0.250"),
        ("red", "1.000"),
    ]
    assert "<title>&lt;b&gt;: 1.000</title>" in bars
    spread = np.array([[0.0, 1, 5], [0.1, 3, 5], [0.0, 2, 4]])
    assert inference.most_variable(spread, 2).tolist() == [1, 2]


@pytest.fixture(scope="module")
def root(data_root: Path) -> Path:
    prepare("multimnist-digits", data_root / "multimnist-digits", count=2)
    prepare("expanded-digits", data_root / "expanded-digits")
    prepare("affnist-digits", data_root / "affnist-digits", copies=2)
    return data_root


@pytest.mark.slow
def test_a_number_of_no_example_is_refused_in_a_sentence(root: Path, tmp_path: Path) -> None:
    untrained(root, tmp_path, experiment="mnist_capsnet_r3_recon")
    loaded = load_run(tmp_path)

    async def page() -> None:
        await show(loaded)

    async def visit() -> list[str | None]:
        async with user_simulation(page) as user:
            await user.open("/")
            await user.should_see("label")
            [number] = user.find(kind=ui.number, content="test example, from 0 to 499").elements
            said = [number.error]
            for typed in (500, -1, 2.5, None, 499):
                number.set_value(typed)
                said.append(number.error)
            return said

    refused = "Type a whole number from 0 to 499; the last picture stays"
    assert asyncio.run(visit()) == [None, *[refused] * 4, None]


def test_a_checkpoint_says_what_it_is(root: Path, tmp_path: Path) -> None:
    run = tiny(root, "schedule.steps=3", "schedule.batch=16", "logger=csv")
    record = train(run, tmp_path)
    assert record is not None
    loaded = load_run(tmp_path)
    assert caveats(loaded) == ["demo", "short schedule"]
    facts = "; ".join(describe(loaded))
    assert "mnist_capsnet_r3_recon, recipe released, seed 0" in facts
    assert "trained on UCI digits (uci-digits in place of the paper's data)" in facts
    assert "0.03 of the paper's width: 1 type of primary capsules (the paper: 32)" in facts
    assert "3 steps of 16 (the paper: 300,000 of 128), 3 routing iterations" in facts
    assert f"{record.tests['test'].errors} errors in 500 uci-digits test examples" in facts
    # A record of other values is not that of these weights.
    other = (tmp_path / "config.yaml").read_text().replace("decay_steps: 21.8", "decay_steps: 7")
    (tmp_path / "config.yaml").write_text(other)
    assert load_run(tmp_path / "weights.safetensors").record is None
    assert "errors" not in "; ".join(describe(load_run(tmp_path)))


@pytest.mark.parametrize(("steps", "short"), [(300_000, []), (299_999, ["short schedule"])])
def test_without_a_record_the_plan_says_whether_training_was_short(
    steps: int, short: list[str], root: Path, tmp_path: Path
) -> None:
    plan = "schedule=paper", f"schedule.steps={steps}"
    untrained(root, tmp_path, *plan, experiment="mnist_capsnet_r3_recon")
    assert caveats(load_run(tmp_path)) == ["demo", *short]


@pytest.mark.parametrize(
    ("experiment", "side", "shift", "tests"),
    [
        ("mnist_capsnet_r3_recon", 28, 2, ["test"]),
        ("multimnist_capsnet_r1_recon", 36, 4, ["test"]),
        ("affnist_capsnet", 40, 6, ["test", "affnist"]),
    ],
)
def test_every_capsnet_can_be_looked_at(
    experiment: str, side: int, shift: int, tests: list[str], root: Path, tmp_path: Path
) -> None:
    untrained(root, tmp_path, "model.decoder=true", experiment=experiment)
    loaded = load_run(tmp_path)
    assert (loaded.info.image, loaded.max_shift) == ((1, side, side), shift)
    assert list(loaded.tests) == tests
    example = loaded.tests[tests[-1]].split.examples(torch.tensor([0]), None)
    query = Query(example.images[0].numpy(), example.labels[0].tolist())
    result = compute(loaded.network, query, Recompute.PICTURE, None)
    with torch.no_grad():
        fast = build_network(loaded.run, DatasetInfo("", 1, side, side))
        fast.load_state_dict(loaded.network.state_dict())
        capsules = fast(example.images)[0]
    assert torch.allclose(result.activations.capsules, capsules, atol=1e-5)
    grid = (side - 15) // 2
    assert result.activations.couplings.shape == (
        loaded.network.class_capsules.iterations,
        1,
        grid,
        grid,
        10,
    )
    assert len(result.classes) == len(query.labels)


@pytest.fixture(scope="module")
def signs(tmp_path_factory: pytest.TempPathFactory) -> tuple[ExploredRun, np.ndarray]:
    """A network for coloured images of 43 classes, and one of them."""
    folder = tmp_path_factory.mktemp("signs")
    images = prepare_signs(folder)
    open_signs(folder, folder / "run")
    return load_run(folder / "run"), images[50]


def test_coloured_images_of_many_classes_go_through_the_network(
    signs: tuple[ExploredRun, np.ndarray],
) -> None:
    loaded, image = signs
    network, x = loaded.network, torch.from_numpy(image[None]).float() / 255
    result = compute(network, Query(inference.from_uint8(image), [7]), Recompute.PICTURE, None)
    with torch.no_grad():
        capsules, scores = network(x), network.class_scores(x)
        u = network.primary_capsules(x).double().numpy()
        [selected] = scores.argmax(1).tolist()
        mask = one_hot(torch.tensor([selected]), CLASSES).float()
        drawn = network.reconstruct(capsules, mask)[0].permute(1, 2, 0).numpy() * 255
    found = result.activations
    assert torch.allclose(found.capsules, capsules[0], atol=1e-6)
    assert np.allclose(found.lengths[-1], scores[0], atol=1e-6)
    weight, bias = network.class_capsules.weight, network.class_capsules.bias
    assert bias is not None
    steps = oracle.routing(u, weight.detach().double().numpy(), 3, bias.detach().double().numpy())
    flat = found.couplings.reshape(3, -1, CLASSES)
    assert np.allclose(flat, [step.couplings[0] for step in steps], atol=1e-6)
    corner = primary_capsule(network, x[0].numpy(), (0, 7, 9))
    assert np.allclose(u.reshape(*found.couplings.shape[1:4], 8)[0, 7, 9], corner, atol=1e-5)
    assert result.selected == selected
    assert np.abs(result.reconstructions[0] - drawn).max() <= 1
    view = view_sweep(network, result, None)
    assert np.array_equal(view.sweep.inputs[10], x[0].numpy())
    assert np.abs(view.strip[3] - drawn).max() <= 1
    assert np.abs(result.ends[:, :, :, :, 0].astype(int) - result.ends[..., 1]).max() > 0


def test_coloured_images_of_many_classes_are_shown_by_name(
    signs: tuple[ExploredRun, np.ndarray],
) -> None:
    loaded, image = signs
    picture = inference.from_uint8(image)
    result = compute(loaded.network, Query(picture, [7], chosen=0), Recompute.PICTURE, None)
    (caption, drawn), (label, shown) = captioned_pictures(result, loaded)
    assert (caption, label) == (f"reconstruction of {NAMES[0]}", "input")
    assert np.array_equal(drawn, result.reconstructions[0])
    assert np.array_equal(shown, image.transpose(1, 2, 0))
    scores = np.eye(CLASSES)[7]
    assert verdict(loaded, scores, [7]) == "Answer: sign 7, right"
    assert verdict(loaded, scores, [8]) == "Answer: sign 7, wrong: it is sign 8"
    assert axis(NAMES) == "<span>&lt;speed &amp; limit&gt;</span><span>… sign 42</span>"
    shares = np.array([[[0.02, 0.06]]])
    assert describe_shares(NAMES[0], shares).startswith("to &lt;speed &amp; limit&gt;: mean")
    assert "0.0233, the equal share" in legend([NAMES[0]], CLASSES, 0.01, 0.06)
    assert list(picture_sources(loaded)) == [TEST_SET]  # nobody draws in colour
    assert "32×36 pixels of 3 channels" in describe_input(loaded, [TEST_SET])
    assert caveats(loaded) == ["demo", "short schedule"]  # by its width
    full = replace(loaded.run, model=replace(loaded.run.model, width=1.0))
    assert caveats(loaded._replace(run=full)) == ["short schedule"]


def test_other_channels_are_shown_side_by_side() -> None:
    picture = noise(2, 20, 24)
    drawn = small(image=(2, 20, 24), classes=5)
    result = compute(drawn, Query(picture, []), Recompute.PICTURE, None)
    beside = np.round(np.hstack(list(picture)) * 255)
    assert np.array_equal(inference.pixels(picture), beside)
    assert result.reconstructions[0].shape == beside.shape


@pytest.mark.slow
def test_pairs_are_laid_by_hand_where_a_network_learned_pairs(root: Path, tmp_path: Path) -> None:
    untrained(root, tmp_path, experiment="multimnist_capsnet_r3_recon")
    loaded = load_run(tmp_path)
    assert list(picture_sources(loaded)) == [TEST_SET, DRAW, PAIR]
    singles = loaded.singles
    assert singles is not None
    labels = singles.test_labels
    other = int(np.flatnonzero(labels != labels[0])[0])  # MultiMNIST pairs two classes
    expected = np.zeros((36, 36), int)  # as far apart as in training: by 4 pixels each
    expected[:28, :28] += singles.test_images[0, 0]
    expected[8:, 8:] += singles.test_images[other, 0]

    async def visit() -> str:
        async def page() -> None:
            await show(loaded)

        async with user_simulation(page) as user:
            await user.open("/")
            [toggle] = user.find(kind=ui.toggle).elements
            toggle.set_value(PAIR)
            await user.should_see(f"label {labels[0]} and {labels[other]}", retries=40)
            return next(
                element.props["src"]
                for element in user.find(kind=ui.element).elements
                if element.props.get("alt") == "the picture as the network gets it"
            )

    assert np.array_equal(shown(asyncio.run(visit())), expected.clip(max=255))


@pytest.mark.parametrize(
    ("experiment", "override", "message"),
    [
        ("mnist_baseline", "seed=0", "is a mnist_baseline: the explorer shows CapsNets only"),
        ("mnist_capsnet_r3", "seed=0", r"has no decoder.*an experiment that ends with _recon"),
        (
            "mnist_capsnet_r3_recon",
            "data.root=nowhere",
            "run `python -m capsnet.prepare digits --root",
        ),
    ],
)
def test_what_cannot_be_shown_gets_a_sentence(
    experiment: str, override: str, message: str, root: Path, tmp_path: Path
) -> None:
    untrained(root, tmp_path, experiment=experiment)
    config = tmp_path / "config.yaml"
    if override.startswith("data.root"):
        config.write_text(config.read_text().replace(str(root), "nowhere"))
    with pytest.raises(UserError, match=message):
        load_run(tmp_path)


def test_a_mistake_on_the_command_line_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, printed = output("explorer", "--port", port, cwd=tmp_path)
    assert (code, printed.count("\n")) == (1, 1)
    assert f"port {port} of 127.0.0.1 is not available" in printed
    assert "--port" in printed
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="seed0 does not exist: run `make demo`, or name the"):
        command.explore(None, "127.0.0.1", 0)
    with pytest.raises(UserError, match=r"port 99999 of 127\.0\.0\.1 is not available"):
        command.explore(None, "127.0.0.1", 99999)
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs NiceGUI: run `pip install -e '\.\[explore\]'`"):
        command.explore(None, "127.0.0.1", 0)
