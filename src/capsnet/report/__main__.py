"""`python -m capsnet.report`: what the records say, in tables and figures, and the data."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from capsnet import registry
from capsnet.errors import UserError, exit_on_user_error
from capsnet.records.files import write_atomically
from capsnet.records.record import ATTACKS, read_records, record_paths
from capsnet.records.routing_reports import read_report, read_reports


def main() -> None:
    """Do what the first word of the command line says; `table` where there is none."""
    arguments = _parser().parse_args(sys.argv[1:] or ["table"])
    with exit_on_user_error():
        match arguments.what:
            case "table":
                table(Path("results") / arguments.profile)
            case "data":
                folder = Path("results") / f"{arguments.profile}-data"
                data(arguments.root, arguments.source, folder, arguments.view)
            case "figures":
                figures(Path("results") / arguments.profile)
            case "page":
                page(Path("results") / arguments.profile, arguments.sweep)
            case "sweep":
                sweep(arguments.folder)
            case "growth":
                growth(arguments.file)
            case "routing":
                routing(arguments)
            case "attacks":
                attacks(arguments.folder, arguments.loss)
            case "readme":
                readme(Path(), Path("results"))
            case "simulate":
                simulate()
            case "all":
                everything(Path("results"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m capsnet.report", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    profile = argparse.ArgumentParser(add_help=False)
    profile.add_argument("--profile", default="paper", help="reads and writes results/PROFILE…")
    commands.add_parser("table", parents=[profile], help="the paper's table; what runs by default")
    commands.add_parser("figures", parents=[profile], help="the paper's figures, of our runs")
    web = commands.add_parser("page", parents=[profile], help="all of it in one file for a browser")
    web.add_argument("--sweep", type=Path, help="above the folders of a sweep's runs, to show too")
    sheets = commands.add_parser("data", parents=[profile], help="contact sheets of the data")
    sheets.add_argument("--source", default="mnist", help="of the images: mnist, digits …")
    views = registry.names("capsnet.views")
    named = "draw it in SOURCE-VIEW.png; may be given again; else all that crop nothing"
    sheets.add_argument("--view", action="append", choices=views, help=named)
    sheets.add_argument("--root", type=Path, default=Path("data"), help="where the data lie")
    commands.add_parser("simulate", help="how often the rules for verdicts are right")
    commands.add_parser("readme", help="bring README.md, docs/ and results/records.csv up to date")
    commands.add_parser(
        "all", help="every table, figure, page and sweep of results/; README.md, docs/"
    )
    grown = commands.add_parser("growth", help="how a step grows, from a benchmark")
    grown.add_argument("file", type=Path, help="its JSON; the figure is drawn beside it")
    routed = commands.add_parser("routing", help="test a CapsNet by 1 to 10 routing iterations")
    routed.add_argument("run", type=Path, help="the folder of a finished run, or its weights")
    about = "data=SET and data.key=value, as for training; by default its own"
    routed.add_argument("data", nargs="*", default=[], help=about)
    routed.add_argument("--device", help="cpu, cuda, cuda:1 … (a GPU, if there is one)")
    routed.add_argument("--output", type=Path, metavar="FILE", help="default: beside the record")
    attacked = commands.add_parser("attacks", help="accuracy over eps, of `capsnet.attack`")
    about = "above files of attacks; written to as well (results)"
    attacked.add_argument("folder", type=Path, nargs="?", default=Path("results"), help=about)
    attacked.add_argument("--loss", help="draw only the attacks that maximised this one")
    swept = commands.add_parser("sweep", help="a sweep, over any value")
    swept.add_argument("folder", type=Path, help="above the runs' folders; written to as well")
    return parser


def table(folder: Path) -> None:
    """Print and write the tables of `folder`. Raises UserError when it holds no records."""
    from capsnet.report.tables.document import document, tables
    from capsnet.report.tables.terminal import show

    runs, path = read_records(folder, "*/*.json"), folder.with_suffix(".md")
    if not runs:
        raise UserError(f"there are no results in {folder}: run `dvc repro` first")
    write_atomically(path, document(runs, folder.name).encode())
    show(replace(one, title=f"{one.title} ({folder.name})") for one in tables(runs))
    print(f"Written to {path}")


def simulate() -> None:
    """Print how often each verdict comes where the truth is known, from a fixed seed."""
    from capsnet.analysis import plan
    from capsnet.report.tables.document import sections
    from capsnet.report.tables.simulate import DRAWS, simulated

    print(f"Operating characteristics of the rules ({plan.quoted()}), {DRAWS:,} draws each.\n")
    print(sections(simulated(), "##"))


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
    readme(Path(), results)


def readme(project: Path, results: Path) -> None:
    """Bring the generated tables of the documentation of `project` up to date with `results`.

    So is `results`/records.csv, which leaves out runs on stand-in data. Raises UserError, before
    anything is written, when a file or its marks are missing, or polars is.
    """
    from capsnet.report.tables.attacks import read_all_attacks
    from capsnet.report.tables.document import generated, updated

    try:
        from capsnet.records.frame import frame
    except ImportError as error:
        raise UserError(f"{error}: `pip install -e '.[pipeline]'` installs it") from None
    runs, others = read_records(results, "*/*/*.json"), read_records(results, "*/*/*/**/*.json")
    benchmarks = sorted(results.glob("benchmark/*.json"))
    known = {path: one for path, one in (runs | others).items() if not one.dataset.stand_in}
    written = {results / "records.csv": frame(known, project).write_csv()}
    routed, attacks = read_reports(results).values(), read_all_attacks(results)
    for name, contents in generated(runs, others, benchmarks, routed, attacks).items():
        if not (path := project / name).is_file():
            raise UserError(f"{path} is missing: run this command in the project's folder")
        written[path] = updated(name, path.read_text(), contents)
    for path, text in written.items():
        write_atomically(path, text.encode())
        print(f"Written to {path}")


def data(root: Path, source: str, folder: Path, views: Sequence[str] | None) -> None:
    """Draw contact sheets of the images of `source`, as some views or every one shows them."""
    from capsnet.report.figures import contact_sheets

    for path in contact_sheets.draw(root, source, folder, views):
        print(f"Drawn: {path}")


def figures(folder: Path) -> None:
    """Draw the paper's figures of the runs in `folder`, as PNG and SVG beside it."""
    with _pipeline_extra():
        from capsnet.report.figures.draw import draw

    for path in draw(folder, folder.with_name(f"{folder.name}-figures")):
        print(f"Drawn: {path}")


