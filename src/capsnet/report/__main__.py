"""`python -m capsnet.report`: what the records say, in tables and figures, and the data."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from capsnet import registry
from capsnet.errors import UserError, exit_on_user_error
from capsnet.records.files import write_atomically
from capsnet.records.record import ATTACKS, record_paths
from capsnet.records.routing_reports import read_report, read_reports
from capsnet.records.runs import read_runs

RESULTS = Path("results")


def main() -> None:
    """Do what the first word of the command line says; `table` where there is none."""
    arguments = _parser().parse_args(sys.argv[1:] or ["table"])
    with exit_on_user_error():
        arguments.do(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m capsnet.report", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    profile = argparse.ArgumentParser(add_help=False)
    profile.add_argument("--profile", default="paper", help="reads and writes results/PROFILE…")

    def add(
        name: str, about: str, do: Callable[[argparse.Namespace], None], *parents: Any
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, parents=parents, help=about)
        added.set_defaults(do=do)
        return added

    add("table", "the paper's table; what runs by default", lambda it: table(_folder(it)), profile)
    add("figures", "the paper's figures, of our runs", lambda it: figures(_folder(it)), profile)
    about = "all of it in one file for a browser"
    web = add("page", about, lambda it: page(_folder(it), it.sweep), profile)
    about = "folder that holds the runs of a sweep, shown as well"
    web.add_argument("--sweep", type=Path, help=about)
    sheets = add("data", "contact sheets of the data", data, profile)
    sheets.add_argument("--source", default="mnist", help="of the images: mnist, digits …")
    views = registry.names("capsnet.views")
    named = "view to draw, as SOURCE-VIEW.png; repeatable (default: every prepared view that fits)"
    sheets.add_argument("--view", action="append", choices=views, help=named)
    sheets.add_argument("--root", type=Path, default=Path("data"), help="folder of prepared data")
    add("simulate", "how often the rules for verdicts are right", lambda _: simulate())
    about = "bring README.md, docs/ and results/records.csv up to date"
    add("readme", about, lambda _: readme(Path(), RESULTS))
    about = "every table, figure, page and sweep of results/; README.md, docs/"
    add("all", about, lambda _: everything(RESULTS))
    grown = add("growth", "how a step grows, from a benchmark", lambda it: growth(it.file))
    grown.add_argument("file", type=Path, help="its JSON; the figure is drawn beside it")
    routed = add("routing", "test a CapsNet with 1 to 10 routing iterations", routing)
    routed.add_argument("run", type=Path, help="the folder of a finished run, or its weights")
    about = "data=SET and data.key=value, as for training; by default its own"
    routed.add_argument("data", nargs="*", default=[], help=about)
    routed.add_argument("--device", help="cpu, cuda, cuda:1 … (a GPU, if there is one)")
    routed.add_argument("--output", type=Path, metavar="FILE", help="default: beside the record")
    about = "accuracy over eps, of `capsnet.attack`"
    attacked = add("attacks", about, lambda it: attacks(it.folder, it.loss))
    about = "folder to search for attack files; figures are written there (results)"
    attacked.add_argument("folder", type=Path, nargs="?", default=RESULTS, help=about)
    attacked.add_argument("--loss", help="draw only the attacks that maximised this one")
    swept = add("sweep", "a sweep, over any value", lambda it: sweep(it.folder))
    about = "folder that holds the runs of a sweep; written to as well"
    swept.add_argument("folder", type=Path, help=about)
    return parser


def _folder(arguments: argparse.Namespace) -> Path:
    return RESULTS / arguments.profile


def table(folder: Path) -> None:
    """Print and write the tables of `folder`. Raises UserError when it holds no records."""
    from capsnet.report.runs import no_results
    from capsnet.report.tables.document import document, tables
    from capsnet.report.tables.terminal import show

    runs, path = read_runs(folder), folder.with_name(f"{folder.name}.md")
    if not runs:
        raise no_results(folder)
    write_atomically(path, document(runs, folder.name).encode())
    show(replace(one, title=f"{one.title} ({folder.name})") for one in tables(runs))
    print(f"Written to {path}")


def simulate() -> None:
    """Print how often each verdict comes where the truth is known, from a fixed seed."""
    from capsnet.analysis import plan
    from capsnet.report.tables.document import sections
    from capsnet.report.tables.simulate import DRAWS, claim_table, errors_table, row_table

    print(f"Operating characteristics of the rules ({plan.quoted()}), {DRAWS:,} draws each.\n")
    print(sections([row_table(), claim_table(), errors_table()], "##"))


def everything(results: Path) -> None:
    """Make every table, figure and page of the records below `results` and of docs/ again."""
    for folder in sorted({path.parents[1] for path in record_paths(results, "*/*/*.json")}):
        table(folder)
        if any(folder.glob("*/*.npz")):
            figures(folder)
            page(folder, None)
    for folder in sorted(results.glob("sweeps/*/")):
        sweep(folder)
    for path in read_reports(results):
        routing_figures(path)
    for file in sorted(results.glob("benchmark/*.json")):
        if "growth" in json.loads(file.read_text()):
            growth(file)
    if any(results.glob(f"**/*{ATTACKS}")):
        attacks(results)
    for folder in sorted(results.glob("robustness/*/")):
        attacks(folder, "score_margin")  # as docs/robustness.md shows it
    readme(Path(), results)


def readme(project: Path, results: Path) -> None:
    """Bring the generated tables of the documentation of `project` up to date with `results`.

    So is `results`/records.csv, which leaves out runs on stand-in data and needs polars. Raises
    UserError, before anything is written, when a file or its marks are missing.
    """
    from capsnet.records.frame import frame
    from capsnet.report.tables.attacks import read_all_attacks
    from capsnet.report.tables.document import generated, updated

    runs, others = read_runs(results, "*/*/*.json"), read_runs(results, "*/*/*/**/*.json")
    benchmarks = sorted(results.glob("benchmark/*.json"))
    known = [run for run in (*runs, *others) if not run.record.dataset.stand_in]
    written = {results / "records.csv": frame(known, project).write_csv()}
    routed, attacks = read_reports(results).values(), read_all_attacks(results)
    for name, contents in generated(runs, others, benchmarks, routed, attacks).items():
        if not (path := project / name).is_file():
            raise UserError(f"{path} is missing: run this command in the project's folder")
        written[path] = updated(name, path.read_text(), contents)
    for path, text in written.items():
        write_atomically(path, text.encode())
        print(f"Written to {path}")


def data(arguments: argparse.Namespace) -> None:
    """Draw contact sheets of the images of a source, as some views or every one shows them."""
    from capsnet.report.figures.contact_sheets import draw

    folder = RESULTS / f"{arguments.profile}-data"
    _show_drawn(draw(arguments.root, arguments.source, folder, arguments.view))


def figures(folder: Path) -> None:
    """Draw the paper's figures of the runs in `folder`, as PNG and SVG beside it."""
    from capsnet.report.figures.draw import draw

    _show_drawn(draw(folder, folder.with_name(f"{folder.name}-figures")))


