"""The data set of a run, read from what is prepared on disk."""

from pathlib import Path

from capsnet import config, registry
from capsnet.data import storage
from capsnet.data.dataset import DataSet
from capsnet.data.info import DatasetInfo
from capsnet.data.specification import DataSpec, View
from capsnet.errors import UserError


def load_view(name: str) -> View:
    """Import the view that `data.name` chooses."""
    return registry.load("capsnet.views", name)


def load_dataset(run: config.RunConfig) -> DataSet:
    """Read and check a run's data.

    The first `data.holdout` of the training images validate, as in the released code [C]. Raises
    UserError when the data are not prepared, or not as the run says.
    """
    data, view = run.data, load_view(run.data.name)
    images = storage.read_images(Path(data.root) / data.source)
    held = round(data.holdout * len(images.train_labels))
    if held == len(images.train_labels):
        raise UserError(
            f"data.holdout = {data.holdout} leaves no image of {images.source} to train on"
        )
    return view.load(data, images, run.seed, held)._replace(info=view.info(images.info))


def dataset_info(data: config.Data) -> DatasetInfo:
    """Describe the images of a registered source, which need not be prepared."""
    source: DataSpec = registry.load("capsnet.sources", data.source)
    return load_view(data.name).info(source.info)


def manifest_paths(data: config.Data) -> list[Path]:
    """List the manifests of the run's images and of the tables made for them."""
    folders = [data.source, *load_view(data.name).prepared(data.source)]
    return [Path(data.root) / folder / storage.MANIFEST for folder in folders]
