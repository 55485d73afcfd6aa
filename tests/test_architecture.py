"""The order of the packages: each imports only those before it, read from the sources."""

import ast
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pytest

from capsnet.training.fingerprint import PACKAGE

ORDER = (  # the packages, and the modules beside them
    *("errors", "startup", "paper", "questions", "public_results"),
    *("registry", "config_errors", "config"),
    *("functional", "metrics", "routing", "routing_ablations", "layers", "networks", "kernels"),
    *("em_routing", "spread_loss"),
    *("data", "records", "evaluation", "tracking", "training"),
    *("prepare", "compose", "usage", "train", "evaluate", "pretrained", "routing_statistics"),
    *(
        "analysis",
        "ensemble",
        "attack",
        "report",
        "benchmark",
        "gpu_check",
        "parallel_repro",
        "explorer",
        "__main__",
    ),
)
PUBLIC = {"functional", "networks", "pretrained"}  # whose names the package itself has
CORE = (  # the papers, in torch
    *("functional", "metrics", "routing", "routing_ablations", "layers", "networks", "kernels"),
    *("em_routing", "spread_loss"),
)
HEAVY = {"torch", "torchvision", "pytorch_lightning", "wandb", "dvc", "sklearn", "polars"}


def imports(path: Path, everywhere: bool) -> set[str]:
    """Modules that `path` imports: at its top, or anywhere."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if everywhere else iter(tree.body)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def package_of(path: Path) -> str:
    """Return the package, or the module beside the packages, that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def used(path: Path) -> set[str]:
    """The packages that `path` imports, anywhere in it: `from capsnet import a, b` names two."""
    tree = ast.walk(ast.parse(path.read_text()))
    froms = [node for node in tree if isinstance(node, ast.ImportFrom) and node.module]
    both = [(node.module or "", alias.name) for node in froms for alias in node.names]
    return {
        name if module == "capsnet" else module.split(".")[1]
        for module, name in both
        if module.split(".")[0] == "capsnet"
    }


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_package_imports_only_those_before_it(path: Path) -> None:
    if package_of(path) == "__init__":
        assert used(path) == PUBLIC
        return
    before = ORDER[: ORDER.index(package_of(path))]
    assert used(path) <= {*before, *([package_of(path)] if path.parent != PACKAGE else [])}


def test_the_package_itself_imports_nothing_but_on_demand() -> None:
    assert imports(PACKAGE / "__init__.py", everywhere=False) <= sys.stdlib_module_names


def test_the_order_names_every_package_and_no_other() -> None:
    there = {package_of(path) for path in sources()}
    assert set(ORDER) == there - {"__init__"}


@pytest.mark.parametrize("core", CORE)
def test_the_core_needs_no_framework(core: str) -> None:
    for path in sources():
        if package_of(path) == core:
            needed = {module.split(".")[0] for module in imports(path, everywhere=True)}
            own = {"capsnet", "torch", "jaxtyping", "triton", "numpy", *sys.stdlib_module_names}
            assert needed <= own, path


def test_entry_points_import_nothing_heavy_at_the_top() -> None:
    for name in (
        *(
            "config",
            "train",
            "usage",
            "__main__",
            "compose",
            "prepare",
            "errors",
            "evaluate",
            "ensemble",
        ),
        *("config_errors", "training/fingerprint", "training/sweep_jobs", "training/__init__"),
        *("records/record", "records/files", "records/run_folder", "records/provenance"),
        *("explorer/__main__", "parallel_repro/__main__", "gpu_check/__main__"),
        *("attack/__main__", "attack/run", "attack/plan", "records/attacks"),
        *("tracking/dashboards/__main__", "tracking/wandb_summary", "tracking/credentials"),
    ):
        tops = {module.split(".")[0] for module in imports(PACKAGE / f"{name}.py", False)}
        assert not tops & HEAVY, name


def test_the_report_imports_no_torch_but_to_draw_the_data() -> None:
    for path in {*(PACKAGE / "report").rglob("*.py"), *(PACKAGE / "analysis").glob("*.py")} - {
        PACKAGE / "report/figures/contact_sheets.py"
    }:
        assert not {m.split(".")[0] for m in imports(path, everywhere=True)} & HEAVY, path


