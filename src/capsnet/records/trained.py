"""The run that trained weights come from."""

from pathlib import Path

from capsnet.records.record import read_record, record_path
from capsnet.records.run_folder import run_folder, trained_run
from capsnet.records.runs import Run
from capsnet.training.fingerprint import config_digest


def find_run(checkpoint: Path) -> Run | None:
    """Find the run whose weights these are, by its record: where it writes that, or in its folder.

    None where there is no record, or only those of another configuration or seed. Raises UserError
    as `run_folder` does.
    """
    run, folder = trained_run(checkpoint), run_folder(checkpoint)
    trained = {"config": config_digest(run), "seed": str(run.seed)}
    for path in (record_path(folder, run.record), record_path(folder, None)):
        if path.is_file():
            found = Run(read_record(path), path)
            identity = {"seed": str(found.record.seed)} | found.record.identity
            if identity.items() >= trained.items():
                return found
    return None
