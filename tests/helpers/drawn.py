"""Read charts back from their SVG: where lines and points are, in the units of the axes."""

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, parse

import numpy as np
from numpy.typing import NDArray

SVG = "{http://www.w3.org/2000/svg}"
BASELINE = 4  # pixels between the middle of a label's letters and where they stand


def words(path: Path) -> str:
    """All text of an SVG, a space where its lines break."""
    return " ".join("".join(text.itertext()) for text in parse(path).iter(f"{SVG}text"))


class Axis(NamedTuple):
    """A straight line from positions in pixels to values; NaN where the axis has one label."""

    slope: float
    start: float
    log: bool

    def values(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        straight = self.slope * positions + self.start
        return 10**straight if self.log else straight


class Axes:
    """One panel of a chart."""

    def __init__(self, panel: Element) -> None:
        self.panel = panel
        axes = [one for one in self._groups("role-axis") if one.get("aria-label")]
        self.x, self.y = (
            _axis(next(one for one in axes if one.get("aria-label", "").startswith(f"{name}-axis")))
            for name in ("X", "Y")
        )

    @property
    def title(self) -> str:
        return " ".join(
            "".join(text.itertext())
            for group in self._groups("role-title-text")
            for text in group.iter(f"{SVG}text")
        )

    def lines(self, colour: str) -> list[NDArray[np.float64]]:
        """Each line of a colour, [points, 2]: x and y."""
        paths = [
            path
            for group in self._groups("mark-line")
            for path in group.iter(f"{SVG}path")
            if path.get("stroke") == colour
        ]
        return [self._values(_numbers(path.attrib["d"])) for path in paths]

    def dashes(self, colour: str) -> set[str | None]:
        """The dashes of the lines of a colour; None for a solid line."""
        return {
            path.get("stroke-dasharray")
            for group in self._groups("mark-line")
            for path in group.iter(f"{SVG}path")
            if path.get("stroke") == colour
        }

    def points(self, colour: str, by: str = "fill") -> NDArray[np.float64]:
        """The points of a colour, [points, 2]: x and y."""
        places = [
            _numbers(path.attrib["transform"])[0]
            for group in self._groups("mark-symbol role-mark")
            for path in group.iter(f"{SVG}path")
            if path.get(by) == colour
        ]
        return self._values(np.array(places).reshape(-1, 2))

    def bars(self, colour: str) -> list[tuple[float, float]]:
        """The lower and the upper end of each vertical bar of a colour."""
        found = list[tuple[float, float]]()
        for group in self._groups("mark-rule role-mark"):
            for line in group.iter(f"{SVG}line"):
                if line.get("stroke") == colour:
                    x, y = _numbers(line.attrib["transform"])[0]
                    ends = np.array([(x, y), (x, y + float(line.attrib["y2"]))])
                    low, high = sorted(self._values(ends)[:, 1].tolist())
                    found.append((low, high))
        return found

    def texts(self) -> dict[tuple[int, int], str]:
        """The text of marks, by the nearest whole x and y."""
        marks = [
            text
            for group in self._groups("mark-text role-mark")
            for text in group.iter(f"{SVG}text")
        ]
        places = np.array([_numbers(text.attrib["transform"])[0] for text in marks])
        places[:, 1] -= BASELINE
        cells = self._values(places).round().astype(int).tolist()
        return {(x, y): text.text or "" for (x, y), text in zip(cells, marks, strict=True)}

    def _values(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([self.x.values(places[:, 0]), self.y.values(places[:, 1])])

    def _groups(self, name: str) -> list[Element]:
        return [one for one in self.panel.iter(f"{SVG}g") if name in one.get("class", "")]


def panels(path: Path) -> list[Axes]:
    """The panels of a chart, row by row."""
    groups = parse(path).iter(f"{SVG}g")
    return [
        Axes(group)
        for group in groups
        if re.search(r"concat_\d+_concat_\d+_group$", group.get("class", ""))
    ]


def _axis(group: Element) -> Axis:
    labels = next(one for one in group.iter(f"{SVG}g") if "role-axis-label" in one.get("class", ""))
    texts = [text for text in labels.iter(f"{SVG}text") if text.text]
    places = np.array([_numbers(text.attrib["transform"])[0] for text in texts])
    name = group.attrib["aria-label"]
    across = name.startswith("X")
    positions = places[:, 0] if across else places[:, 1] - BASELINE
    log = "for a log scale" in name
    values = [float((text.text or "").replace(",", "")) for text in texts]
    if len(values) < 2:
        return Axis(np.nan, np.nan, log)
    slope, start = np.polyfit(positions, np.log10(values) if log else values, 1)
    return Axis(float(slope), float(start), log)


def _numbers(words: str) -> NDArray[np.float64]:
    """All pairs of numbers in a path or a transform, [pairs, 2]."""
    found = re.findall(r"-?[\d.]+(?:e-?\d+)?", words)
    return np.array(found, float).reshape(-1, 2)
