"""Which room may import which: read from the sources, so that the plan of the house holds."""

import ast
from pathlib import Path

import pytest

from capsnet.identity import PACKAGE

# What may be imported from outside the standard library, at module level; `capsnet.x` is a room.
ALLOWED = {
    "__init__": set(),
    "errors": set(),
    "paper": set(),
    "functional": {"torch", "jaxtyping"},
    "metrics": {"torch", "jaxtyping"},
    "layers": {"torch", "jaxtyping", "capsnet.functional"},
    "kernels/allocator": set(),
    "kernels/routing": {"torch", "jaxtyping", "capsnet.functional"},
    "kernels/compiled": {"torch"},
    "kernels/fused": {"torch", "jaxtyping", "triton", "capsnet.functional"},
    "kernels/networks": {
        *("torch", "jaxtyping"),
        *("capsnet.kernels", "capsnet.layers", "capsnet.networks"),
    },
    "networks": {"torch", "jaxtyping", "capsnet.layers"},
    "results": {"numpy", "capsnet.errors"},
    "curves": {"numpy"},
    "config": {"hydra", "omegaconf", "capsnet.errors"},
    "identity": {"capsnet.config"},
    "compose": {"hydra", "omegaconf", "capsnet"},
    "train": {"hydra", "omegaconf", "capsnet"},
    "prepare": {"capsnet.errors"},
    "illustrate": {
        *("torch", "jaxtyping", "numpy"),
        *("capsnet.data.examples", "capsnet.functional", "capsnet.networks"),
    },
    "callbacks": {"torch", "pytorch_lightning", "capsnet.illustrate", "capsnet.modules"},
    "account": set(),
    "page": {"numpy", "capsnet.paper", "capsnet.results"},
    "evaluate": {"omegaconf", "yaml", "capsnet"},
    "dashboards/bars": {"capsnet.paper"},
    "dashboards/definition": {
        *("wandb_workspaces", "capsnet.paper", "capsnet.page", "capsnet.dashboards"),
    },
    "dashboards/__main__": {
        *("capsnet.account", "capsnet.config", "capsnet.errors", "capsnet.results"),
    },
    "report/web/citation": {"yaml", "capsnet.errors"},
    "report/web/images": {"numpy", "PIL", "capsnet.report"},
    "report/web/charts": {"altair", "vl_convert", "capsnet.report"},
    "explore/__main__": {"capsnet.errors"},
    "explore/what": {
        *("torch", "jaxtyping", "numpy", "scipy"),
        *("capsnet.functional", "capsnet.illustrate", "capsnet.networks"),
    },
    "explore/answers": {"jaxtyping", "numpy", "capsnet.explore", "capsnet.networks"},
    "explore/drawing": {"jaxtyping", "numpy", "PIL"},
    "explore/pictures": {"jaxtyping", "numpy", "PIL"},
    "explore/checkpoint": {"jaxtyping", "numpy", "capsnet"},
    "pipeline/schedule": set(),
    "pipeline/guard": set(),
    "pipeline/stages": {"capsnet.errors", "capsnet.pipeline"},
    "pipeline/jobs": {"capsnet.pipeline"},
    "pipeline/display": {"rich", "capsnet.pipeline"},
    "pipeline/__main__": {"filelock", "capsnet.errors", "capsnet.pipeline"},
}
HEAVY = {"torch", "torchvision", "pytorch_lightning", "wandb", "dvc", "sklearn"}


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


def rooms() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_from_the_rooms_below(room: str) -> None:
    import sys

    outside = {
        name
        for name in imports(PACKAGE / f"{room}.py", everywhere=False)
        if name.split(".")[0] not in sys.stdlib_module_names
    }
    assert {
        name for name in outside if not any(f"{name}.".startswith(f"{a}.") for a in ALLOWED[room])
    } == set()


def test_entry_points_import_nothing_heavy_at_the_top() -> None:
    for name in (
        "config",
        "train",
        "compose",
        "prepare",
        "identity",
        "results",
        "errors",
        "evaluate",
        "explore/__main__",
        "pipeline/__main__",
        "dashboards/__main__",
        "page",
        "account",
    ):
        tops = {module.split(".")[0] for module in imports(PACKAGE / f"{name}.py", False)}
        assert not tops & HEAVY, name


def test_the_report_imports_no_torch_but_to_draw_the_data() -> None:
    for path in {*(PACKAGE / "report").rglob("*.py")} - {PACKAGE / "report" / "sheets.py"}:
        assert not {m.split(".")[0] for m in imports(path, everywhere=True)} & HEAVY, path


def test_only_the_datamodule_of_the_data_knows_lightning() -> None:
    for path in (PACKAGE / "data").glob("*.py"):
        knows = any(m.startswith("pytorch_lightning") for m in imports(path, everywhere=True))
        assert knows == (path.name == "datamodule.py"), path


def test_tables_need_nothing_of_what_draws_the_page() -> None:
    for path in rooms():
        tops = imports(path, everywhere=False)
        if path.parent.name != "web":
            assert not tops & {"altair", "vl_convert", "jinja2", "markupsafe"}, path
            assert not any(module.startswith("capsnet.report.web") for module in tops), path


def test_what_the_explorer_shows_is_found_without_its_page() -> None:
    page = {"interface", "parts", "inputs", "lengths", "routing", "pose", "following"}
    for path in rooms():
        knows = any(m.split(".")[0] == "nicegui" for m in imports(path, everywhere=True))
        assert knows == (path.parent.name == "explore" and path.stem in page), path


@pytest.mark.parametrize("package", ["wandb", "dvc", "sklearn"])
def test_optional_packages_are_imported_where_they_are_used(package: str) -> None:
    for path in rooms():
        assert package not in {m.split(".")[0] for m in imports(path, everywhere=False)}, path


def test_nothing_is_built_by_name_from_strings_and_no_drawer_is_called_utils() -> None:
    project = PACKAGE.parents[1]
    for path in [*rooms(), *project.glob("conf/**/*.yaml")]:
        assert "_target_" not in path.read_text(), path
        assert "utils" not in path.stem
