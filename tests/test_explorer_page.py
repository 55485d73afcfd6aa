"""The explorer as a person uses it: started by its command, opened in a real browser."""

import base64
import io
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from capsnet.data.multimnist import render
from capsnet.data.storage import LabelledImages
from capsnet.explorer import drawing
from capsnet.prepare import prepare
from capsnet.train import train
from helpers.browser import chromium, visit
from helpers.explored import (
    HEIGHT,
    NAMES,
    WIDTH,
    free_port,
    open_signs,
    prepare_signs,
    serving,
    untrained,
)
from helpers.running import DEADLINE, tiny

pytestmark = pytest.mark.slow

__all__ = ["chromium"]

SHORT = ("schedule.steps=20", "schedule.decay_steps=100", "schedule.batch=32", "logger=csv")
WAIT = 20_000  # milliseconds, of a machine that has other things to do


@pytest.fixture(scope="module")
def place(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo has left its checkpoint."""
    folder = tmp_path_factory.mktemp("explore")
    train(tiny(data_root, *SHORT), folder / "runs/demo/mnist_capsnet_r3_recon/seed0")
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(chromium: Browser, place: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Started as a user starts it, without a checkpoint; it has said that it serves."""
    with serving(place, port) as process:
        yield process


@pytest.fixture
def page(chromium: Browser, server: subprocess.Popen[str], port: int) -> Iterator[Page]:
    """The page with its first answer; no error and no request abroad until the test is done."""
    with visit(chromium, f"http://127.0.0.1:{port}") as visited:
        visited.page.set_default_timeout(WAIT)
        expect.set_options(timeout=WAIT)
        expect(visited.page.locator(".verdict")).to_contain_text("Answer")
        yield visited.page


def picture(page: Page, selector: str) -> np.ndarray:
    """Return the pixels of an image on the page."""
    source = page.locator(selector).get_attribute("src") or ""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))


def lengths(page: Page) -> list[str]:
    return page.locator(".lengths .number").all_text_contents()


def press(page: Page, slider: str, key: str, times: int) -> None:
    page.locator(f'.q-slider[aria-label="{slider}"] [tabindex]').focus()
    for _ in range(times):
        page.keyboard.press(key)


def changes(page: Page, selector: str, before: str | None) -> None:
    """Wait until an image is another one."""
    expect(page.locator(selector)).not_to_have_attribute("src", before or "")


