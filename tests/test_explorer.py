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
from capsnet.data.loading import load_dataset
from capsnet.data.storage import LabelledImages
from capsnet.errors import UserError
from capsnet.evaluation.figure_data import to_uint8
from capsnet.explorer import __main__ as command
from capsnet.explorer import drawing, pictures, what
from capsnet.explorer.answers import Asked, Stage, answered, trail
from capsnet.explorer.checkpoint import about, marks, opened, trained_shift
from capsnet.explorer.interface import Explorer
from capsnet.explorer.what import Move
from capsnet.networks import CapsNet
from capsnet.prepare import prepare
from capsnet.records.weights import save_weights
from capsnet.train import train
from capsnet.training.factory import build_network
from helpers import oracle
from helpers.running import output, tiny


def small(**changes: object) -> CapsNet:
    torch.manual_seed(0)
    options = {"image": (1, 28, 28), "channels": 3, "types": 2, "decoder_hidden": (16, 16)}
    return CapsNet(**(options | changes)).eval()  # pyright: ignore[reportArgumentType]


def noise(side: int = 28, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((side, side), np.float32)


def primary_capsule(
    network: CapsNet, picture: np.ndarray, place: tuple[int, int, int]
) -> np.ndarray:
    """One capsule by its type, row and column, from the 17×17 pixels that it sees."""
    kind, row, column = place
    with torch.no_grad():
        window = torch.from_numpy(picture)[2 * row : 2 * row + 17, 2 * column : 2 * column + 17]
        seen = network.primary.conv(network.conv1(window[None, None]).relu())[0, :, 0, 0]
        s = seen * network.primary.scale + network.primary.bias
    return oracle.squash(s[8 * kind : 8 * kind + 8].double().numpy()[None])[0]


def test_couplings_and_lengths_are_the_oracle_s_at_their_places() -> None:
    network, picture = small(), noise()
    seen = what.seen(network, picture)
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
    assert what.answer(scores, 2) == [1, 3]
    assert what.reconstructed(scores, [], None) == [1]  # a drawing
    assert what.reconstructed(scores, [2], None) == [1]
    assert what.reconstructed(scores, [2], 2) == [2]
    assert what.reconstructed(scores, [3, 1], None) == [3, 1]  # right: in the labels' order
    assert what.reconstructed(scores, [3, 2], None) == [1, 3]  # wrong: the longest first
    assert what.reconstructed(scores, [3, 1], 1) == [3, 1]
    assert what.reconstructed(scores, [3, 1], 0) == [3, 0]
    assert what.reconstructed(scores, [3, 3], None) == [1]  # no pair of two classes


def test_a_reconstruction_is_the_decoder_s_from_the_moved_capsule_alone() -> None:
    network = small()
    capsules = what.seen(network, noise()).capsules

    def decoded(changed: torch.Tensor, digit: int) -> np.ndarray:
        with torch.no_grad():
            mask = one_hot(torch.tensor([digit]), 10).float()
            return to_uint8(network.reconstruct(changed[None], mask))[0].numpy()

    still = what.reconstruction(network, capsules, 4, np.zeros(16))
    assert np.array_equal(still, decoded(capsules, 4))
    other = capsules.clone()
    other[4, 6] += 0.2
    moved = what.reconstruction(network, capsules, 4, 0.2 * np.eye(16)[6])
    assert np.array_equal(moved, decoded(other, 4))
    assert not np.array_equal(moved, still)
    ends = what.ends(network, capsules, 4)
    for side, offset in enumerate((-0.25, 0.25)):
        alone = what.reconstruction(network, capsules, 4, offset * np.eye(16)[6])
        assert np.abs(alone.astype(int) - ends[6, side]).max() <= 1  # a larger batch rounds so


def test_pictures_move_as_they_are_told() -> None:
    picture = noise()
    assert np.array_equal(what.transformed(picture, Move()), picture)
    right = what.transformed(picture, Move(right=3))
    assert np.array_equal(right[:, 3:], picture[:, :-3])
    assert not right[:, :3].any()
    down = what.transformed(picture, Move(down=-2))
    assert np.array_equal(down[:-2], picture[2:])
    half = what.transformed(picture, Move(right=0.5))
    assert np.allclose(half[:, 1:], (picture[:, 1:] + picture[:, :-1]) / 2, atol=1e-6)
    clockwise = what.transformed(picture, Move(turn=90))
    inner = slice(1, -1)  # the rim may lie a rounding outside
    assert np.allclose(clockwise[inner, inner], np.rot90(picture, -1)[inner, inner], atol=1e-5)
    both = what.transformed(picture, Move(turn=90, down=4))
    assert np.allclose(both[5:-1, inner], clockwise[1:-5, inner], atol=1e-5)


def test_an_answer_is_worked_out_anew_only_as_far_as_it_must_be() -> None:
    network = small()
    asked = Asked(noise(), [3], move=Move(turn=8, right=1))
    first = answered(network, asked, Stage.PICTURE, None)
    assert first.digits == [first.digit] == what.answer(first.seen.lengths[-1], 1)
    nudged = replace(asked, offsets=0.1 * np.ones(16))
    second = answered(network, nudged, Stage.NUMBERS, first)
    assert second.seen is first.seen
    assert second.ends is first.ends
    alone = what.reconstruction(network, first.seen.capsules, first.digit, nudged.offsets)
    assert np.array_equal(second.reconstructions[0], alone)
    forced = answered(network, replace(asked, labels=[3, 7], chosen=5), Stage.CAPSULE, first)
    assert forced.seen is first.seen
    assert (forced.digit, forced.digits[-1]) == (5, 5)
    assert len(forced.reconstructions) == 2


def test_a_capsule_is_followed_along_a_slider() -> None:
    network = small()
    asked = Asked(noise(), [3], move=Move(turn=8, right=1), chosen=5)
    first = answered(network, asked, Stage.PICTURE, None)
    turned = trail(network, first, None)
    # At the place where the picture is now, it is the picture as it is now.
    here = int(np.flatnonzero(what.places("turn") == 8)[0])
    assert np.array_equal(turned.followed.inputs[here], first.seen.picture)
    assert torch.allclose(turned.followed.capsules[here], first.seen.capsules, atol=1e-6)
    # The middle one of three places stands for them: the fourth picture is of 0 degrees.
    still = what.reconstruction(network, turned.followed.capsules[10], 5, np.zeros(16))
    assert np.abs(turned.strip[3].astype(int) - still).max() <= 1

    along = replace(asked, move=Move(turn=-12, right=1))
    second = answered(network, along, Stage.PICTURE, first)
    assert not np.array_equal(second.seen.picture, first.seen.picture)
    assert trail(network, second, turned) is turned
    other = trail(network, second._replace(digit=6), turned)
    assert other.followed is turned.followed
    assert not np.array_equal(other.strip, turned.strip)
    across = answered(network, replace(along, axis="right"), Stage.PICTURE, second)
    shifted = trail(network, across, turned)
    assert np.array_equal(shifted.followed.inputs[12], second.seen.picture)  # 1 px right


def test_a_pair_s_numbers_move_only_the_capsule_looked_at() -> None:
    network = small()
    asked = Asked(noise(), [3, 7])
    first = answered(network, asked, Stage.PICTURE, None)
    moved = answered(network, replace(asked, offsets=0.2 * np.ones(16)), Stage.NUMBERS, first)
    for digit, before, after in zip(
        first.digits, first.reconstructions, moved.reconstructions, strict=True
    ):
        assert np.array_equal(before, after) == (digit != first.digit)


THREE = [[(0.3, 0.2), (0.6, 0.15), (0.7, 0.3), (0.5, 0.45)], [(0.5, 0.45), (0.75, 0.6), (0.3, 0.8)]]


def test_strokes_become_digits_of_mnist_s_format() -> None:
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
    wide = drawing.framed(picture, 36)
    assert np.array_equal(wide[4:-4, 4:-4], picture)
    assert wide.sum() == picture.sum()
    assert np.array_equal(drawing.framed(wide, 28), picture)
    assert np.array_equal(drawing.framed(picture, 28), picture)


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
    bars = pictures.columns(np.array([0.25, 1.0]), {1: "red"})
    assert re.findall(r'class="(\w*)".*?height="([\d.]+)"', bars) == [
        ("", "0.250"),
        ("red", "1.000"),
    ]
    spread = np.array([[0.0, 1, 5], [0.1, 3, 5], [0.0, 2, 4]])
    assert what.followers(spread, 2).tolist() == [1, 2]


def untrained(root: Path, folder: Path, *overrides: str, experiment: str) -> None:
    """Weights that nobody has trained, and what a run would say of them."""
    run = tiny(root, *overrides, experiment=experiment)
    info = load_dataset(run).info
    save_weights(build_network(run, info), run, folder)


@pytest.fixture(scope="module")
def root(data_root: Path) -> Path:
    prepare("multimnist-digits", data_root / "multimnist-digits", count=2)
    prepare("expanded-digits", data_root / "expanded-digits")
    prepare("affnist-digits", data_root / "affnist-digits", copies=2)
    return data_root


@pytest.mark.slow
def test_a_number_that_is_no_example_s_is_refused_in_a_sentence(root: Path, tmp_path: Path) -> None:
    untrained(root, tmp_path, experiment="mnist_capsnet_r3_recon")
    subject = opened(tmp_path)

    async def page() -> None:
        await Explorer(subject).input.start()

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

    refused = "Type a whole number from 0 to 499"
    assert asyncio.run(visit()) == [None, *[refused] * 4, None]


def test_a_checkpoint_says_what_it_is(root: Path, tmp_path: Path) -> None:
    run = tiny(root, "schedule.steps=3", "schedule.batch=16", "logger=csv")
    record = train(run, tmp_path)
    assert record is not None
    subject = opened(tmp_path)
    assert marks(subject) == ["demo", "short schedule"]
    told = "; ".join(about(subject))
    assert "mnist_capsnet_r3_recon, recipe released, seed 0" in told
    assert "uci-digits, which are not MNIST" in told
    assert "0.03 of the paper's width: 1 type of primary capsules (the paper: 32)" in told
    assert "3 steps of 16 (the paper: 300,000 of 128), 3 routing iterations" in told
    assert f"{record.tests['test'].errors} errors in 500 uci-digits test examples" in told
    # A record of other values is not that of these weights.
    other = (tmp_path / "config.yaml").read_text().replace("decay_steps: 21.8", "decay_steps: 7")
    (tmp_path / "config.yaml").write_text(other)
    assert opened(tmp_path / "weights.safetensors").record is None
    assert "errors" not in "; ".join(about(opened(tmp_path)))


@pytest.mark.parametrize(("steps", "short"), [(300_000, []), (299_999, ["short schedule"])])
def test_without_a_record_the_plan_says_whether_training_was_short(
    steps: int, short: list[str], root: Path, tmp_path: Path
) -> None:
    plan = "schedule=paper", f"schedule.steps={steps}"
    untrained(root, tmp_path, *plan, experiment="mnist_capsnet_r3_recon")
    assert marks(opened(tmp_path)) == ["demo", *short]


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
    subject = opened(tmp_path)
    assert (subject.side, trained_shift(subject), list(subject.tests)) == (side, shift, tests)
    example = subject.tests[tests[-1]].split.examples(torch.tensor([0]), None)
    asked = Asked(example.images[0, 0].numpy(), example.labels[0].tolist())
    told = answered(subject.network, asked, Stage.PICTURE, None)
    with torch.no_grad():
        fast = build_network(subject.run, DatasetInfo("", 1, side, side))
        fast.load_state_dict(subject.network.state_dict())
        capsules = fast(example.images)[0]
    assert torch.allclose(told.seen.capsules, capsules, atol=1e-5)
    grid = (side - 15) // 2
    assert told.seen.couplings.shape == (
        subject.network.class_capsules.iterations,
        1,
        grid,
        grid,
        10,
    )
    assert len(told.digits) == len(asked.labels)


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
        opened(tmp_path)


def test_a_mistake_on_the_command_line_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, printed = output("explorer", "--port", port, cwd=tmp_path)
    assert (code, printed.count("\n")) == (1, 1)
    assert f"port {port} of 127.0.0.1 cannot be had" in printed
    assert "--port" in printed
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="seed0 is not here: run `make demo`, or name the folder"):
        command.explore(None, "127.0.0.1", 0)
    with pytest.raises(UserError, match=r"port 99999 of 127\.0\.0\.1 cannot be had"):
        command.explore(None, "127.0.0.1", 99999)
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs NiceGUI: run `pip install -e '\.\[explore\]'`"):
        command.explore(None, "127.0.0.1", 0)
