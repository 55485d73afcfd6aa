"""affNIST: the maps do what their names say, lose no ink, and the official file is read upright."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.io import savemat
from scipy.ndimage import affine_transform
from scipy.stats import kstest

from capsnet.compose import composed
from capsnet.data import affnist, affnist_official, storage
from capsnet.data.affnist import random_transforms, render, sampling
from capsnet.data.affnist_official import read_mat
from capsnet.data.storage import LabelledImages
from capsnet.errors import UserError
from capsnet.prepare import prepare
from helpers.rendered import DEVICES, digest, grey

GOLDEN = {"digits": "ebb7653c65a815c1", "mnist": "cefbd840b7eb334a"}
STILL = {
    "rotation": 0,
    "shear": 0,
    "expansion_down": 1,
    "expansion_right": 1,
    "shift_down": 0,
    "shift_right": 0,
}


def mapped(images: NDArray[np.uint8], **changes: float) -> NDArray[np.uint8]:
    row = np.array([list((STILL | changes).values())], np.float32)
    return rendered(images, np.repeat(row, len(images), 0))


def rendered(
    images: NDArray[np.uint8], transforms: NDArray[np.float32], device: str = "cpu"
) -> NDArray[np.uint8]:
    arrays = images, sampling(transforms)
    return render(*(torch.from_numpy(array).to(device) for array in arrays)).cpu().numpy()


def dot(row: int, column: int) -> NDArray[np.uint8]:
    """One pixel of ink; the middle of the digit is (13.5, 13.5), that of the frame (19.5, 19.5)."""
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, row, column] = 255
    return image


def place(image: NDArray[np.uint8]) -> tuple[float, float]:
    """The middle of the ink, from the middle of the frame."""
    rows, columns = np.indices(image.shape) - 19.5
    ink = image.astype(float) / image.sum(dtype=float)
    return float((rows * ink).sum()), float((columns * ink).sum())


def test_columns_have_the_order_of_these_tests() -> None:
    assert tuple(STILL) == affnist.COLUMNS


def test_the_identity_gives_the_padded_digit(digits: LabelledImages) -> None:
    images = digits.test_images[:50, 0]
    np.testing.assert_array_equal(mapped(images), np.pad(images, ((0, 0), (6, 6), (6, 6))))


def test_whole_shifts_move_whole_pixels(digits: LabelledImages) -> None:
    images = digits.test_images[:50, 0]
    expected = np.pad(images, ((0, 0), (6, 6), (6, 6)))
    expected = np.roll(expected, (3, -5), (1, 2))
    np.testing.assert_array_equal(mapped(images, shift_down=3, shift_right=-5), expected)


@pytest.mark.parametrize(
    ("angle", "expected"),
    [(90, (-8.5, 0.5)), (-90, (8.5, -0.5)), (180, (-0.5, -8.5)), (360, (0.5, 8.5))],
)
def test_a_rotation_is_anticlockwise(angle: float, expected: tuple[float, float]) -> None:
    """A pixel far to the right of the middle goes up at 90°."""
    assert place(mapped(dot(14, 22), rotation=angle)[0]) == pytest.approx(expected)


def test_shear_moves_what_is_lower_to_the_right() -> None:
    assert place(mapped(dot(20, 14), shear=1)[0]) == pytest.approx((6.5, 0.5 + 6.5))
    assert place(mapped(dot(7, 14), shear=1)[0]) == pytest.approx((-6.5, 0.5 - 6.5))


def test_expansion_stretches_one_axis() -> None:
    down = mapped(dot(20, 16), expansion_down=2)[0]
    right = mapped(dot(20, 16), expansion_right=2)[0]
    assert place(down) == pytest.approx((13, 2.5))
    assert place(right) == pytest.approx((6.5, 5))


def test_expansion_comes_first_and_rotation_last() -> None:
    shown = mapped(dot(19, 14), expansion_down=2, shear=1, rotation=90)[0]
    assert place(shown) == pytest.approx((-(0.5 + 11), 11), abs=0.01)


def test_a_shift_conserves_ink(digits: LabelledImages) -> None:
    """To within the rounding of each pixel to a whole grey."""
    images = digits.test_images[:100, 0]
    shown = mapped(images, shift_down=2.37, shift_right=-3.81).sum((1, 2), dtype=int)
    ink = images.sum((1, 2), dtype=int)
    assert (abs(shown - ink) <= 0.5 * (mapped(images, shift_down=0.5) > 0).sum((1, 2)) + 50).all()
    assert abs(shown.sum() / ink.sum() - 1) < 0.001


def test_ink_at_the_edge_of_a_digit_is_not_smeared() -> None:
    full = np.full((1, 28, 28), 200, np.uint8)
    shown = mapped(full, shift_down=0.5)[0]
    assert (shown[[6, 34], 6:34] == 100).all()
    assert (shown[7:34, 6:34] == 200).all()
    assert shown.sum(dtype=int) == full.sum(dtype=int)


@pytest.mark.parametrize("device", DEVICES)
def test_no_copy_loses_ink_and_all_agree_with_scipy(digits: LabelledImages, device: str) -> None:
    """Drawn by another hand into a larger frame: the same inside, and nothing outside."""
    images = digits.test_images[:40, 0]
    transforms = np.concatenate([random_transforms(images, copy, 0) for copy in range(5)])
    shown = rendered(np.tile(images, (5, 1, 1)), transforms, device)
    np.testing.assert_array_equal(shown, rendered(np.tile(images, (5, 1, 1)), transforms))
    for index, transform in enumerate(transforms):
        drawn = drawn_by_scipy(images[index % 40], transform)
        inside = drawn[10:50, 10:50]
        assert drawn.sum() - inside.sum() < 0.01
        assert abs(shown[index] - inside).max() < 0.51


def drawn_by_scipy(image: NDArray[np.uint8], transform: NDArray[np.float32]) -> NDArray[np.float64]:
    """The definition in `affnist`'s docstring, step by step, into a 60×60 frame."""
    angle, shear, down, right, *shift = transform.astype(float)
    turn = np.deg2rad(angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    inverse = np.linalg.inv(rotation @ [[1, 0], [shear, 1]] @ np.diag([down, right]))
    padded = np.pad(image.astype(float), 20)
    offset = np.full(2, 33.5) - inverse @ (np.full(2, 29.5) + shift)
    return affine_transform(padded, inverse, offset.tolist(), (60, 60), order=1)


def test_all_ranges_are_uniform(digits: LabelledImages) -> None:
    transforms = np.concatenate(
        [random_transforms(digits.test_images[:, 0], c, 0) for c in range(6)]
    )
    for column, (low, high) in zip(transforms.T, affnist.RANGES.values(), strict=False):
        assert kstest(column, "uniform", (low, high - low)).pvalue > 0.001


@pytest.mark.slow
def test_shifts_use_all_the_room_there_is() -> None:
    """A dot under the identity may go to any place of the frame, its edges included."""
    images = np.repeat(dot(14, 14), 4000, 0)
    shifts = random_transforms(images, 0, 0)
    shown = rendered(images, shifts)
    places = np.array([place(image) for image in shown])
    assert (abs(places) <= 19.5).all()
    assert (abs(places).max(0) > 19).all()
    assert kstest(places[:, 0], "uniform", (-20, 40)).pvalue > 0.001
    assert kstest(places[:, 1], "uniform", (-20, 40)).pvalue > 0.001


def test_a_map_depends_on_digit_and_copy_alone(digits: LabelledImages) -> None:
    images = digits.test_images[:, 0]
    whole = random_transforms(images, 3, 0)
    np.testing.assert_array_equal(random_transforms(images[70:80], 3, 0, first=70), whole[70:80])
    assert (random_transforms(images, 4, 0) != whole).any(1).all()
    assert (random_transforms(images, 3, 1) != whole).any(1).all()


def test_generated_copies_are_prepared_and_read(digits: LabelledImages, tmp_path: Path) -> None:
    affnist.prepare(tmp_path / "a", digits, copies=3)
    split = affnist.read(tmp_path / "a", digits)
    assert len(split) == 3 * 500
    examples = split.examples(torch.tensor([7, 507, 1007]), None)
    assert examples.images.shape == examples.parts[:, 0].shape == (3, 1, 40, 40)
    assert (examples.labels == digits.test_labels[7]).all()
    manifest, arrays = storage.read(tmp_path / "a")
    assert manifest["source"] == "affnist-generated"
    assert manifest["digits_source"] == "uci-digits"
    assert tuple(manifest["columns"]) == affnist.COLUMNS
    assert arrays["test_transforms"].shape == (1500, 6)


@pytest.mark.slow
@pytest.mark.parametrize("source", GOLDEN)
def test_the_first_thousand_are_what_they_were(
    source: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    digits = request.getfixturevalue(source)
    affnist.prepare(tmp_path / "a", digits, copies=2)
    assert digest(affnist.read(tmp_path / "a", digits)) == GOLDEN[source]


@pytest.fixture(scope="module")
def squares(digits: LabelledImages) -> NDArray[np.uint8]:
    return np.pad(digits.test_images[:60, 0], ((0, 0), (6, 6), (6, 6)))


@pytest.fixture
def official(digits: LabelledImages, squares: NDArray[np.uint8]) -> dict[str, Any]:
    """The fields of the official struct: MATLAB runs down the columns of an image."""
    labels = digits.test_labels[:60]
    return {
        "original_id": np.arange(60)[None],
        "image": squares.transpose(0, 2, 1).reshape(60, 1600).T,
        "label_one_of_n": np.eye(10)[labels].T,
        "label_int": labels[None].astype(np.uint8),
        "human_readable_transform": np.arange(360.0).reshape(6, 60),
    }


def mat(folder: Path, struct: Any, name: str = "affNISTdata") -> Path:
    path = folder / "test.mat"
    savemat(path, {name: struct}, do_compression=True)
    return path


def test_the_official_file_is_read_upright(
    official: dict[str, Any], squares: NDArray[np.uint8], digits: LabelledImages, tmp_path: Path
) -> None:
    arrays = read_mat(mat(tmp_path, official), count=60)
    assert (squares != squares.transpose(0, 2, 1)).any((1, 2)).all()
    np.testing.assert_array_equal(arrays["test_images"], squares)
    np.testing.assert_array_equal(arrays["test_labels"], digits.test_labels[:60])
    np.testing.assert_array_equal(arrays["test_transforms"][1], np.arange(1, 360, 60))


def test_pixels_that_run_the_other_way_are_noticed(
    official: dict[str, Any], squares: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = mat(tmp_path, official | {"image": squares.reshape(60, 1600).T})
    with pytest.raises(UserError, match="ones lie on their side; try --pixels rows"):
        read_mat(path, count=60)
    np.testing.assert_array_equal(read_mat(path, 60, "rows")["test_images"], squares)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"image": np.zeros((1600, 59), np.uint8)}, r"uint8 \(1600, 59\), not uint8 \(1600, 60\)"),
        ({"image": np.zeros((784, 60), np.uint8)}, r"\(784, 60\), not"),
        ({"image": np.zeros((1600, 60))}, "float64"),
        ({"label_int": np.zeros((1, 59), np.uint8)}, "not 60 digits"),
        ({"label_int": np.full((1, 60), 10, np.uint8)}, "digits from 0 to 9"),
    ],
)
def test_wrong_shapes_and_counts_are_named(
    official: dict[str, Any], change: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=complaint):
        read_mat(mat(tmp_path, official | change), count=60)


