"""Folders of pictures: what is found, how files become arrays, and mistakes in one sentence."""

import hashlib
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from capsnet.config import Data, RunConfig
from capsnet.data import pictures, storage
from capsnet.data.loading import load_dataset
from capsnet.data.picture_files import read_picture
from capsnet.data.picture_folders import find_pictures
from capsnet.data.pictures import located, on_pictures
from capsnet.errors import UserError
from capsnet.evaluate import with_data
from capsnet.training.fingerprint import config_digest
from helpers.running import output_here, tiny

NOISE = np.random.default_rng(0)


def save(path: Path, pixels: Any, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)


def fill(root: Path, classes: dict[str, int], shape: tuple[int, ...] = (20, 20)) -> Path:
    """Save that many pictures of noise in the folder of each class."""
    for name, count in classes.items():
        for number in range(count):
            pixels = NOISE.integers(0, 256, shape, np.uint8)
            save(root / name / f"{number}.png", pixels)
    return root


def own(root: Path, **values: Any) -> Data:
    where = {"name": "shifted", "source": "images", "root": str(root / "data")}
    return Data(**where, path=str(root / "pets"), **values)  # pyright: ignore[reportArgumentType]


def test_a_share_of_each_class_is_held_out_by_the_digest_of_its_files_names(
    tmp_path: Path,
) -> None:
    fill(tmp_path, {"b": 10, "a": 25, "10": 2, "9": 3}, (1, 1))
    (tmp_path / "a/.DS_Store").touch()
    (tmp_path / "Thumbs.db").touch()
    found = find_pictures(tmp_path)
    assert found.class_names == ("10", "9", "a", "b")
    counts = [sum(one.label == label for one in found.test) for label in range(4)]
    assert counts == [1, 1, 5, 2]
    assert {one.path for one in (*found.train, *found.test)} == {*tmp_path.glob("*/*.png")}
    names = [f"a/{number}.png" for number in range(25)]
    first = sorted(names, key=lambda name: hashlib.sha256(f"test {name}".encode()).digest())[:5]
    assert {one.name for one in found.test if one.label == 2} == {*first}
    assert len(find_pictures(tmp_path, 0.5).test) == 5 + 12 + 1 + 2


def test_the_first_pictures_are_of_every_class(tmp_path: Path) -> None:
    """For validation images are the first of the training set."""
    for path in (tmp_path / f"{name}/{number}" for name in "abcd" for number in range(100)):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    labels = [one.label for one in find_pictures(tmp_path).train]
    assert np.bincount(labels).tolist() == [80] * 4
    assert min(np.bincount(labels[:80])) >= 10


def test_train_and_test_are_taken_as_they_are(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"cat": 3, "dog": 2})
    fill(tmp_path / "test", {"cat": 1, "dog": 4})
    found = find_pictures(tmp_path)
    assert {one.path for one in found.train} == {*tmp_path.glob("train/*/*")}
    assert sorted(one.label for one in found.test) == [0, 1, 1, 1, 1]
    with pytest.raises(UserError, match=r"has its own test folder: leave the test share \(0\.3\)"):
        find_pictures(tmp_path, 0.3)


def test_train_and_test_may_be_classes(tmp_path: Path) -> None:
    assert find_pictures(fill(tmp_path, {"train": 2, "test": 2})).class_names == ("test", "train")


