"""The facts of a data set that networks, records, figures and tracking read."""

from dataclasses import dataclass
from typing import Any

DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class DatasetInfo:
    """Describe the images that a network is trained and tested on.

    `name` is that in tables and figures. Class i of `class_names` is labelled i. `stand_in` marks
    data that take the place of the paper's in the demo: results on them say nothing of the paper.
    """

    name: str
    channels: int
    height: int
    width: int
    class_names: tuple[str, ...] = DIGITS
    labels_per_image: int = 1
    stand_in: bool = False

    @property
    def image(self) -> tuple[int, int, int]:
        """Return channels, height and width."""
        return self.channels, self.height, self.width

    @property
    def ink(self) -> bool:
        """Tell whether pictures are handwriting, white on black, which may be shown inverted."""
        return self.channels == 1 and self.class_names == DIGITS

    @classmethod
    def read(cls, values: dict[str, Any]) -> "DatasetInfo":
        """Build it from JSON. Raises TypeError or KeyError for other keys."""
        names: Any = values["class_names"]
        return cls(**{**values, "class_names": tuple(names)})
