"""The tables of what is chosen by name: the place to add a data set or a routing algorithm.

A table names the object that a name stands for as module:object. Nothing is imported before it is
used, so that checking a configuration needs no torch. Installed packages add their own by entry
points, in groups of the same names.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from capsnet.errors import UserError

Group = Literal["capsnet.sources", "capsnet.views", "capsnet.routings", "capsnet.metrics"]
TABLES: dict[Group, dict[str, str]] = {
    "capsnet.sources": {  # data.source: a `data.specification.DataSpec`, labelled images
        "mnist": "capsnet.data.mnist:SPEC",
        "digits": "capsnet.data.digits:SPEC",
        "cifar10": "capsnet.data.cifar10:SPEC",
        "svhn": "capsnet.data.svhn:SPEC",
        "photodigits": "capsnet.data.photodigits:SPEC",
        "stereodigits": "capsnet.data.stereodigits:SPEC",
        "smallnorb": "capsnet.data.smallnorb:SPEC",
    },
    "capsnet.views": {  # data.name: a `data.specification.View`, what is shown of them
        "shifted": "capsnet.data.shifted:SPEC",
        "enumerated": "capsnet.data.enumerated:SPEC",
        "multimnist": "capsnet.data.multimnist:SPEC",
        "expanded": "capsnet.data.expanded:SPEC",
        "affnist": "capsnet.data.affnist:SPEC",
        "affnist_official": "capsnet.data.affnist_official:SPEC",
        "smallnorb_azimuth": "capsnet.data.viewpoints:AZIMUTH",
        "smallnorb_elevation": "capsnet.data.viewpoints:ELEVATION",
        "cifar10_crops": "capsnet.data.cifar10_crops:SPEC",
        "smallnorb_crops": "capsnet.data.smallnorb_crops:SPEC",
    },
    "capsnet.routings": {  # model.routing: a `routing.Routing`
        "dynamic": "capsnet.routing:DYNAMIC",
        "leaky": "capsnet.routing:LEAKY",
        "detached": "capsnet.routing_ablations:DETACHED",
        "wrong_axis": "capsnet.routing_ablations:WRONG_AXIS",
        "unsquashed": "capsnet.routing_ablations:UNSQUASHED",
    },
    "capsnet.metrics": {},  # of other packages; ours are in `tracking.metrics`
}


@cache
def installed(group: Group) -> dict[str, EntryPoint]:
    """Find the entries of other packages; none replaces one of the tables."""
    return {one.name: one for one in entry_points(group=group) if one.name not in TABLES[group]}


def names(group: Group) -> list[str]:
    """List all names of a group."""
    return [*TABLES[group], *installed(group)]


def entry(group: Group, name: str) -> EntryPoint:
    """Find where the object of a name is. Raises KeyError when there is none."""
    if name in TABLES[group]:
        return EntryPoint(name, TABLES[group][name], group)
    return installed(group)[name]


def load(group: Group, name: str) -> Any:
    """Import the object of a name. Raises UserError where an installed package's fails to."""
    found = entry(group, name)
    try:
        return found.load()
    except (ImportError, AttributeError) as error:
        if name in TABLES[group]:
            raise
        raise UserError(f"{name} of {group} cannot be imported: {found.value}: {error}") from error