def test_only_the_datamodule_of_the_data_knows_lightning() -> None:
    for path in (PACKAGE / "data").glob("*.py"):
        knows = any(m.startswith("pytorch_lightning") for m in imports(path, everywhere=True))
        assert knows == (path.name == "datamodule.py"), path


DRAWING = {"altair", "vl_convert", "jinja2", "markupsafe"}


def test_only_figures_and_page_import_what_draws_them() -> None:
    for path in sources():
        tops = imports(path, everywhere=False)
        assert path.parent.name in ("figures", "web") or not tops & DRAWING, path
        if path.parent.name != "web":
            assert not any(module.startswith("capsnet.report.web") for module in tops), path


def test_tables_need_nothing_of_what_draws_charts_and_page() -> None:
    """Altair and Jinja come with an extra that `report table` works without."""
    code = "import sys, capsnet.report.tables.document; print(*sys.modules)"
    loaded = subprocess.run(
        (sys.executable, "-c", code), check=True, capture_output=True, text=True
    )
    assert "capsnet.report.tables.claims" in loaded.stdout.split()
    assert not DRAWING & {*loaded.stdout.split()}


def test_the_explorer_computes_without_its_page() -> None:
    explorer = PACKAGE / "explorer"
    page = {explorer / "page.py", explorer / "widgets.py", *(explorer / "panels").glob("[!_]*.py")}
    for path in sources():
        knows = any(m.split(".")[0] == "nicegui" for m in imports(path, everywhere=True))
        assert knows == (path in page), path


def module(path: Path) -> str:
    """Return a file's dotted name; a package has that of its folder."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_imports(nodes: Iterable[ast.AST], modules: Collection[str]) -> Iterator[str]:
    """Yield what is imported outside of functions, under `if TYPE_CHECKING` too."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from top_imports(ast.iter_child_nodes(node), modules)


def import_graph() -> dict[str, set[str]]:
    """Map every module to those of ours that it imports at its top."""
    trees = {module(path): ast.parse(path.read_text()) for path in sources()}
    return {
        name: {*top_imports(tree.body, trees.keys())} & trees.keys() for name, tree in trees.items()
    }


def circles(graph: dict[str, set[str]]) -> set[frozenset[str]]:
    """Return the strongly connected components of more than one module."""
    reached = {name: reachable(graph, name) for name in graph}
    alike = (
        frozenset({name, *(one for one in found if name in reached[one])})
        for name, found in reached.items()
    )
    return {component for component in alike if len(component) > 1}


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Return every module that `start` imports, directly or through others."""
    found, ahead = set[str](), [start]
    while ahead:
        fresh = graph[ahead.pop()] - found
        found |= fresh
        ahead += fresh
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {frozenset("bc")}
    assert circles(import_graph()) == set()


@pytest.mark.parametrize("package", ["wandb", "dvc", "sklearn"])
def test_optional_packages_are_imported_where_they_are_used(package: str) -> None:
    for path in sources():
        assert package not in {m.split(".")[0] for m in imports(path, everywhere=False)}, path


def test_nothing_is_built_by_name_from_strings_and_no_drawer_is_called_utils() -> None:
    project = PACKAGE.parents[1]
    for path in [*sources(), *project.glob("conf/**/*.yaml")]:
        assert "_target_" not in path.read_text(), path
        assert "utils" not in path.stem


FRAGMENTS = {"Of", "In", "As", "With", "Than", "What", "Who", "How", "Where", "Whether", "Which"}


@pytest.mark.parametrize(
    "path",
    [*sources(), *Path(__file__).parent.rglob("*.py")],
    ids=lambda path: "/".join(path.parts[-2:]),
)
def test_no_docstring_is_a_fragment_that_continues_a_name(path: Path) -> None:
    first = {
        (ast.get_docstring(node) or "-").split()[0].strip("`,.:;")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    }
    assert not first & FRAGMENTS


NOUNS = {"The", "A", "An", "All", "Every", "Each", "One", "Two", "Both", "Its", "Those", "Raises"}
CLAUSES = {"Where", "Whether", "Which", "Whose", "Why", "None", "Only", "So", "Also", "For", "From"}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_of_functions_are_imperative(path: Path) -> None:
    first = {
        (ast.get_docstring(node) or "-").split()[0].strip("`,.:;")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert not first & (NOUNS | CLAUSES)