def page(folder: Path, swept: Path | None) -> None:
    """Write the report page of the records in `folder`, beside it."""
    from capsnet.report.web.page import page as written

    path = folder.with_name(f"{folder.name}.html")
    write_atomically(path, written(folder, swept).encode())
    print(f"Written to {path}")


def growth(file: Path) -> None:
    """Draw the growth of a step's time and memory."""
    from capsnet.report.figures.draw import draw_growth

    _show_drawn(draw_growth(file))


def routing(arguments: argparse.Namespace) -> None:
    """Test a run with 1 to 10 routing iterations; print the tables, write and draw the numbers."""
    from capsnet.kernels.allocator import keep_memory
    from capsnet.report.routing import describe_routing
    from capsnet.report.tables.routing import routing_tables
    from capsnet.report.tables.terminal import show

    keep_memory()
    path = describe_routing(arguments.run, arguments.data, arguments.device, arguments.output)
    show(routing_tables([read_report(path)]))
    print(f"Written to {path}")
    routing_figures(path)


def routing_figures(path: Path) -> None:
    """Draw the figures of the routing report at `path`, beside it."""
    from capsnet.report.figures.draw import draw_routing

    _show_drawn(draw_routing(path))


def attacks(folder: Path, loss: str | None = None) -> None:
    """Draw the accuracy under attack of all files below `folder`, or those of one loss, into it."""
    from capsnet.report.figures.draw import draw_attacks

    _show_drawn(draw_attacks(folder, loss))


def sweep(folder: Path) -> None:
    """Draw test error and training loss over the value that the runs below `folder` sweep."""
    from capsnet.report.figures.draw import draw_sweep

    _show_drawn(draw_sweep(folder))


def _show_drawn(paths: Iterable[Path]) -> None:
    for path in paths:
        print(f"Drawn: {path}")


if __name__ == "__main__":
    main()
