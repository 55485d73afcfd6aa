"""The report page in a real browser: narrow and wide, light and dark, by pointer and keyboard."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from capsnet.records.record import read_arrays, write_record
from capsnet.report.figures.draw import draw
from capsnet.report.web.page import page as report_page
from helpers.browser import chromium, visit
from helpers.records import record

pytestmark = pytest.mark.slow

__all__ = ["chromium"]
PROJECT = Path(__file__).parents[1]
RECORD = "multimnist_capsnet_r3_recon"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the 500 steps on real MNIST, with a made-up sweep."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT / "results/steps500", folder / "results/steps500")
    assert list(draw(folder / "results/steps500", folder / "results/steps500-figures"))
    for iterations, errors in ((1, 40), (3, 25)):
        model = {"name": "capsnet", "width": 1.0, "routing_iterations": iterations}
        write_record(record(errors, model=model), folder / f"swept/{iterations}/record.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        (folder / "page.html").write_text(
            report_page(folder / "results/steps500", folder / "swept")
        )
    return (folder / "page.html").as_uri()


def drawn(page: Page) -> Page:
    page.wait_for_selector("html[data-drawn]")
    return page


# Of each text that is seen: what it says, its colour and the first opaque colour behind it.
SEEN = """() => {
  const opaque = (colour) => !/rgba\\(.*, 0(\\.\\d+)?\\)|transparent/.test(colour);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (opaque(colour)) return colour;
    }
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement, words = walker.currentNode.data.trim();
    if (!words || ["SCRIPT", "STYLE"].includes(one.tagName) || !one.checkVisibility()) continue;
    const svg = one.namespaceURI.endsWith("svg"), style = getComputedStyle(one);
    found.push([words, svg ? style.fill : style.color, behind(one)]);
  }
  return found;
}"""

BEYOND = """() => [...document.body.querySelectorAll("*")].filter((one) =>
    one.checkVisibility() && !one.closest(".scroll, .skip, svg, .unseen")
    && one.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.outerHTML)"""
SCROLLING = """() => [...document.querySelectorAll("section > .rows")].some((one) =>
    one.scrollWidth > one.clientWidth)"""


def luminance(colour: str) -> float:
    """WCAG's, of 'rgb(1, 2, 3)'."""
    shares = [int(part) / 255 for part in colour[4:-1].split(",")]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_overflows_and_all_text_can_be_read(
    chromium: Browser, url: str, width: int, dark: bool
) -> None:
    with visit(chromium, url, width, dark=dark) as visited:
        page = drawn(visited.page)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(BEYOND) == []
        assert page.evaluate(SCROLLING) == (width == 360)
        seen: list[list[str]] = page.evaluate(SEEN)
        said = {words for words, *_ in seen}
        assert {"none: short schedule", "8,617 / 20,000", "training step"} <= said
        faint = [
            (words, colour, behind)
            for words, colour, behind in seen
            if (max(luminance(colour), luminance(behind)) + 0.05)
            / (min(luminance(colour), luminance(behind)) + 0.05)
            < 4.5
        ]
        assert faint == []
        assert (luminance(seen[-1][2]) < 0.2) == dark


def test_a_phone_shows_our_numbers_and_figures_to_their_edge(chromium: Browser, url: str) -> None:
    with visit(chromium, url, 390, 844) as visited:
        page = drawn(visited.page)
        table = page.locator("#results table").nth(1)  # of MultiMNIST
        box = table.get_by_role("columnheader", name="ours %").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
        for picture in page.locator("#figures img").all():
            box = picture.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= 390
            assert picture.evaluate("one => one.complete && one.naturalWidth > 0")


def test_the_reader_may_choose_light_or_dark(chromium: Browser, url: str) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with visit(chromium, url) as visited:
        before = luminance(visited.page.evaluate(background))
        visited.page.get_by_role("button", name="Change between light and dark").click()
        assert luminance(visited.page.evaluate(background)) < 0.1 < before


def facts(page: Page) -> dict[str, str]:
    """Return the open sections, by name."""
    opened = page.locator(".facts:popover-open")
    opened.wait_for()
    rows = opened.locator("dl > div").all()
    return {row.locator("dt").inner_text(): row.locator("dd").inner_text() for row in rows}


def closed(page: Page) -> None:
    page.locator(".facts:popover-open").wait_for(state="detached")


def test_a_number_tells_its_run_on_hover_and_on_focus(chromium: Browser, url: str) -> None:
    with visit(chromium, url) as visited:
        page = drawn(visited.page)
        number = page.locator("#results").get_by_role("button", name="43.09")
        number.hover()
        told = facts(page)
        assert told["experiment"] == RECORD
        assert (told["seed"], told["batch"], told["steps"]) == ("0", "128", "500 of 500")
        assert told["commit"] == "aed6fde, clean"
        page.mouse.move(5, 5)
        closed(page)
        page.locator("#results").get_by_role("button", name="42.98").focus()
        page.keyboard.press("Tab")  # as the keyboard comes to it
        assert facts(page) == told
        page.keyboard.press("Escape")
        closed(page)
        assert number.evaluate("one => one === document.activeElement")
        page.keyboard.press("Enter")
        assert facts(page) == told