def test_files_of_another_kind_are_named(official: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no MATLAB struct affNISTdata"):
        read_mat(mat(tmp_path, official, "other"), 60)
    with pytest.raises(UserError, match="no MATLAB struct affNISTdata"):
        read_mat(mat(tmp_path, np.zeros((3, 3))), 60)
    del official["label_int"]
    with pytest.raises(UserError, match="has no label_int"):
        read_mat(mat(tmp_path, official), 60)
    (tmp_path / "test.mat").write_bytes(b"not a MATLAB file" * 20)
    with pytest.raises(UserError, match=TRUNCATED):
        read_mat(tmp_path / "test.mat", 60)


TRUNCATED = r"^test\.mat(\.zip)? is truncated or no MATLAB 5 file \("


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("packed", [False, True], ids=["mat", "zip"])
def test_a_truncated_file_is_named(
    official: dict[str, Any], share: float, packed: bool, tmp_path: Path
) -> None:
    path = (zipped if packed else mat)(tmp_path, official)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=TRUNCATED):
        read_mat(path, 60)


def test_a_zip_with_altered_content_is_named(official: dict[str, Any], tmp_path: Path) -> None:
    path = zipped(tmp_path, official)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match=TRUNCATED):
        read_mat(path, 60)


def zipped(folder: Path, struct: Any) -> Path:
    path = folder / "test.mat.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(mat(folder, struct), "test.mat")
    return path