def becomes(page: Page, selector: str, pixels: np.ndarray, near: int = 0) -> None:
    """Wait until an image shows `pixels`."""
    for _ in range(WAIT // 50):
        shown = picture(page, selector).astype(int)
        if shown.shape == pixels.shape and np.abs(shown - pixels).max() <= near:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{selector} never showed what was expected")


RECONSTRUCTION = ".pictures .reconstruction img"
SEEN = ".seen img"


def test_it_opens_with_the_first_test_example(page: Page, digits: LabelledImages) -> None:
    assert np.array_equal(picture(page, SEEN), digits.test_images[0, 0])
    assert f"label {digits.test_labels[0]}" in page.inner_text(".seen figcaption")
    longest = int(np.argmax([float(length) for length in lengths(page)]))
    assert page.inner_text(".verdict").startswith(f"Answer: {longest}, ")
    assert page.locator(".bar[aria-pressed=true]").get_attribute("aria-label") == (
        f"capsule {longest}, length {lengths(page)[longest]}"
    )
    weights = page.inner_text(".weights")
    assert "DEMO" in weights
    assert "in place of the paper's data" in weights
    assert "20 steps of 32 (the paper: 300,000 of 128)" in weights
    assert re.fullmatch(  # routing starts from equal shares
        rf"to {longest}: mean 0\.100, 0\.100 to 0\.100",
        page.inner_text(".iteration .mean >> nth=0"),
    )
    assert page.locator(".iteration .axis >> nth=0").locator("span").all_text_contents() == [
        str(digit) for digit in range(10)
    ]
    assert page.locator(".iteration").count() == 3
    assert page.locator("img:not([alt]), button:empty").count() == 0


def test_a_dimension_moves_the_reconstruction_and_comes_back(page: Page) -> None:
    value = page.locator(".pose-number .value").nth(3)
    still, source = value.inner_text(), page.locator(RECONSTRUCTION).get_attribute("src")
    press(page, "dimension 4", "ArrowRight", 20)
    expect(value).to_have_text(signed(number(still) + 0.2))
    expect(page.locator(".pose-number .change").nth(3)).to_have_text("(+0.20)")
    changes(page, RECONSTRUCTION, source)
    page.get_by_role("button", name="Undo all changes").click()
    expect(value).to_have_text(still)
    expect(page.locator(".pose-number .change").nth(3)).to_have_text("")
    expect(page.locator(RECONSTRUCTION)).to_have_attribute("src", source or "")
    slider = page.locator('.q-slider[aria-label="dimension 4"]')
    expect(slider).to_have_attribute("aria-valuenow", "0")


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def signed(value: float) -> re.Pattern[str]:
    """To the last digit shown, whichever way it was rounded before."""
    near = (value - 0.01, value, value + 0.01)
    return re.compile("|".join(re.escape(f"{one:+.2f}".replace("-", "−")) for one in near))


def test_another_example_and_another_capsule(page: Page, digits: LabelledImages) -> None:
    source = page.locator(SEEN).get_attribute("src")
    page.get_by_label("test example").fill("123")
    changes(page, SEEN, source)
    expect(page.locator(".seen figcaption")).to_contain_text(f"label {digits.test_labels[123]}")
    assert np.array_equal(picture(page, SEEN), digits.test_images[123, 0])
    page.get_by_role("button", name="next").click()
    expect(page.locator(".seen figcaption")).to_contain_text(f"label {digits.test_labels[124]}")
    longest = page.locator(".bar[aria-pressed=true] .class").inner_text()
    other = str((int(longest) + 1) % 10)
    source = page.locator(RECONSTRUCTION).get_attribute("src")
    page.locator(".bar").nth(int(other)).click()
    expect(page.locator(".pictures .title")).to_have_text(
        f"Capsule {other} (chosen: the longest is {longest})"
    )
    changes(page, RECONSTRUCTION, source)
    page.locator(".bar").nth(int(other)).click()
    expect(page.locator(".pictures .title")).to_have_text(f"Capsule {longest}")


def test_a_stroke_is_drawn_and_answered(page: Page) -> None:
    page.get_by_role("button", name="Draw").click()
    expect(page.locator(".seen figcaption")).to_contain_text("no label")
    before = lengths(page)
    pad = page.locator(".pad").bounding_box()
    assert pad is not None
    line = [(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)]
    at = [(pad["x"] + x * pad["width"], pad["y"] + y * pad["height"]) for x, y in line]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point)
    page.mouse.up()
    expect(page.locator(".lengths .number").first).not_to_have_text(before[0])
    page.wait_for_function("document.querySelector('.pad path').getAttribute('d').includes('L')")
    becomes(page, SEEN, drawing.digit([line]), near=64)  # a screen has pixels too
    assert lengths(page) != before
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".lengths .number").first).to_have_text(before[0])
    assert page.locator(".pad path").get_attribute("d") == ""