def empty(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda root: shutil.rmtree(root), "pets is not a folder: name one that holds a folder"),
        (lambda root: empty(root), "pets holds no folders: it must hold a folder of pictures a"),
        (lambda root: shutil.rmtree(root / "dog"), "pets/cat is the only class in .*pets: there"),
        (lambda root: empty(root / "dog"), "pets/dog holds no picture: fill it, or remove the"),
        (lambda root: (root / "a.png").touch(), "pets/a.png is beside the folders of the classes"),
        (lambda root: (root / "dog/old").mkdir(), "pets/dog/old is a folder in that of a class"),
        (lambda root: (root / "dog/0.png").unlink(), "pets/dog holds one picture: it takes two"),
        (lambda root: fill(root / "train", {"cat": 1}), "pets/cat is beside train and test, which"),
        (lambda root: (root / "dog\n").mkdir(), r"pets/dog\\n' has a name that cannot be printed"),
    ],
)
def test_what_is_missing_or_misplaced_is_named(
    harm: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    harm(fill(tmp_path / "pets", {"cat": 2, "dog": 2}))
    refused(message, tmp_path)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda root: shutil.rmtree(root / "test"), "pets/test is missing: .* both train and test"),
        (lambda root: shutil.rmtree(root / "test/dog"), "pets/test/dog is missing: train and test"),
        (
            lambda root: shutil.rmtree(root / "train/cat"),
            "pets/train/cat is missing: train and test",
        ),
        (lambda root: empty(root / "test/dog"), "pets/test/dog holds no picture"),
        (lambda root: (root / "val").mkdir(), "pets/val is beside train and test, which must be"),
    ],
)
def test_train_and_test_must_have_the_same_classes(
    harm: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        fill(tmp_path / "pets" / part, {"bird": 1, "cat": 1, "dog": 1})
    harm(tmp_path / "pets")
    refused(message, tmp_path)


def refused(message: str, tmp_path: Path) -> None:
    """Check that the pictures are refused in one line, and that no prepared folder is left."""
    with pytest.raises(UserError, match=message) as error:
        located(own(tmp_path))
    assert "\n" not in str(error.value)
    assert [path for path in tmp_path.glob("data/*") if path.is_dir()] == []


def test_one_picture_is_not_both_to_train_on_and_to_test_on(tmp_path: Path) -> None:
    for part in ("train", "test"):
        fill(tmp_path / "pets" / part, {"cat": 3, "dog": 3})
    for name in ("cat/copy.png", "dog/copy (1).png"):  # of another class, too
        shutil.copy(tmp_path / "pets/train/cat/1.png", tmp_path / "pets/test" / name)
    refused(
        r"train/cat/1\.png, to train on, and .*test/cat/copy\.png, to test on, are one picture, "
        "and there are 2 such pairs: keep one of each",
        tmp_path,
    )
    for name in ("cat/copy.png", "dog/copy (1).png"):
        (tmp_path / "pets/test" / name).unlink()
    shutil.copy(tmp_path / "pets/train/cat/1.png", tmp_path / "pets/train/cat/again.png")
    assert located(own(tmp_path)).source.startswith("images-")


def cut(path: Path) -> None:
    pixels = NOISE.integers(0, 256, (40, 40, 3), np.uint8)
    save(path, pixels)
    path.write_bytes(path.read_bytes()[:-900])


@pytest.mark.parametrize(
    ("name", "harm", "message"),
    [
        ("cut.png", cut, r"cannot be read as a picture \(.*truncated.*\): replace or remove it"),
        ("cut.jpg", cut, r"cannot be read as a picture \(.*truncated.*\): replace or remove it"),
        ("notes.txt", lambda path: path.write_text("cats"), "is not a picture in a format that Pi"),
        ("none.png", lambda path: path.touch(), "is not a picture in a format that Pillow knows"),
        ("away.png", lambda path: path.symlink_to("no"), r"cannot be read \(No such file or direc"),
        ("f.tif", lambda path: save(path, np.ones((4, 4), np.float32)), "its pixels have 32 bits"),
        (
            "rgb.png",
            lambda path: save(path, np.ones((4, 4, 3), np.uint8)),
            r"\d.png is grey and .*rgb.png is in colour: data.channels=1 \(--channels 1\) makes",
        ),
    ],
)
def test_a_file_that_is_no_usable_picture_is_named(
    name: str, harm: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    fill(tmp_path / "pets", {"cat": 2})
    fill(tmp_path / "pets", {"dog": 2})
    harm(tmp_path / "pets/dog" / name)
    refused(f"{'' if 'grey' in message else re.escape(name) + '.*'}{message}", tmp_path)


def test_grey_and_colour_together_become_what_is_asked_for(tmp_path: Path) -> None:
    fill(tmp_path / "pets", {"cat": 2})
    fill(tmp_path / "pets", {"dog": 2}, (20, 20, 3))
    for channels in (1, 3):
        data = located(own(tmp_path, channels=channels, size=17))
        images = storage.read_images(tmp_path / "data" / data.source)
        assert images.info.image == (channels, 17, 17)


def test_pixels_stay_as_they_are_where_the_size_does(tmp_path: Path) -> None:
    for shape in ((9, 9), (9, 9, 3)):
        pixels = NOISE.integers(0, 256, shape, np.uint8)
        save(tmp_path / "a.png", pixels)
        channels_first = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)
        assert (read_picture(tmp_path / "a.png", 9) == channels_first).all()


def test_the_longer_side_fills_the_square_between_black_bars(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.full((10, 40), 200, np.uint8))
    image = read_picture(tmp_path / "a.png", 20)[0]
    expected = np.zeros((20, 20), np.uint8)
    expected[7:12] = 200
    found = image.copy()
    # 5 of 20 rows: Pillow puts the odd bar above or below.
    assert found.shape == expected.shape
    assert sorted(found.max(1)) == sorted(expected.max(1))
    assert (found[9] == 200).all()


RED, GREY = (255, 0, 0), 77


def drawn(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, (3, 3), colour)


def palette() -> Image.Image:
    picture = drawn("P", 1)
    picture.putpalette([0, 0, 0, *RED])
    return picture


@pytest.mark.parametrize(
    ("name", "picture", "options", "expected"),
    [
        ("a.png", drawn("L", GREY), {}, [GREY]),
        ("a.png", drawn("1", 1), {}, [255]),
        ("a.png", drawn("LA", (GREY, 255)), {}, [GREY]),
        ("a.png", drawn("LA", (0, 0)), {}, [255]),
        ("a.png", drawn("L", GREY), {"transparency": GREY}, [255]),
        ("a.png", Image.fromarray(np.full((3, 3), 0x4DFF, np.uint16)), {}, [0x4D]),
        ("a.png", drawn("RGBA", (*RED, 255)), {}, RED),
        ("a.png", drawn("RGBA", (*RED, 0)), {}, (255, 255, 255)),
        ("a.png", palette(), {}, RED),
        ("a.png", palette(), {"transparency": 1}, (255, 255, 255)),
        ("a.gif", palette(), {"save_all": True, "append_images": [drawn("RGB", "blue")]}, RED),
        ("a.tif", drawn("CMYK", (0, 255, 255, 0)), {}, RED),
    ],
)
def test_every_mode_becomes_grey_or_rgb(
    name: str, picture: Image.Image, options: dict[str, Any], expected: Any, tmp_path: Path
) -> None:
    save(tmp_path / name, picture, **options)
    assert read_picture(tmp_path / name, 3)[:, 1, 1].tolist() == [*expected]


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # the picture's left side is at the top of the scene's right
    pixels = np.zeros((8, 8), np.uint8)
    pixels[0] = 255
    save(tmp_path / "a.png", pixels, exif=turned)
    assert (read_picture(tmp_path / "a.png", 8)[0] == np.rot90(pixels, -1)).all()


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return fill(tmp_path / "pets", {"cat": 6, "dog": 6})


def on_pets(tmp_path: Path, *overrides: str, experiment: str = "mnist_capsnet_r3_recon") -> Any:
    where = ("data=images", f"data.path={tmp_path / 'pets'}")
    return tiny(tmp_path / "data", *where, *overrides, experiment=experiment)


@pytest.mark.usefixtures("pets")
def test_the_prepared_folder_is_what_a_run_remembers(tmp_path: Path) -> None:
    """So that later commands find the data, also where the pictures are no longer."""
    run = on_pictures(on_pets(tmp_path))
    assert re.fullmatch("images-[0-9a-f]{16}", run.data.source)
    moved = tmp_path / "elsewhere"
    (tmp_path / "pets").rename(moved)
    assert on_pictures(run).data == run.data
    info = load_dataset(run).info
    assert (info.name, info.image, info.class_names) == ("pets", (1, 32, 32), ("cat", "dog"))
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(UserError, match="pets is not a folder"):
        located(run.data)
    moved.rename(tmp_path / "pets")
    assert located(run.data) == run.data
    assert load_dataset(run).info == info


def test_the_same_pictures_elsewhere_are_the_same_data(pets: Path, tmp_path: Path) -> None:
    here = on_pictures(on_pets(tmp_path))
    shutil.copytree(pets, tmp_path / "other/animals")
    other = f"data.path={tmp_path / 'other/animals'}"
    there = on_pictures(on_pets(tmp_path, other, f"data.root={tmp_path / 'else'}"))
    assert (here.name, there.name) == ("pets_capsnet_r3_recon", "animals_capsnet_r3_recon")
    assert config_digest(here) == config_digest(there)
    assert load_dataset(here).digest == load_dataset(there).digest


@pytest.mark.parametrize("change", ["bytes", "name", "size", "channels", "share"])
def test_a_change_makes_another_data_set(change: str, pets: Path, tmp_path: Path) -> None:
    before = located(own(tmp_path))
    values: dict[str, Any] = {"size": {"size": 33}, "channels": {"channels": 3}}.get(change, {})
    if change == "share":
        values = {"test_share": 0.5}
    elif change == "name":
        (pets / "cat/5.png").rename(pets / "cat/seven.png")
    elif change == "bytes":
        shutil.copy(pets / "dog/0.png", pets / "cat/5.png")
    after = located(own(tmp_path, **values))
    assert after.source != before.source
    if change in ("bytes", "name"):
        shutil.rmtree(tmp_path / "data" / before.source)
        with pytest.raises(UserError, match="no longer holds the pictures that it was prepared"):
            located(before)


@pytest.mark.usefixtures("pets")
def test_unchanged_pictures_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = located(own(tmp_path))
    monkeypatch.setattr(pictures, "read_picture", None)
    assert located(own(tmp_path)) == first


@pytest.mark.usefixtures("pets")
def test_runs_that_begin_at_once_prepare_them_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: located(own(tmp_path)), range(8))]
    assert {one.source for one in found} == {found[0].source}
    assert capsys.readouterr().out.count("training and") == 1