def test_the_zip_is_fetched_from_a_mirror_and_its_md5_remembered(
    official: dict[str, Any],
    squares: NDArray[np.uint8],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mirror, folder = tmp_path / "mirror", tmp_path / "data" / "affnist-official"
    mirror.mkdir()
    file = zipped(mirror, official)
    monkeypatch.setenv(affnist_official.MIRROR, str(mirror))
    for _ in range(2):
        affnist_official.prepare(folder, count=60)
    split = affnist_official.read(folder)
    np.testing.assert_array_equal(grey(split, torch.arange(60)), squares)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["source"] == "affnist-official"
    assert manifest["file_md5"] == storage.md5(file)
    assert len(list(folder.iterdir())) == 4
    zipped(mirror, official | {"original_id": np.zeros((1, 60))})
    with pytest.raises(UserError, match="to trust the new one"):
        affnist_official.prepare(folder, count=60)
    assert len(affnist_official.read(folder)) == 60


def test_the_official_copies_are_of_mnist_alone(digits: LabelledImages) -> None:
    run = composed("experiment=affnist_capsnet", "data=affnist_official", "data.source=digits")
    with pytest.raises(UserError, match=r"made of mnist, not of uci-digits: use data=affnist"):
        affnist_official.load(run.data, digits, 0, 0)


def test_a_missing_official_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "affnist-official"
    with pytest.raises(UserError, match=r"nowhere\.mat does not exist"):
        prepare("affnist-official", folder, file=tmp_path / "nowhere.mat")
    monkeypatch.setenv(affnist_official.MIRROR, str(tmp_path / "empty"))
    with pytest.raises(UserError, match=f"could not get .* Set {affnist_official.MIRROR}"):
        prepare("affnist-official", folder)
    assert list(tmp_path.iterdir()) == []
