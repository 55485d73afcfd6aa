"""The data set of a run, read from what is prepared on disk."""

from pathlib import Path

from capsnet import config, registry
from capsnet.data import storage
from capsnet.data.dataset import DataSet
from capsnet.data.groups import num_held_out
from capsnet.data.info import DatasetInfo
from capsnet.data.specification import DataSpec, LabelledImages, View
from capsnet.errors import UserError


def load_view(name: str) -> View:
    """Import the view that `data.name` chooses."""
    return registry.load("capsnet.views", name)


def load_dataset(run: config.RunConfig) -> DataSet:
    """Read and check a run's data.

    The first `data.holdout` of the training images are held out for validation, as in the released
    code [C]; whole groups of them, see `num_held_out`. Raises UserError when the data are not
    prepared, or not as the run says.
    """
    data, view = run.data, load_view(run.data.name)
    images = storage.read_images(Path(data.root) / data.source)
    info = view.info(images.info)
    held = num_held_out(len(images.train_labels), data.holdout, images.train_groups)
    if held == len(images.train_labels):
        raise UserError(
            f"data.holdout = {data.holdout} leaves no image of {images.source} to train on"
        )
    found = view.load(data, images, run.seed, held)._replace(info=info)
    _require_known_groups(found, images, view)
    return found


def _require_known_groups(found: DataSet, images: LabelledImages, view: View) -> None:
    """Raise UserError where an interval would take examples for independent that are not."""
    if images.test_groups is None:
        return
    unknown = [name for name, test in found.tests.items() if test.groups is None]
    if unknown or view.labels_per_image > 1:
        raise UserError(
            f"{view.name} does not say which {images.test_groups.name} the examples of its test "
            f"sets show, and the images of {images.source} come in such groups: choose another "
            "view, data.name"
        )


def dataset_info(data: config.Data) -> DatasetInfo:
    """Describe the images of a registered source, which need not be prepared."""
    source: DataSpec = registry.load("capsnet.sources", data.source)
    return load_view(data.name).info(source.info)


def manifest_paths(data: config.Data) -> list[Path]:
    """List the manifests of the run's images and of the tables made for them."""
    folders = [data.source, *load_view(data.name).prepared(data.source)]
    return [Path(data.root) / folder / storage.MANIFEST for folder in folders]
