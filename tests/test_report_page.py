"""The report page, read back as HTML: it shows what the records say, and needs nothing else."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pytest
import yaml

from capsnet import paper
from capsnet.analysis import plan
from capsnet.errors import UserError
from capsnet.records.record import Record, outcome, read_record, write_record
from capsnet.records.runs import read_runs
from capsnet.report.figures.draw import draw
from capsnet.report.figures.style import NAMED, save_figure
from capsnet.report.figures.training_curves import CHANGE, known_metrics
from capsnet.report.tables import paper_tables
from capsnet.report.tables.document import document, tables
from capsnet.report.tables.paper_tables import PaperRow
from capsnet.report.tables.sweep import means_table, runs_table, sweep_of
from capsnet.report.tables.table import Column, Table
from capsnet.report.tables.terminal import show
from capsnet.report.web.page import CITATION, page
from helpers.drawn import panels
from helpers.marked_pages import write_marked_pages
from helpers.parsed import cells, parsed, text
from helpers.records import record, runs_of
from helpers.running import output, output_here

PROJECT = Path(__file__).parents[1]
WEB = PROJECT / "src/capsnet/report/web"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real records of 500 steps and of five epochs, and what is drawn from them."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("steps500", "epochs5", "benchmark"):
        shutil.copytree(PROJECT / "results" / name, folder / "results" / name)
    assert list(draw(folder / "results/steps500", folder / "results/steps500-figures"))
    with save_figure(
        folder / "results/steps500-data/shifted", (4, 2), "shifted (mnist)", "48 digits"
    ):
        pass
    return folder


@pytest.fixture(scope="module")
def shown(project: Path) -> Element:
    """The page of 500 steps, as the command leaves it."""
    code, printed = output_here("report.__main__", "page", "--profile", "steps500", cwd=project)
    assert (code, printed) == (0, "Written to results/steps500.html\n")
    return parsed((project / "results/steps500.html").read_text())


@pytest.mark.slow
def test_one_command_makes_all_again(tmp_path: Path) -> None:
    """From records alone: the tables are those that are committed, in README and docs/ as well."""
    shutil.copytree(PROJECT / "results/epochs2", tmp_path / "results/epochs2")
    kept, sweep = PROJECT / "results/steps500", tmp_path / "results/sweeps/iterations"
    shutil.copytree(kept, tmp_path / "results/steps500")
    for path in kept.glob("multimnist_capsnet_*/*"):
        one = sweep / path.parent.name
        one.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, one / f"record{path.suffix}")
    write_marked_pages(tmp_path)
    code, printed = output("report", "all", cwd=tmp_path)
    assert code == 0, printed
    for name in ("epochs2.md", "steps500.md"):
        assert (tmp_path / "results" / name).read_text() == (kept.parent / name).read_text()
    for name in ("steps500.html", "steps500-figures/figure_5.svg"):
        assert (tmp_path / "results" / name).stat().st_size > 10_000
    lines = (tmp_path / "results/records.csv").read_text().splitlines()
    assert len(lines) == 1 + sum(
        len(read_record(path).tests) for path in (tmp_path / "results").glob("*/*/**/*.json")
    )
    assert "| 1 | 1 | 42.975 |" in (sweep / "sweep.md").read_text()
    test = read_record(kept / "multimnist_baseline" / "seed0.json").tests["test"]
    assert f"{test.errors:,} / {test.total:,}" in (tmp_path / "docs/results.md").read_text()
    assert (
        f"| {test.error_percent:.2f} | 500, steps500, any" in (tmp_path / "README.md").read_text()
    )


def test_no_page_is_written_where_one_is_missing(tmp_path: Path) -> None:
    marks = "<!-- state: `python -m capsnet.report readme` -->\n<!-- end of state -->\n"
    (tmp_path / "README.md").write_text(marks)
    code, printed = output_here("report.__main__", "readme", cwd=tmp_path)
    where = "run this command in the project's folder"
    assert (code, printed) == (1, f"error: docs/results.md is missing: {where}\n")
    assert (tmp_path / "README.md").read_text() == marks


def by_id(page: Element, name: str) -> Element:
    [found] = [one for one in page.iter() if one.get("id") == name]
    return found


@pytest.mark.slow
def test_headings_landmarks_and_names_are_in_order(shown: Element) -> None:
    assert shown.get("lang") == "en"
    levels = [int(one.tag[1]) for one in shown.iter() if re.fullmatch("h[1-6]", one.tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert max(below - above for above, below in pairwise(levels)) == 1
    assert [one.tag for one in shown[1] if one.tag in ("header", "nav", "main", "footer")] == [
        *("header", "nav", "main", "footer")
    ]
    names = [one.get("id") for one in shown.iter() if one.get("id")]
    assert len(names) == len(set(names))
    attributes = [(name, value) for one in shown.iter() for name, value in one.items()]
    meant = [value for name, value in attributes if name in ("aria-labelledby", "popovertarget")]
    meant += [value[1:] for name, value in attributes if name == "href" and value[0] == "#"]
    assert {*meant} <= {*names}
    assert len(meant) > 30
    for box in shown.iter():
        if "scroll" in box.get("class", "").split():
            assert box.get("tabindex") == "0"
            assert box.get("aria-label")


@pytest.mark.slow
def test_nothing_is_asked_of_another_machine(shown: Element) -> None:
    addresses = [
        (one.tag, name)
        for one in shown.iter()
        for name, value in one.items()
        if re.search(r"^\s*(https?:)?//", value)
    ]
    assert {*addresses} == {("a", "href")}
    policy = next(one for one in shown.iter("meta") if one.get("http-equiv"))
    assert policy.get("content", "").startswith("default-src 'none'; img-src data:;")
    [style] = shown.iter("style")
    assert not re.search(r"url\(|@import|//", style.text or "")
    assert [one for one in shown.iter("script") if one.get("src")] == []


@pytest.mark.slow
def test_every_picture_says_what_it_shows(shown: Element) -> None:
    alts = [one.get("alt", "") for one in shown.iter("img")]
    assert all(alt.strip() for alt in alts)
    assert all(one.get("src", "").startswith("data:image/") for one in shown.iter("img"))
    figures = [one.get("alt", "") for one in by_id(shown, "figures").iter("img")]
    titles = [re.match(r"(Figure [\w.]+|Training)", alt) for alt in figures]
    names = [title and title[0] for title in titles]
    assert names == ["Figure 3", "Figure 5"]
    for alt in figures:
        assert "short schedule" in alt
        assert "500 of 500 steps" in alt
    plots = {one.get("id"): one.get("aria-label", "") for one in shown.iter("div")}
    assert plots["figure_a2-0"].startswith("Figure A.2: training loss, 1 and 3 iterations: ")
    assert "500 of 500 steps" in plots["figure_a1-1"]
    [sheet] = by_id(shown, "data").iter("img")
    assert sheet.get("alt", "").startswith("shifted (mnist). 48 training images")


@pytest.mark.slow
def test_failures_are_those_of_the_arrays(shown: Element, project: Path) -> None:
    said = text(by_id(shown, "failures"))
    for path in (project / "results/steps500").glob("*/*.npz"):
        with np.load(path) as arrays:
            targets = arrays["targets"].tolist() if "targets" in arrays else []
        for true, predicted, _ in targets:
            words = "label {}, answer {}".format(
                *(" and ".join(map(str, w)) for w in (true, predicted))
            )
            assert (words in said) or sorted(true) == sorted(predicted)
    assert said.count(", answer ") == 3 * 6


def wilson(errors: int, total: int) -> str:
    """(p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), in percent."""
    p, z = errors / total, 1.959963984540054
    half = z * sqrt(p * (1 - p) / total + z**2 / (4 * total**2))
    ends = ((p + z**2 / (2 * total) + sign * half) / (1 + z**2 / total) for sign in (-1, 1))
    return "–".join(f"{100 * end:.2f}" for end in ends)


def read(project: Path) -> list[tuple[dict[str, Any], str, dict[str, Any]]]:
    """Every result in the JSON files: its record, its test set's name, its test."""
    files = sorted((project / "results/steps500").glob("*/*.json"))
    records = [json.loads(file.read_text()) for file in files]
    return [(one, name, test) for one in records for name, test in one["tests"].items()]


