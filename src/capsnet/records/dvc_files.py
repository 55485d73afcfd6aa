"""Write the two small files beside each record that DVC shows: its metrics and its curves."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from capsnet.records.files import write_atomically
from capsnet.records.record import Outcome, Record

# YAML and CSV, because *.json below results/ are read as records and ensembles.
METRICS, CURVES = ".metrics.yaml", ".curves.csv"
POINTS = 200  # of each curve: more than a plot can show, and about 10 kB a run
# Column -> logged metric and the factor from its unit to the column's.
COLUMNS = {"train_loss": ("train/loss", 1), "validation_error_percent": ("validation/error", 100)}


def write(record: Record, path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write both files beside the record at `path`: seed0.metrics.yaml beside seed0.json.

    The curves come from `curve.<metric>` in `arrays`, as `record_arrays` keeps them.
    """
    shown = OmegaConf.to_yaml(metrics(record))
    write_atomically(path.with_suffix(METRICS), shown.encode())
    write_atomically(path.with_suffix(CURVES), table(arrays, record.batch).encode())


def metrics(record: Record) -> dict[str, Any]:
    """Return the steps done and, for each test set, its error and 95 % interval in percent."""
    return {"steps": record.steps_done, **{k: _outcome(test) for k, test in record.tests.items()}}


def _outcome(test: Outcome) -> dict[str, Any]:
    low, high = test.interval_percent
    return {
        "error_percent": round(test.error_percent, 4),
        "interval_low": round(low, 4),
        "interval_high": round(high, 4),
        "errors": test.errors,
        "total": test.total,
    }


def table(arrays: Mapping[str, NDArray[Any]], batch: int) -> str:
    """Return the curves as CSV: one row for each number of images seen, empty where not measured.

    Step k ends after (k + 1)·`batch` images.
    """
    rows: dict[int, dict[str, str]] = {}
    for column, (metric, factor) in COLUMNS.items():
        for step, value in thinned(arrays.get(f"curve.{metric}", np.empty((0, 2)))):
            rows.setdefault((int(step) + 1) * batch, {})[column] = f"{factor * value:.5g}"
    text = io.StringIO()
    writer = csv.DictWriter(text, ["images_seen", *COLUMNS], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"images_seen": seen, **rows[seen]} for seen in sorted(rows))
    return text.getvalue()


def thinned(curve: NDArray[np.float64], points: int = POINTS) -> NDArray[np.float64]:
    """Average a curve [n, 2] of steps and values down to at most `points` of them.

    Each point is the mean of a run of consecutive values, placed at the last one's step.
    """
    if len(curve) <= points:
        return curve
    parts = np.array_split(curve, points)
    return np.array([(part[-1, 0], part[:, 1].mean()) for part in parts])