@pytest.mark.usefixtures("pets")
@pytest.mark.parametrize(
    ("experiment", "name"),
    [("mnist_baseline", "pets_baseline"), ("affnist_capsnet_r1", "pets_capsnet_r1")],
)
def test_a_run_has_no_name_of_the_papers(experiment: str, name: str, tmp_path: Path) -> None:
    assert on_pictures(on_pets(tmp_path, experiment=experiment)).name == name


def test_pictures_in_a_folder_called_mnist_are_not_taken_for_the_papers(tmp_path: Path) -> None:
    fill(tmp_path / "mnist", {"0": 2, "1": 2})
    run = on_pictures(on_pets(tmp_path, f"data.path={tmp_path / 'mnist'}", "name=mnist_baseline"))
    assert run.name == "own_mnist_baseline"
    assert on_pictures(on_pets(tmp_path, f"data.path={tmp_path / 'mnist'}", "name=x")).name == "x"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("data=images",), "data.path = null is not possible: it must be the folder of"),
        (("data.source=images",), "data.path = null is not possible: it must be the folder of"),
        (("data.size=28",), "data.size = 28 is not possible: it must be left out without data.pa"),
        (("data=images", "data.path=pets", "data.size=0"), "it must be at least 1 and at most 128"),
        (("data=images", "data.path=pets", "data.test_share=1"), "above 0 and below 1"),
        (("data=images", "data.path=pets", "data.channels=2"), "data.channels = 2 is not possible"),
    ],
)
def test_settings_of_pictures_need_pictures(
    overrides: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        tiny(tmp_path, *overrides)


@pytest.mark.usefixtures("pets")
def test_trained_weights_are_tested_on_other_pictures(tmp_path: Path) -> None:
    run: RunConfig = on_pictures(on_pets(tmp_path, "data.size=20"))
    fill(tmp_path / "more", {"cat": 2, "dog": 2})
    assert with_data(run, []) == run
    other = with_data(run, [f"data.path={tmp_path / 'more'}"])
    assert other.data.source not in (run.data.source, "images")
    assert (load_dataset(other).info.name, load_dataset(other).image) == ("more", (1, 20, 20))


@pytest.mark.usefixtures("pets")
def test_they_are_prepared_by_a_command_as_well(tmp_path: Path) -> None:
    code, printed = output_here("prepare", "images", "pets", "--size", "20", cwd=tmp_path)
    name = located(own(tmp_path, size=20)).source
    told = f"data/{name}: 10 training and 2 test pictures of 2 classes, 1×20×20\n"
    assert (code, printed) == (0, told)
    code, printed = output_here("prepare", "images", "cats", cwd=tmp_path)
    assert (code, printed.count("\n")) == (1, 1), printed
    assert "cats is not a folder" in printed
