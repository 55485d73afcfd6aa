"""smallNORB with few viewpoints in training, tested on these and on novel ones.

The protocol is that of Hinton, Sabour and Frosst (2018), 'Matrix capsules with EM routing': a third
of the training pairs, those of some azimuths or elevations. Test set 'test' shows the test toys
from these viewpoints, test set 'novel' the same toys from all others.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from capsnet.config import Data
from capsnet.data import smallnorb, smallnorb_crops
from capsnet.data.dataset import DataSet
from capsnet.data.specification import LabelledImages, View
from capsnet.errors import UserError

Degrees = Callable[[NDArray[np.integer]], NDArray[np.integer]]  # of smallNORB's info [n, 4]: [n]


def restricted(view: View, name: str, title: str, of: Degrees, familiar: Sequence[int]) -> View:
    """Specify a view that trains on what `view` shows of pairs from `familiar` degrees alone.

    Validation is on the same viewpoints. Loading raises UserError for images other than smallNORB.
    """

    def load(data: Data, images: LabelledImages, seed: int, held: int) -> DataSet:
        train, test = (np.isin(of(info), familiar) for info in _infos(name, images))
        known = view.load(data, images.only(train, test), seed, int(train[:held].sum()))
        others = view.load(data, images.only(train, ~test), seed, 0).tests["test"]
        novel = others._replace(source=f"{images.source}-novel")
        return known._replace(tests={**known.tests, "novel": novel})

    return replace(view, name=name, title=title, load=load)


def _infos(name: str, images: LabelledImages) -> list[NDArray[np.integer]]:
    """Return the info of training and test pairs."""
    try:
        return [images.annotations[f"{split}_info"] for split in ("train", "test")]
    except KeyError as error:
        raise UserError(
            f"{name} is made of smallNORB's viewpoints, and {images.source} has none: "
            "data.source=smallnorb, or another view"
        ) from error


AZIMUTH = restricted(
    smallnorb_crops.SPEC,
    "smallnorb_azimuth",
    "smallNORB by azimuth",
    smallnorb.azimuth,
    (300, 320, 340, 0, 20, 40),
)
ELEVATION = restricted(
    smallnorb_crops.SPEC,
    "smallnorb_elevation",
    "smallNORB by elevation",
    smallnorb.elevation,
    (30, 35, 40),
)