def page(folder: Path, swept: Path | None) -> None:
    """Write the report page of the records in `folder`, beside it."""
    with _pipeline_extra():
        from capsnet.report.web.write import write

    path = folder.with_name(f"{folder.name}.html")
    write(folder, path, swept)
    print(f"Written to {path}")


def growth(file: Path) -> None:
    """Draw the growth of a step's time and memory. Raises UserError when `file` lacks it."""
    with _pipeline_extra():
        from capsnet.report.figures.chart import save_chart
        from capsnet.report.figures.growth import figure_growth
        from capsnet.report.figures.style import files

    try:
        benchmark = json.loads(file.read_text())
    except ValueError as error:
        raise UserError(f"{file} is no JSON file of a benchmark: {error}") from error
    if "growth" not in benchmark:
        raise UserError(f"{file} holds no growth: run `python -m capsnet.benchmark growth` for it")
    stem = file.with_name(f"{file.stem}-growth")
    save_chart(stem, figure_growth(benchmark))
    for path in files(stem):
        print(f"Drawn: {path}")


def routing(arguments: argparse.Namespace) -> None:
    """Test a run by 1 to 10 routing iterations; print the tables, write and draw the numbers."""
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
    with _pipeline_extra():
        from capsnet.report.figures.draw import draw_routing

    for drawn in draw_routing(path):
        print(f"Drawn: {drawn}")


def attacks(folder: Path, loss: str | None = None) -> None:
    """Draw the accuracy under attack of all files below `folder`, or those of one loss, into it.

    Raises UserError where there are none.
    """
    from capsnet.report.tables.attacks import read_all_attacks

    with _pipeline_extra():
        from capsnet.report.figures.attacks import figure_attacks
        from capsnet.report.figures.chart import save_chart
        from capsnet.report.figures.style import files
    every = [one for one in read_all_attacks(folder) if loss in (None, one.loss)]
    if not every:
        of = f" by the loss {loss}" if loss else ""
        raise UserError(
            f"there are no attacks{of} below {folder}: run `python -m capsnet.attack` first"
        )
    save_chart(folder / "attacks", figure_attacks(every))
    for path in files(folder / "attacks"):
        print(f"Drawn: {path}")


def sweep(folder: Path) -> None:
    """Draw test error and training loss over the value that the runs below `folder` sweep."""
    with _pipeline_extra():
        from capsnet.report.figures.draw import draw_sweep

    for path in draw_sweep(folder, folder):
        print(f"Drawn: {path}")


@contextmanager
def _pipeline_extra() -> Iterator[None]:
    """Name the extra that has what an import within lacks."""
    try:
        yield
    except ImportError as error:
        raise UserError(f"{error}: `pip install -e '.[pipeline]'` installs it") from None


if __name__ == "__main__":
    main()