@pytest.mark.slow
def test_numbers_are_those_of_the_json_files(shown: Element, project: Path) -> None:
    _, *runs = cells(next(by_id(shown, "runs").iter("table")))
    expected = [
        (
            f"{one['experiment']}, seed {one['seed']}",
            f"{test['errors']:,} / {test['total']:,}",
            f"{100 * test['errors'] / test['total']:.2f}",
            wilson(test["errors"], test["total"])
            if test["digits"] is None
            else "{:.2f}–{:.2f}".format(*test["interval_percent"]),
        )
        for one, _, test in read(project)
    ]
    assert [(row[0], *row[2:5]) for row in runs] == expected
    lines = [row for table in by_id(shown, "results").iter("table") for row in cells(table)]
    told = {row[5]: (row[2], row[6]) for row in lines}
    for _, counts, percent, interval in expected:
        assert told[counts] == (percent, interval)
    assert sum("not yet run" in row for row in lines) == 8


@pytest.mark.slow
def test_tables_hold_the_strings_of_the_tables(shown: Element, project: Path) -> None:
    runs = read_runs(project / "results/steps500")
    every = [with_names(table) for table in tables(runs)]
    found, claims = every[: len(paper.TABLES)], every[len(paper.TABLES)]
    assert [cells(table) for table in by_id(shown, "results").iter("table")] == found
    assert cells(next(by_id(shown, "claims").iter("table"))) == claims


