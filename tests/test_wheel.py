"""The package from a wheel: its commands and its library work without a checkout."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from email import message_from_string
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[1]
Python = Callable[..., str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installed wheel: inside a repository that is not ours, as an environment may be."""
    repository = tmp_path_factory.mktemp("another")
    dist, site = repository / "dist", repository / "site-packages"
    subprocess.run(["git", "init", "--quiet"], cwd=repository, check=True)
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    empty = ("commit", "--quiet", "--allow-empty", "--message", "Another project")
    subprocess.run(["git", *who, *empty], cwd=repository, check=True)
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist))
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    [wheel] = dist.glob("*.whl")
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile", "--target", str(site))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)
    return site


def test_an_editable_install_reads_the_checkout(tmp_path: Path) -> None:
    code = "from hatchling.build import build_editable; import sys; build_editable(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=PROJECT, check=True)
    [wheel] = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        [path] = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert archive.read(path).decode().strip() == str(PROJECT / "src")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def python(site: Path, folder: Path) -> Python:
    """Runs Python in an empty folder, where the wheel's package comes before any other."""

    def run(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(site), "WANDB_MODE": "offline"}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_installed_package_is_the_one_that_runs(python: Python, site: Path) -> None:
    code = "import capsnet, capsnet.config; print(capsnet.__file__, capsnet.config.CONF)"
    package = site / "capsnet"
    assert python("-c", code).split() == [str(package / "__init__.py"), str(package / "conf")]


def test_its_version_is_that_of_the_project(python: Python) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert python("-c", "import capsnet; print(capsnet.__version__)").strip() == project["version"]


def test_its_metadata_name_the_systems_authors_and_types(site: Path) -> None:
    [metadata] = site.glob("capsnet-*.dist-info/METADATA")
    fields = message_from_string(metadata.read_text())
    [author] = yaml.safe_load((PROJECT / "CITATION.cff").read_text())["authors"]
    assert fields["Author"] == author["name"]
    assert {*fields.get_all("Classifier", [])} >= {
        "Operating System :: POSIX :: Linux",
        "Operating System :: MacOS",
        "Typing :: Typed",
    }


def test_it_holds_every_file_of_conf(site: Path) -> None:
    def files(conf: Path) -> dict[Path, bytes]:
        return {path.relative_to(conf): path.read_bytes() for path in conf.rglob("*.yaml")}

    assert files(site / "capsnet/conf") == files(PROJECT / "conf")


def test_it_holds_the_analysis_plan(python: Python, site: Path) -> None:
    plan = (PROJECT / "docs/analysis-plan.md").read_bytes()
    assert (site / "capsnet/analysis-plan.md").read_bytes() == plan
    code = "from capsnet.analysis import plan; print(plan.quoted())"
    assert python("-c", code).split() == ["plan", sha256(plan).hexdigest()[:12]]


def test_it_composes_trains_and_claims_no_commit(python: Python, folder: Path) -> None:
    run = ("-m", "capsnet.train", "experiment=mnist_capsnet_r1", "profile=demo")
    assert "routing_iterations: 1" in python(*run, "--cfg", "job")
    python("-m", "capsnet.prepare", "digits")
    tiny = ("model.width=0.03", "schedule.steps=3", "trainer.progress=false", "logger=csv")
    printed = python(*run, *tiny, "trainer.accelerator=cpu", "hydra.run.dir=run")
    record = json.loads((folder / "run/record.json").read_text())
    assert (record["steps_done"], record["commit"]) == (3, None)
    assert f"{record['tests']['test']['errors']} errors in 500" in printed


def readme_library_use() -> str:
    text = (PROJECT / "README.md").read_text()
    [code] = re.findall(r"<!-- library:.*?```python\n(.*?)```", text, re.S)
    return code


def test_the_readmes_library_use_passes_a_type_checker(tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(readme_library_use())
    command = (sys.executable, "-m", "basedpyright", str(tmp_path / "example.py"))
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_readmes_library_use_works(python: Python, folder: Path) -> None:
    """On UCI digits, so without a download; of them MNIST's weights take more for others."""
    code = readme_library_use()
    (folder / "results").symlink_to(PROJECT / "results")
    if not (folder / "data/digits").is_dir():
        python("-m", "capsnet.prepare", "digits")
    (folder / "data/mnist").symlink_to("digits")
    checked = (
        f"{code}\n"
        "assert drawn.shape == images.shape and v.shape == (2, 3, 16)\n"
        "assert (drawn - images).square().mean() < images.var() / 4\n"
        "assert (capsnet.lengths(v) < 1).all()\n"
        "assert colour(torch.rand(1, 3, 32, 32)).shape == (1, 5, 16)\n"
    )
    assert float(python("-c", checked)) > 0.7
