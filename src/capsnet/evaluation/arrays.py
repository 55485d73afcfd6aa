"""The arrays that are kept beside a record."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capsnet.data.dataset import DataSet
from capsnet.evaluation.figure_data import figure_arrays
from capsnet.evaluation.outcomes import errors_by_pair, groups_of, partners_of
from capsnet.evaluation.predict import Predictions
from capsnet.networks import Baseline, CapsNet
from capsnet.records.curves import curves


def record_arrays(
    network: CapsNet | Baseline, data: DataSet, predictions: dict[str, Predictions], folder: Path
) -> dict[str, NDArray[Any]]:
    """Collect per-example errors as bits, confusions, curves, and what the figures show.

    `wrong.<test>` uint8, one bit for each test example as numpy.packbits leaves them;
    `by_partner.<test>` uint32 [2, num_distinct] where examples show two, as `partner_counts`;
    `by_pair.<test>` uint32 [2, classes, classes] of the same, as `errors_by_pair`;
    `group.<test>` [n] the number of each example's group, from 0, where they come in groups;
    `confusion.<test>` float64 [classes, classes] as in Predictions; `scores.<test>` float32
    [n, classes] and `labels.<test>` int16 [n, labels] where those were kept for an ensemble;
    `curve.<metric>` [points, 2]; and for CapsNets what `figure_data.figure_arrays` gives.
    """
    kept: dict[str, NDArray[Any]] = {}
    for name, one in predictions.items():
        test_set, wrong = data.tests[name], one.wrong.numpy()
        kept[f"wrong.{name}"] = np.packbits(wrong)
        kept[f"confusion.{name}"] = one.confusion.numpy()
        if (counts := partners_of(test_set, wrong)) is not None:
            kept[f"by_partner.{name}"] = counts
        if (pairs := errors_by_pair(test_set, wrong, len(one.confusion))) is not None:
            kept[f"by_pair.{name}"] = pairs
        if (groups := groups_of(test_set)) is not None:
            kept[f"group.{name}"] = groups.of.astype(np.min_scalar_type(groups.of.max()))
        if one.scores is not None and one.labels is not None:
            kept |= {f"scores.{name}": one.scores.numpy(), f"labels.{name}": one.labels.numpy()}
    of_results = {f"{name}/error" for name in predictions}  # of an evaluation before, if any
    logged = {name: points for name, points in curves(folder).items() if name not in of_results}
    kept |= {f"curve.{name}": points for name, points in logged.items()}
    if isinstance(network, CapsNet):
        test = data.tests["test"].split
        kept |= figure_arrays(network, test, predictions["test"].wrong)
    return kept