def test_a_column_is_added_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = Column[PaperRow](
        "parameters", lambda row: f"{row.records[0].parameters:,}" if row.runs else None
    )
    columns = [*paper_tables.PAPER_COLUMNS]
    columns.insert(2, parameters)
    monkeypatch.setattr(paper_tables, "PAPER_COLUMNS", columns)
    one = record(parameters=1_234_567)
    runs = runs_of([one])
    row = "| CapsNet, 3 routing, decoder | 0.25 ± 0.005 | 1,234,567 | 0.25 |"
    assert row in document(runs, "one")
    show(tables(runs))
    assert "1,234,567" in capsys.readouterr().out
    results = by_id(made(tmp_path, one), "results")
    table, chart = next(results.iter("table")), next(results.iter("script"))
    names, *_, last = cells(table)
    assert (names[2], last[2]) == ("parameters", "1,234,567")
    [*_, cell] = [one for one in table.iter("td") if text(one) == "1,234,567"]
    assert cell.get("class") == "number"  # flush right, and before the cell that leads to the runs
    [lead] = table.iter("button")
    assert text(lead) == "0.25"
    assert '"field":"parameters"' in (chart.text or "")


def with_names(table: Table[Any]) -> list[list[str]]:
    return [list(row) for row in (table.names, *table.cells)]


@pytest.mark.slow
def test_behind_every_result_stands_its_run(shown: Element, project: Path) -> None:
    facts = [
        {text(row[0]): [text(value) for value in row[1:]] for row in box[0]}
        for box in shown.iter("div")
        if "facts" in box.get("class", "")
    ]
    for one, _, test in read(project):
        expected = {
            "seed": f"{one['seed']}",
            "errors": f"{test['errors']:,} / {test['total']:,}",
            "recipe": "any recipe" if "baseline" in one["experiment"] else one["recipe"],
            "batch": f"{one['batch']}",
            "trained on": f"mnist, {one['training_examples']:,} examples",
            "tested on": test["source"],
            "device": one["device"].replace("1 threads", "1 thread"),
            "commit": f"{one['commit'][:7]}, {'clean' if one['clean'] else 'changed'}",
        }
        same = [fact for fact in facts if fact["experiment"] == [one["experiment"]]]
        whole = [
            fact for fact in same if all(fact[name] == [told] for name, told in expected.items())
        ]
        assert len(whole) == 2  # in the paper's table and among the runs
        assert whole[0]["steps"][0].startswith(f"{one['steps_done']} of {one['steps_planned']}")


