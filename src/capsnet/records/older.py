"""Records of earlier schemas, brought up to date when they are read; their numbers stay."""

from dataclasses import asdict, replace
from typing import Any

from capsnet.data.info import DatasetInfo

SCHEMA = 2
DATASETS = {  # of schema 1, which did not name it, by the first word of the experiment
    "mnist": DatasetInfo("MNIST", 1, 28, 28),
    "multimnist": DatasetInfo("MultiMNIST", 1, 36, 36, labels_per_image=2),
    "affnist": DatasetInfo("affNIST", 1, 40, 40),
}


def current(values: dict[str, Any]) -> dict[str, Any]:
    """Return a record's JSON as the present schema has it.

    Raises ValueError for a newer schema than SCHEMA, KeyError or TypeError for other than a record.
    """
    schema = values.get("schema", 1)
    if schema == SCHEMA:
        return values
    if schema != 1:
        raise ValueError(f"schema {schema} is newer than {SCHEMA}")
    return _from_1({**values})


def _from_1(values: dict[str, Any]) -> dict[str, Any]:
    """Rename `changed` and `digits`, and add what schema 1 did not say."""
    values["tests"] = {name: _test_from_1({**test}) for name, test in values["tests"].items()}
    values["overrides_known"] = "changed" in values
    values["overrides"] = values.pop("changed", ())
    values["device"] = values["device"].replace(", 1 threads", ", 1 thread")
    info = DATASETS.get(values["experiment"].split("_")[0], DATASETS["mnist"])
    stand_in = values["tests"]["test"]["source"] != "mnist"
    values["dataset"] = asdict(replace(info, stand_in=stand_in))
    return values | {"schema": SCHEMA}


def _test_from_1(test: dict[str, Any]) -> dict[str, Any]:
    """Rename `digits`; a test without a kind is from before intervals by pair of digits."""
    test["num_distinct"] = test.pop("digits", None)
    test.setdefault("interval_kind", "by digit" if test["num_distinct"] else "wilson")
    return test
