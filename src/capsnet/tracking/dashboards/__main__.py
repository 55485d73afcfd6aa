"""`python -m capsnet.tracking.dashboards`: a W&B workspace and a report of all runs of a schedule.

Without an account it writes what it would upload to a file, and says so.
"""

import argparse
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from capsnet.config import Logger
from capsnet.errors import UserError, exit_on_user_error
from capsnet.records.files import write_json
from capsnet.tracking.credentials import host, logged_in

if TYPE_CHECKING:
    import wandb

    from capsnet.tracking.dashboards.definition import Place


def main() -> None:
    """Build both, and upload them where there is an account."""
    arguments = _parser().parse_args()
    with exit_on_user_error():
        if importlib.util.find_spec("wandb_workspaces") is None:
            raise UserError("wandb-workspaces is not installed: `pip install -e '.[dashboards]'`")
        os.environ.setdefault("WANDB_SILENT", "true")
        wanted = arguments.entity, arguments.project, arguments.schedule
        if logged_in():
            upload(*wanted)
        else:
            write(*wanted, arguments.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m capsnet.tracking.dashboards", description=__doc__
    )
    parser.add_argument("--entity", help="the user or team; by default, the account's own")
    parser.add_argument("--project", default=Logger.project, help=f"({Logger.project})")
    parser.add_argument("--schedule", default="paper", help="of the runs that are shown (paper)")
    output = Path("results/dashboards.json")
    parser.add_argument("--output", type=Path, default=output, help=f"without account ({output})")
    return parser


def write(entity: str | None, project: str, schedule: str, path: Path) -> None:
    """Write what would be uploaded to `path`."""
    from capsnet.tracking.dashboards.definition import Place, definition

    found = definition(Place(entity or "ENTITY", project, schedule))
    write_json(found, path)
    print(
        f"No account on {host()} is known, so nothing was uploaded: the definition is in {path}, "
        "and after `wandb login` the same command uploads it"
    )


def upload(entity: str | None, project: str, schedule: str) -> None:
    """Upload a new workspace and report each time, so that edits to older ones are kept.

    Raises UserError when the server refuses or does not answer.
    """
    import wandb

    from capsnet.tracking.dashboards.definition import Place, report, workspace

    with server_errors_as_user_errors():
        api = wandb.Api()
        place = Place(entity or api.default_entity or "", project, schedule)
        print(report(place).save().url)  # makes the project, where there is none yet
        print(workspace(place).save().url)
    register_chart(api, place)


def register_chart(api: "wandb.Api", place: "Place") -> None:
    """Register the custom chart with the account; a chart's name can be registered only once."""
    from capsnet.tracking.dashboards import bars

    try:
        api.create_custom_chart(
            entity=place.entity,
            name=bars.name(),
            display_name="The paper's tables",
            spec_type="vega2",
            access="private",
            spec=bars.spec(),
        )
    except Exception as error:  # see server_errors_as_user_errors
        print(f"{host()} made no new chart {place.chart}, perhaps as it is there: {error}")


@contextmanager
def server_errors_as_user_errors() -> Iterator[None]:
    """Raise UserError for any error of the W&B clients, which have only Exception in common."""
    try:
        yield
    except Exception as error:
        raise UserError(f"{host()} did not take it: {error}") from error


if __name__ == "__main__":
    main()