@pytest.mark.slow
def test_seeds_stand_beside_one_another(tmp_path: Path) -> None:
    seeds = (record(30), record(20, seed=1, commit="f" * 40, clean=True, train_seconds=1e6))
    shown = made(tmp_path, *seeds)
    [box] = [one for one in by_id(shown, "results").iter("div") if one.get("class") == "facts"]
    facts = {text(row[0]): [text(value) for value in row[1:]] for row in box[0]}
    assert facts["seed"] == ["0", "1"]
    assert facts["errors"] == ["30 / 10,000", "20 / 10,000"]
    assert facts["commit"] == ["not known", "fffffff, clean"]
    assert facts["overrides"] == ["nothing"]
    assert facts["recipe"] == ["released"]
    assert facts["training"] == ["0.083 h", "280 h"]


def made(folder: Path, *records: Record) -> Element:
    """The page of made-up records."""
    for place, one in enumerate(records):
        write_record(one, folder / "results/made" / one.experiment / f"{place}.json")
    (folder / "results/made.html").write_text(page(folder / "results/made"))
    return parsed((folder / "results/made.html").read_text())


@pytest.fixture(autouse=True)
def in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


DEMO = {"tests": {"test": outcome("uci-digits", 25, 500)}, "steps_done": 400}
SHORT = {"steps_done": 500, "steps_planned": 500, "schedule": "steps500"}
GENERATED = {
    "test": outcome("mnist", 1, 9),
    "affnist": outcome("affnist-generated", 1, 9),
}


def test_each_kind_of_run_has_its_caveat(tmp_path: Path) -> None:
    affnist = record(experiment="affnist_capsnet", tests=GENERATED, stop_at=0.99, seed=5)
    full = [record(seed=seed) for seed in range(3)]
    by_hand, fewer = record(overrides=("schedule.batch=32",)), record(training_examples=9, seed=6)
    short = [record(**SHORT, seed=seed) for seed in range(2)]
    shown = made(tmp_path, *full, record(**DEMO), *short, affnist, by_hand, fewer)
    [bar] = [one for one in shown[1] if "caveat-bar" in one.get("class", "")]
    kinds = (
        "demo: 1 of 9 runs · values set by hand: 1 of 9 runs · short schedule: 2 of 9 runs · "
        "accuracy not reached: 1 of 9 runs · fewer examples: 1 of 9 runs"
    )
    assert text(bar) == f"{kinds} · full schedule: 3 of 9 runs"
    told = [[text(part) for part in one] for one in by_id(shown, "caveats")[1:]]
    by_word = {one[0]: one for one in told}
    assert list(by_word) == [
        *("demo", "values set by hand", "short schedule", "accuracy not reached"),
        *("fewer examples", "full schedule", "not yet run", "generated test data"),
    ]
    assert "with schedule.batch=32 in place" in by_word["values set by hand"][2]
    assert "on 9 examples" in by_word["fewer examples"][2]
    assert (
        "uci-digits, at 1 of the paper's width, for 400 steps in place of the paper's 300,000"
        in (told[0][2])
    )
    assert "for 500 steps in place of the paper's 300,000" in by_word["short schedule"][2]
    assert by_word["not yet run"][1] == "12 of 15 rows"
    assert by_word["generated test data"][1] == "1 of 10 results"
    assert "affnist-generated" in by_word["generated test data"][2]
    assert "not the official file" in by_word["generated test data"][2]
    verdicts = [row[3] for row in cells(next(by_id(shown, "results").iter("table")))]
    reproduced = f"reproduced (interim, {plan.quoted()})"
    assert {"none: demo", "none: short schedule", reproduced} <= {*verdicts}
    [marked] = [cell for cell in by_id(shown, "results").iter("td") if text(cell) == reproduced]
    assert marked.get("class", "").split() == ["long", "verdict", "reproduced", "has-facts"]


def test_only_a_full_schedule_speaks_of_the_paper(tmp_path: Path) -> None:
    assert "no verdict" not in text(made(tmp_path / "full", record())[1][1])
    assert text(made(tmp_path / "demo", record(**DEMO))[1][1]).endswith("no verdict on the paper")


@pytest.mark.slow
def test_without_arrays_the_page_says_what_is_missing(project: Path) -> None:
    code, printed = output_here("report.__main__", "page", "--profile", "epochs5", cwd=project)
    assert (code, printed) == (0, "Written to results/epochs5.html\n")
    shown = parsed((project / "results/epochs5.html").read_text())
    absent = [text(one) for one in shown.iter("p") if one.get("class") == "absent"]
    assert [words.split(":")[0] for words in absent] == [
        *("No curves", "No pictures here", "No failures to show", "No contact sheets here")
    ]
    assert "2,344 of 2,344" in text(by_id(shown, "results"))


