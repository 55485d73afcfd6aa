"""Figures, contact sheets and failures as pictures within the page: WebP, in data URIs."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from capsnet.records.runs import Run
from capsnet.report.figures.draw import RECONSTRUCTION_FIGURES
from capsnet.report.figures.reconstruction_figures import (
    PREDICTED,
    TRUE,
    coloured,
    found,
    overlay,
    visible,
)

INCH = 96  # of a browser's pixels
LOSSLESS: dict[str, Any] = {"lossless": True}
LOSSY = {"quality": 60}  # of 100: for figures, of which some are large and all are of many dots
FIGURE_WORDS = {
    "figure_3": "Test images and, below them, what the decoder draws from their capsules: right "
    "answers first, then wrong ones, drawn from the label's capsule and from the predicted.",
    "figure_4": "What the decoder draws while one dimension of a class's capsule moves and the "
    "others stay: a row for each dimension, a block for each class.",
    "figure_5": "Two overlaid classes, what the decoder draws of both in red and green, and each "
    "alone: right answers, classes that are not in the picture, and wrong answers.",
}
SHEET_WORDS = {
    "shifted": "48 training images, each shifted at random by up to 2 pixels.",
    "enumerated": "48 training examples of the set that holds every shift of every image.",
    "expanded": "48 training images, each placed at random in a larger frame.",
    "multimnist": "48 training pairs, each beside its two images alone.",
    "cifar10-crops": "48 training images, each cropped and flipped at random, without its change "
    "of contrast and its standardisation.",
    "smallnorb-crops": "48 training pairs of both eyes, each cropped at random, without its change "
    "of contrast and its standardisation.",
    "affnist": "Six digits, a row each, under eight random affine transforms.",
    "affnist-official": "48 examples of the official affNIST file.",
}


class Picture(NamedTuple):
    """`source` is a data URI; `alt` says what stands in the picture, `caption` what it is about."""

    source: str
    width: int
    height: int
    alt: str
    caption: str


def figures(folder: Path) -> list[Picture]:
    """Show the pictures of reconstructions that were drawn into `folder`, in the paper's order."""
    paths = sorted(path for name in RECONSTRUCTION_FIGURES for path in folder.glob(f"{name}*.png"))
    return [_file(path, FIGURE_WORDS, LOSSY) for path in paths]


def sheets(folder: Path) -> list[Picture]:
    """Show the contact sheets in `folder`."""
    return [_file(path, SHEET_WORDS, LOSSLESS) for path in sorted(folder.glob("*.png"))]


def _file(path: Path, words: Mapping[str, str], how: Mapping[str, Any]) -> Picture:
    """Read the title and the caption that were written into the file when it was drawn."""
    with Image.open(path) as image:
        title, description = image.info.get("Title"), image.info.get("Description")
        dots, _ = image.info.get("dpi", (INCH, INCH))
        width, height = (round(pixels * INCH / dots) for pixels in image.size)
        source = data_uri(image.convert("RGB"), how)
    caption = words.get(path.stem) or words.get(path.stem.partition("-")[0], path.stem)
    alt = " ".join(f"{text.rstrip('.')}." for text in (title, caption, description) if text)
    return Picture(source, width, height, alt, caption)


def data_uri(image: Image.Image, how: Mapping[str, Any] = LOSSLESS) -> str:
    """Encode the picture itself in place of an address."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **how)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


class Failure(NamedTuple):
    """A test example that was answered wrongly."""

    label: str
    answer: str
    pictures: list[Picture]  # the example, drawn from the label's capsules, from the predicted ones


def shown_failing(runs: Sequence[Run]) -> list[Run]:
    """Choose the lowest seed that kept pictures, for each experiment that reconstructs."""
    kept = {run.record.experiment: run for run in reversed(runs) if "targets" in run.arrays}
    return [run for _, run in sorted(kept.items())]


def failures(run: Run) -> list[Failure]:
    """Return the failures in their order in the test set."""
    _, wrong = found(run.arrays["targets"])
    return [_failure(run, one) for one in wrong]


def _failure(run: Run, one: int) -> Failure:
    targets, image = run.arrays["targets"][one], run.arrays["images"][one]
    label, answer = (
        " and ".join(run.record.dataset.class_names[number] for number in targets[which])
        for which in (TRUE, PREDICTED)
    )
    ink = run.record.dataset.ink
    drawn = [_drawn(run.arrays["reconstructions"][one, which], ink) for which in (TRUE, PREDICTED)]
    shown = visible(image, ink) if targets.shape[-1] == 1 else coloured(image)
    return Failure(
        label,
        answer,
        [
            _small(shown, f"test example, label {label}", "input"),
            _small(drawn[0], f"drawn from the capsule of {label}, the label", f"as {label}"),
            _small(drawn[1], f"drawn from the capsule of {answer}, the answer", f"as {answer}"),
        ],
    )


def _drawn(alone: NDArray[np.uint8], ink: bool) -> NDArray[np.uint8]:
    """Draw one as it is, handwriting dark on light, and two in red and green, as in figure 5."""
    return visible(alone[0], ink) if len(alone) == 1 else overlay(*alone)


def _small(pixels: NDArray[np.uint8], alt: str, words: str) -> Picture:
    height, width = pixels.shape[:2]
    return Picture(data_uri(Image.fromarray(pixels)), width, height, alt, words)
