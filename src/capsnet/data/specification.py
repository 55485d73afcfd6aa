"""The two specifications by which data are added: labelled images, and a view of them."""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capsnet.data.groups import Groups
from capsnet.data.info import DIGITS, DatasetInfo
from capsnet.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from capsnet.config import Data
    from capsnet.data.dataset import DataSet
    from capsnet.data.examples import Split


@dataclass(frozen=True)
class LabelledImages:
    """Images uint8 [n, channels, height, width] and labels int64 [n], prepared on disk.

    `source` is what records call them, `digest` that of their manifest. Images may come in groups;
    `annotations` are other facts, arrays train_NAME and test_NAME with a row for each image.
    """

    source: str
    digest: str
    info: DatasetInfo
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    train_groups: Groups | None = None
    test_groups: Groups | None = None
    annotations: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def only(self, train: NDArray[np.bool_], test: NDArray[np.bool_]) -> "LabelledImages":
        """Keep the images that are marked in `train` [n] and `test` [n]."""
        kept = {"train": train, "test": test}
        return replace(
            self,
            train_images=self.train_images[train],
            train_labels=self.train_labels[train],
            test_images=self.test_images[test],
            test_labels=self.test_labels[test],
            train_groups=_kept(self.train_groups, train),
            test_groups=_kept(self.test_groups, test),
            annotations={
                name: rows[kept[name.partition("_")[0]]] for name, rows in self.annotations.items()
            },
        )


def _kept(groups: Groups | None, mask: NDArray[np.bool_]) -> Groups | None:
    return None if groups is None else groups._replace(of=groups.of[mask])


def no_options(parser: ArgumentParser) -> None:
    """Add no option to `capsnet.prepare NAME`."""


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Specify labelled images, which `python -m capsnet.prepare NAME` prepares in data/NAME.

    `name` is `data.source` in a configuration, `title` what tables and figures call the data, and
    `source` what records call the images, where that is another word than `name`. `stand_in` marks
    data that take the place of the paper's: runs on them get no verdict. `prepare` builds the
    folder, by `storage.write_images`; it is called with the options that `add_options` declares.
    """

    name: str
    title: str
    channels: int
    height: int
    width: int
    prepare: Callable[..., None]
    class_names: tuple[str, ...] = DIGITS
    source: str = ""
    stand_in: bool = False
    add_options: Callable[[ArgumentParser], None] = no_options

    @property
    def info(self) -> DatasetInfo:
        """Describe the images as they are."""
        shape = self.channels, self.height, self.width
        return DatasetInfo(self.title, *shape, self.class_names, stand_in=self.stand_in)

    @property
    def manifest(self) -> dict[str, object]:
        """Describe the images for `storage.write_images`."""
        return {
            "name": self.name,
            "source": self.source or self.name,
            "class_names": self.class_names,
        }


@dataclass(frozen=True, kw_only=True)
class View:
    """Specify what a network is shown of labelled images: shifted, in pairs, in a larger frame.

    `name` is `data.name` in a configuration. `load` gives the splits of a run from its `Data`, the
    images, which `info` has not refused, the run's seed and how many training images are held out
    for validation. `title` names the data in tables and figures where that is not what the images
    are called; `margin` are the pixels that it adds on each side, or `crop` is the side of the
    squares that it cuts out. `normalise` turns pictures in [0, 1] into what a network gets of them,
    where that is something else. `folders` are the prepared ones that it reads beside the images,
    '{source}' in a name standing for theirs; `prepare` makes the last one, from its path and, if
    its name has '{source}', the images, with the options that `add_options` declares. `noise` makes
    a training split of images and labels for the benchmark, which prepares nothing; without it the
    benchmark leaves out what the view does to them.
    """

    name: str
    load: Callable[["Data", LabelledImages, int, int], "DataSet"]
    title: str = ""
    margin: int = 0
    crop: int | None = None
    normalise: Callable[["Tensor"], "Tensor"] | None = None
    labels_per_image: int = 1
    folders: tuple[str, ...] = ()
    prepare: Callable[..., None] | None = None
    add_options: Callable[[ArgumentParser], None] = no_options
    noise: Callable[["Tensor", "Tensor"], "Split"] | None = None

    def info(self, images: DatasetInfo) -> DatasetInfo:
        """Describe what a network is shown of `images`.

        Raises UserError when they are smaller than the crops.
        """
        height, width = (side + 2 * self.margin for side in (images.height, images.width))
        if self.crop is not None and self.crop > min(height, width):
            raise UserError(
                f"{self.name} cuts {self.crop}×{self.crop} pixels out of larger images, and those "
                f"of {images.name} are {height}×{width}: choose another view, data.name"
            )
        return replace(
            images,
            name=self.title or images.name,
            height=self.crop or height,
            width=self.crop or width,
            labels_per_image=self.labels_per_image,
        )

    def prepared(self, source: str) -> list[str]:
        """Name the prepared folders that a run on `source` reads beside the images."""
        return [folder.format(source=source) for folder in self.folders]

    def folder(self, data: "Data") -> Path:
        """Return the path of the last of them, which `prepare` makes."""
        return Path(data.root) / self.prepared(data.source)[-1]