@pytest.mark.slow
def test_no_records_get_a_sentence_and_leave_no_page(tmp_path: Path) -> None:
    code, printed = output_here("report.__main__", "page", "--profile", "nothing", cwd=tmp_path)
    assert code == 1
    assert printed == (
        "error: there are no results in results/nothing: run `dvc repro`, or train with "
        "record=results/nothing/EXPERIMENT/seed0.json\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_broken_arrays_get_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "made" / "experiment" / "seed0.json"
    write_record(record(), path)
    path.with_suffix(".npz").write_bytes(b"half a file")
    with pytest.raises(UserError, match=r"seed0.npz holds no arrays of a run: train it again"):
        page(tmp_path / "made")


def test_what_records_say_is_text_and_never_markup(tmp_path: Path) -> None:
    shown = made(tmp_path, record(device="<b>&amp;</script>", recipe="text"))
    assert "<b>&amp;</script>" in text(by_id(shown, "runs"))
    assert list(by_id(shown, "runs").iter("script")) == []


def test_a_sweep_is_shown_when_it_is_named(tmp_path: Path) -> None:
    runs = []
    for iterations, errors in ((1, 40), (3, 30)):
        model = {"name": "capsnet", "width": 1.0, "routing_iterations": iterations}
        runs.append(record(errors, model=model))
        write_record(runs[-1], tmp_path / "swept" / str(iterations) / "record.json")
    write_record(record(), tmp_path / "results/made/one/seed0.json")
    shown = parsed(page(tmp_path / "results/made", tmp_path / "swept"))
    means, every = (cells(table) for table in by_id(shown, "sweep").iter("table"))
    sweep = sweep_of(runs_of(runs))
    assert means == with_names(means_table(sweep))
    assert every == with_names(runs_table(sweep))
    [spec] = [json.loads(one.text or "") for one in by_id(shown, "sweep").iter("script")]
    assert {value["error"] for value in spec["data"]["values"]} == {0.4, 0.3}
    assert "sweep" not in {one.get("id") for one in parsed(page(tmp_path / "results/made")).iter()}
    with pytest.raises(UserError, match="there are no results in"):
        page(tmp_path / "results/made", tmp_path / "elsewhere")


@pytest.mark.slow
def test_curves_hold_what_was_logged(shown: Element, project: Path) -> None:
    specs = [json.loads(one.text or "") for one in by_id(shown, "training").iter("script")]
    drawn = {
        (value["run"].split(",")[0], value["metric"]): value
        for spec in specs
        for value in spec["data"]["values"]
    }
    logged = {}
    for path in (project / "results/steps500").glob("*/*.npz"):
        with np.load(path) as arrays:
            named = {name.removeprefix("curve."): arrays[name] for name in arrays}
        # What says nothing of training is not shown: speed, and what is known at its end alone.
        curves = {
            name: named[name]
            for name in named
            if name in known_metrics() or name.startswith(CHANGE)
        }
        if "train/cross_entropy" in curves:  # a baseline's only loss, logged twice
            del curves["train/loss"]
        logged |= {(path.parent.name, name): points for name, points in curves.items()}
    assert drawn.keys() == logged.keys()
    for name, points in logged.items():  # so few points that the running mean is over one or two
        scale, (steps, values) = 100 if name[1] == "validation/error" else 1, points.T
        means = np.append(values[:1], (values[1:] + values[:-1]) / 2)
        assert len(points) < 60
        if len(points) < 40:
            means = values
        assert drawn[name]["step"] == steps.tolist()
        assert drawn[name]["value"] == pytest.approx(scale * means, rel=1e-3)


@pytest.mark.slow
def test_how_to_cite_is_what_the_citation_files_say(shown: Element) -> None:
    cited = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    wanted = cited["preferred-citation"]
    bibtex = CITATION.read_text()
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", bibtex, re.MULTILINE))
    people = [(one["given-names"], one["family-names"]) for one in wanted["authors"]]
    assert fields == {
        "author": " and ".join(f"{family}, {given}" for given, family in people),
        "title": wanted["title"],
        "booktitle": wanted["collection-title"],
        "year": str(wanted["year"]),
        "url": wanted["url"],
    }
    assert wanted["url"] == paper.URL
    page = text(by_id(shown, "cite"))
    assert " ".join(bibtex.split()) in page
    *most, last = (
        " ".join([*(name[0] + "." for name in given.split()), family]) for given, family in people
    )
    names = f"{', '.join(most)} and {last}"
    where = f"({fields['year']}): {fields['title']}. {fields['booktitle']}. {fields['url']}"
    assert f"{cited['message']} {names} {where}" in page


@pytest.mark.slow
def test_costs_are_those_of_the_results_page(shown: Element) -> None:
    known = (PROJECT / "docs/results.md").read_text()
    rows = cells(next(by_id(shown, "cost").iter("table")))
    assert len(rows) == 1 + 2 * 10 + 3  # on two machines, and those of section 7 on one of them
    for row in rows:
        assert f"| {' | '.join(row)} |" in known


@pytest.mark.slow
def test_the_page_is_the_same_every_time_and_small(project: Path) -> None:
    first = page(project / "results/steps500")
    assert page(project / "results/steps500") == first
    assert len(first.encode()) < 2_000_000


def channels(colour: str) -> list[float]:
    shares = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    ]


