"""`python -m capsnet.prepare NAME`: build a data set in `data/NAME`.

A set that is made of MNIST's images (-mnist) can be made of any other: expanded-digits.
"""

import argparse
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from capsnet import registry
from capsnet.config import PICTURES
from capsnet.data import pictures
from capsnet.errors import UserError, exit_on_user_error

if TYPE_CHECKING:
    from capsnet.data.specification import DataSpec, View

LISTED = (None, "mnist")  # sources whose tables the help lists; those of others are made alike
TIMEOUT = 60  # seconds without a byte before a mirror counts as unreachable


class Preparation(NamedTuple):
    """Say what builds a folder, its options, and of which images it is made; None: of none."""

    function: Callable[..., None]
    add_options: Callable[[argparse.ArgumentParser], None]
    source: str | None = None


def main() -> None:
    """Build the named data set; a failed build leaves nothing behind."""
    socket.setdefaulttimeout(TIMEOUT)
    with exit_on_user_error():
        found = preparations(*sys.argv[1:2])
        options = vars(_parser(found).parse_args())
        name, root = options.pop("name"), options.pop("root")
        prepare(name, root / name, **options)


def preparations(wanted: str = "") -> dict[str, Preparation]:
    """List who prepares what, by the names of the folders: sources, and the tables of views.

    Only the source that is `wanted`, if it is one: the views import torch, which takes seconds.
    """
    sources = registry.names("capsnet.sources")
    found = {PICTURES: Preparation(pictures.prepare, pictures.add_options)}
    if wanted == PICTURES:
        return found
    for name in [wanted] if wanted in sources else sources:
        spec: DataSpec = registry.load("capsnet.sources", name)
        found[name] = Preparation(spec.prepare, spec.add_options)
    if wanted in sources:
        return found
    for name in registry.names("capsnet.views"):
        view: View = registry.load("capsnet.views", name)
        if view.prepare is None:
            continue
        for source in sources:
            made_of = source if view.folders[-1] != view.prepared(source)[-1] else None
            folder = view.prepared(source)[-1]
            found[folder] = Preparation(view.prepare, view.add_options, made_of)
    return found


def _parser(found: dict[str, Preparation]) -> argparse.ArgumentParser:
    """Give each data set its own options; what is not set has the data set's default."""
    parser = argparse.ArgumentParser(prog="python -m capsnet.prepare", description=__doc__)
    names = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, preparation in found.items():
        about = (sys.modules[preparation.function.__module__].__doc__ or name).splitlines()[0]
        listed: dict[str, Any] = {"help": about} if preparation.source in LISTED else {}
        added = names.add_parser(name, argument_default=argparse.SUPPRESS, **listed)
        added.add_argument("--root", type=Path, default=Path("data"))
        preparation.add_options(added)
    return parser


def prepare(name: str, folder: Path, **options: Any) -> None:
    """Build data set `name` in `folder`; a set made of images finds them beside it.

    Raises UserError when there is no such set, or its source is not available.
    """
    from capsnet.data import storage

    found = preparations(name)
    if name not in found:
        raise UserError(f"there is no data set {name}; there are {', '.join(found)}")
    preparation = found[name]
    made_of = (
        [storage.read_images(folder.parent / preparation.source)] if preparation.source else []
    )
    preparation.function(folder, *made_of, **options)


if __name__ == "__main__":
    main()
