"""`python -m capsnet.report routing RUN`: test a CapsNet with other numbers of routing iterations.

`capsnet.routing_statistics` computes; here is which files are read and written.
"""

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from capsnet import config
from capsnet.errors import UserError
from capsnet.evaluate import LoadedRun, find_run, load_run, record_place, with_data
from capsnet.records.files import check_writable
from capsnet.records.provenance import device_name, git_commit
from capsnet.records.record import ROUTING, write_arrays
from capsnet.records.routing_reports import (
    RoutedTest,
    RoutingReport,
    TrainedNetwork,
    write_report,
)
from capsnet.records.run_folder import WEIGHTS, run_folder, trained_run
from capsnet.report.runs import caveats
from capsnet.training.fingerprint import training_code


def describe_routing(
    checkpoint: Path, overrides: list[str], device: str | None = None, asked: Path | None = None
) -> Path:
    """Test the run at `checkpoint` with 1 to 10 iterations; write a report and its arrays.

    Returns the path of the report, which is `output`; the arrays are beside it. Raises UserError as
    `load_run` and `output` do, and for a network that does not route.
    """
    run = with_data(trained_run(checkpoint), overrides)
    if not isinstance(run.model, config.CapsNet):
        raise UserError(f"{checkpoint} is of a {run.model.name}: only a CapsNet routes")
    path = output(asked, checkpoint, overrides)
    check_writable("--output", path)
    commit, clean = git_commit()  # before: files may change meanwhile
    loaded = load_run(checkpoint, overrides, device)
    tests, arrays = statistics(loaded)
    report = RoutingReport(
        network=trained_network(checkpoint, path.parent),
        data={key: value for key, value in asdict(run.data).items() if key != "root"},
        tests=tests,
        code=training_code(run),
        commit=commit,
        clean=clean,
        device=device_name(loaded.device),
    )
    write_arrays(path, arrays)
    write_report(report, path)
    return path


def statistics(loaded: LoadedRun) -> tuple[dict[str, RoutedTest], dict[str, NDArray[Any]]]:
    """Compute the numbers of each test set, and the arrays of all.

    With 10 iterations, or as many as the network was trained with where these are more.
    """
    from capsnet import routing_statistics as of
    from capsnet.kernels.precision import fp32_arithmetic
    from capsnet.networks import CapsNet
    from capsnet.training.factory import autocast

    run, network, data, device = loaded
    assert isinstance(network, CapsNet)
    tests: dict[str, RoutedTest] = {}
    arrays: dict[str, NDArray[Any]] = {}
    iterations = max(of.ITERATIONS, network.class_capsules.iterations)
    with fp32_arithmetic(run.precision), autocast(run, device):
        for name, test in data.tests.items():
            found = of.routing_statistics(network, test.split, iterations)
            tests[name] = of.summarise(test, found)
            arrays |= of.arrays(name, found)
    return tests, arrays


def output(asked: Path | None, checkpoint: Path, overrides: list[str]) -> Path:
    """Choose the report's file: `asked`, or beside the record, seed0.routing.json for seed0.json.

    A run without its record has it in its folder. Raises UserError for a name that readers would
    take for a record's, and where other data than the run's own leave the place open.
    """
    if asked is not None:
        if not asked.name.endswith(ROUTING):
            raise UserError(f"--output: {asked} must end in {ROUTING}, or it is read as a record")
        return asked
    if any(not one.startswith("data.root=") for one in overrides):
        words = " ".join(overrides)
        raise UserError(f"{words}: --output says where the numbers of other data go, *{ROUTING}")
    return record_place(checkpoint).with_suffix(ROUTING)


def trained_network(checkpoint: Path, folder: Path) -> TrainedNetwork:
    """Describe the network for a report in `folder`; without its record, what the run was to be."""
    run = trained_run(checkpoint)
    assert isinstance(run.model, config.CapsNet)
    weights = (run_folder(checkpoint) / WEIGHTS).read_bytes()
    trained = find_run(checkpoint)
    record = trained.record if trained else None
    return TrainedNetwork(
        experiment=run.name,
        seed=run.seed,
        variant=record.variant if record else run.recipe.name,
        schedule=run.schedule.name,
        steps=record.steps_done if record else run.schedule.steps,
        iterations=run.model.routing_iterations,
        weights=hashlib.sha256(weights).hexdigest()[:16],
        record=Path(os.path.relpath(trained.path, folder)).as_posix() if trained else None,
        identity=record.identity if record else {},
        caveats=tuple(caveats([trained])) if trained else ("no record",),
    )