def contrast(one: str, other: str) -> float:
    """WCAG's ratio: 1 to 21."""
    weights = (0.2126, 0.7152, 0.0722)
    dark, light = sorted(np.dot(weights, channels(colour)) for colour in (one, other))
    return float((light + 0.05) / (dark + 0.05))


def test_files_have_the_colours_of_the_light_page() -> None:
    style = (WEB / "style.css").read_text()
    light = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}), #\w{6}\);", style))
    assert {name: light[name].upper() for name in NAMED} == NAMED


@pytest.mark.slow
def test_no_chart_on_the_page_has_a_colour_that_is_the_same_in_the_dark(shown: Element) -> None:
    for one in shown.iter("script"):
        if one.get("type") == "application/json":
            assert not re.search(r"#[0-9A-Fa-f]{6}", one.text or "")


@pytest.mark.slow
def test_the_page_draws_the_points_of_the_file(shown: Element, project: Path) -> None:
    files = project / "results/steps500-figures"
    specs = {
        next(one.get("id", "") for one in figure.iter("div")): figure.findtext("script") or ""
        for figure in by_id(shown, "figures").iter("figure")
        if figure.get("class") == "chart"
    }
    lines = ["figure_a1-0", "figure_a1-1", "figure_a2-0"]
    matrices = ["class_errors-0", "class_errors-affNIST-0", "class_errors-affNIST-1"]
    assert [*specs] == [*lines, *matrices]
    for name, found in zip(lines, specs.values(), strict=False):
        stem, _, place = name.partition("-")
        axes = panels(files / f"{stem}.svg")[int(place)]
        spec = json.loads(found)
        y = spec["layer"][0]["encoding"]["y"]["field"]
        values = [one[y] for one in spec["data"]["values"]]
        drawn = [line[:, 1] for colour in NAMED.values() for line in axes.lines(colour)]
        assert sorted(np.concatenate(drawn)) == pytest.approx(sorted(np.hstack(values)), rel=2e-3)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(scheme: int) -> None:
    style = (WEB / "style.css").read_text()
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", style)
    colours = {name: (light, dark)[scheme] for name, light, dark in pairs}
    for words in ("ink", "quiet", "accent", "good", "bad"):
        for behind in ("page", "plate"):
            assert contrast(colours[words], colours[behind]) >= 4.5, (words, behind)
    [on_colour] = re.findall(r"--on-colour: (#\w{6});", style)
    for bar in ("orange", "sky", "green"):
        assert contrast(on_colour, colours[bar]) >= 4.5
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_the_wheel_holds_what_the_page_is_made_of(tmp_path: Path) -> None:
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        held = {Path(name).name for name in packed.namelist() if "/report/" in name}
    assert held >= {"template.html", "caveats.html", "style.css", "script.js", "frame.svg"}