def test_a_tap_opens_facts_within_a_phones_screen(chromium: Browser, url: str) -> None:
    with visit(chromium, url, 360, 780) as visited:
        page = drawn(visited.page)
        page.locator("#runs").get_by_role("button", name=f"{RECORD}, seed 0").click()
        assert facts(page)["errors"] == "8,617 / 20,000"
        box = page.locator(".facts:popover-open").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360


def wait_for_lines(page: Page, *colours: str) -> None:
    """Until the plot of MultiMNIST has lines of these colours alone."""
    page.wait_for_function(
        """(colours) => [...document.querySelectorAll("#curves-multimnist .mark-line path")]
            .map((one) => one.getAttribute("stroke")).sort().join() == colours""",
        arg=",".join(f"var(--{colour})" for colour in colours),
    )


def test_curves_answer_to_what_is_chosen(chromium: Browser, url: str) -> None:
    with visit(chromium, url) as visited:
        page = drawn(visited.page)
        wait_for_lines(page, "blue", "vermilion")  # margin loss of one and of three iterations
        network = page.get_by_role("checkbox", name="1 iteration, decoder")
        network.uncheck()
        wait_for_lines(page, "vermilion")
        network.check()
        wait_for_lines(page, "blue", "vermilion")
        curve = page.get_by_role("combobox", name="Curve")
        curve.select_option("train/cross_entropy")
        wait_for_lines(page, "black")
        curve.select_option("validation/error")
        whole = page.locator("figure", has=page.locator("#curves-multimnist"))
        whole.get_by_text("not logged").wait_for()
        assert not page.locator("#curves-multimnist").is_visible()
        assert whole.get_by_text("validation error, %").is_visible()
        curve.select_option("train/margin")
        wait_for_lines(page, "blue", "vermilion")


TIP = "#vg-tooltip-element.visible"


def tip(page: Page) -> dict[str, str]:
    """Return a chart's tooltip under the pointer, by name."""
    page.locator(TIP).wait_for()
    rows = page.locator(TIP).locator("tr").all()
    return dict(row.locator("td").all_inner_texts() for row in rows)


def test_a_curve_tells_its_run_under_the_pointer(chromium: Browser, url: str) -> None:
    with visit(chromium, url) as visited:
        page = drawn(visited.page)
        plot = page.locator("#curves-multimnist")
        plot.scroll_into_view_if_needed()
        box: Any = plot.bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 20)
        page.mouse.move(box["x"] + 260, box["y"] + 60, steps=5)
        told = tip(page)
        experiment, seed, recipe = told["run"].split(", ")
        assert (seed, recipe, told["trained on"]) == (
            "seed 0",
            "released",
            "mnist · short schedule",
        )
        curve = read_arrays(PROJECT / f"results/steps500/{experiment}/seed0.json")[
            "curve.train/margin"
        ]
        logged = {int(step): value for step, value in curve}
        assert float(told["value"]) == pytest.approx(logged[int(told["step"])], rel=1e-3)
        opacities = {
            path.get_attribute("opacity") for path in plot.locator(".mark-line path").all()
        }
        assert opacities == {"1", "0.2"}


def test_a_result_tells_its_row_under_the_pointer(chromium: Browser, url: str) -> None:
    with visit(chromium, url) as visited:
        page = drawn(visited.page)
        page.locator("#compared-multimnist_baseline .mark-symbol").first.locator(
            "path"
        ).last.hover()
        told = tip(page)
        assert told["ours %"] == "43.09"
        assert told["errors / tests"] == "8,617 / 20,000"
        assert told["verdict"] == "none: short schedule"


def test_a_sweep_tells_its_runs_under_the_pointer(chromium: Browser, url: str) -> None:
    with visit(chromium, url) as visited:
        page = drawn(visited.page)
        points = page.locator("#sweep-0 .mark-symbol path")
        told: list[dict[str, str]] = []
        for point in points.all():
            point.hover()
            told.append(tip(page))
            page.mouse.move(2, 2)
            page.locator(TIP).wait_for(state="detached")
        assert [(one["routing iterations"], one["errors"], one["error"]) for one in told] == [
            *(("1", "40 / 10,000", "0.4"), ("3", "25 / 10,000", "0.25"))
        ]


def test_all_is_there_without_scripts(chromium: Browser, url: str) -> None:
    page = chromium.new_page(java_script_enabled=False)
    page.goto(url)
    assert page.locator("#results td", has_text="8,617 / 20,000").last.is_visible()
    page.locator("#results").get_by_role("button", name="43.09").click()
    assert page.locator(".facts:popover-open dd").first.inner_text() == RECORD
    page.close()