def test_a_finger_draws_too(chromium: Browser, server: object, port: int) -> None:
    context = chromium.new_context(has_touch=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{port}")
    page.get_by_role("button", name="Draw").click()
    expect(page.locator(".seen figcaption")).to_contain_text("no label")
    blank = page.locator(SEEN).get_attribute("src")
    page.locator(".pad").tap()
    changes(page, SEEN, blank)
    # A narrow window shows everything without scrolling sideways.
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_the_capsule_follows_a_turn(page: Page) -> None:
    page.locator(".bar").nth(4).click()  # the longest may be another one after the turn
    expect(page.locator(".chart .title")).to_have_text("Capsule 4 over “turn”")
    expect(page.locator(".chart.waiting")).to_have_count(0)
    expect(page.locator(".chart .lines polyline")).to_have_count(16)
    before, source = lengths(page), page.locator(SEEN).get_attribute("src")
    curves = page.locator(".chart .lines").inner_html()
    numbers = page.locator(".pose-number .value").all_text_contents()
    press(page, "turn", "ArrowRight", 3)
    expect(page.locator(".move", has_text="turn").locator(".value")).to_have_text("+12°")
    changes(page, SEEN, source)
    expect(page.locator(".marker")).to_have_attribute("style", re.compile(r"left: ?64\.29%"))
    assert "moved by the sliders below" in page.inner_text(".seen figcaption")
    assert lengths(page) != before
    assert page.locator(".pose-number .value").all_text_contents() != numbers
    assert page.locator(".chart .lines").inner_html() == curves  # the same slider, another place
    press(page, "shift right", "ArrowRight", 2)
    expect(page.locator(".chart .title")).to_have_text(re.compile("over “shift right”"))
    expect(page.locator(".moves .note")).to_contain_text("up to 2 px")
    page.wait_for_function(
        "curves => document.querySelector('.chart .lines').innerHTML !== curves", arg=curves
    )


def test_a_number_of_no_example_is_refused_beside_its_field(page: Page) -> None:
    source = page.locator(SEEN).get_attribute("src")
    page.get_by_label("test example").fill("99999")
    expect(page.locator(".example")).to_contain_text(
        "Type a whole number from 0 to 499; the last picture stays"
    )
    assert page.locator(SEEN).get_attribute("src") == source


@contextmanager
def first_answer(chromium: Browser, folder: Path, checkpoint: str) -> Iterator[Page]:
    """Serve a checkpoint and open its page; no error and no request abroad until the end."""
    port = free_port()
    with serving(folder, port, checkpoint), visit(chromium, f"http://127.0.0.1:{port}") as visited:
        visited.page.set_default_timeout(WAIT)
        expect(visited.page.locator(".verdict")).to_contain_text("Answer")
        yield visited.page


def test_coloured_images_of_43_classes(chromium: Browser, tmp_path: Path) -> None:
    images = prepare_signs(tmp_path)
    open_signs(tmp_path, tmp_path / "run")
    with first_answer(chromium, tmp_path, "run") as page:
        becomes(page, SEEN, images[0].transpose(1, 2, 0))
        assert picture(page, RECONSTRUCTION).shape == (HEIGHT, WIDTH, 3)
        assert page.inner_text(".seen figcaption").endswith(f"label {NAMES[0]}")
        assert page.locator(".input .q-btn-group").is_hidden()  # neither a pen nor pairs
        assert page.locator(".bar .class").all_text_contents() == NAMES
        expect(page.locator(".bar.selected")).to_be_in_viewport()  # the bars have scrolled to it
        page.locator(".bar").nth(42).click()
        expect(page.locator(".pictures .title")).to_contain_text("Capsule sign 42")
        expect(page.locator(".chart .lines polyline")).to_have_count(16)
        expect(page.locator(".chart.waiting")).to_have_count(0)
        assert picture(page, ".curves img >> nth=0").shape == (HEIGHT, 7 * WIDTH, 3)
        assert page.locator("img.ink").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_two_digits_are_told_apart_in_red_and_green(
    chromium: Browser, data_root: Path, tmp_path: Path, digits: LabelledImages
) -> None:
    prepare("multimnist-digits", data_root / "multimnist-digits", count=2)
    untrained(data_root, tmp_path / "run", experiment="multimnist_capsnet_r3_recon")
    with first_answer(chromium, tmp_path, "run") as page:
        page.get_by_role("button", name="Two at once").click()
        expect(page.locator(".pair .value").first).to_have_text("−4 px")
        press(page, "red right", "ArrowLeft", 1)
        expect(page.locator(".pair .value").first).to_have_text("−5 px")
        other = int(np.argmax(digits.test_labels != digits.test_labels[0]))
        which, shifts = np.array([[0], [other]]), np.array([[[-4, -5]], [[4, 4]]])
        images = digits.test_images[:, 0]
        becomes(page, SEEN, render(images, which[0], shifts[0], which[1], shifts[1])[0])
        labels = [int(digits.test_labels[place]) for place in (0, other)]
        assert f"label {labels[0]} and {labels[1]}" in page.inner_text(".seen figcaption")
        expect(page.locator(".pictures .green img")).to_be_visible()
        both = picture(page, RECONSTRUCTION)
        assert np.array_equal(both[..., 0], picture(page, ".pictures .red img"))
        assert np.array_equal(both[..., 1], picture(page, ".pictures .green img"))
        assert not both[..., 2].any()


def test_only_this_machine_is_served(server: subprocess.Popen[str], port: int) -> None:
    listening = [
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    ]
    assert listening == [f"0100007F:{port:04X}"]  # 127.0.0.1, its bytes the other way round


def test_control_c_ends_it_without_a_word(
    chromium: Browser, server: subprocess.Popen[str], port: int, place: Path
) -> None:
    page = chromium.new_page()
    page.goto(f"http://127.0.0.1:{port}")
    server.send_signal(signal.SIGINT)
    printed, _ = server.communicate(timeout=DEADLINE)
    assert (server.returncode, printed) == (0, "")
    page.close()
    assert sorted(path.name for path in place.iterdir()) == ["runs"]  # it leaves nothing behind
