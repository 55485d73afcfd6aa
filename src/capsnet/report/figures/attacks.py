"""The figure of attacks: accuracy over eps, a panel for each attack and a line for each run."""

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import altair as alt

from capsnet.records.attacks import Attacks, accuracy
from capsnet.report.figures.chart import Chart, Panel, colours, layers
from capsnet.report.figures.style import COLOURS

TITLES = {"fgsm": "FGSM, one step", "bim": "BIM, several steps"}
REMARK = (
    "White box; eps of pixels in [0, 1]. Bands: 95 % intervals. Dashed: the share of images at "
    "which the loss has no gradient, so that the attacker of that loss cannot begin."
)
X = alt.X("eps:Q", title="eps", axis=alt.Axis(format="~g"))


def figure_attacks(every: Sequence[Attacks]) -> Chart:
    """Draw all attacks of one run or more."""
    methods = [name for name in TITLES if any(name in one.methods for one in every)]
    panels = [_panel(every, name) for name in methods]
    short = any(one.schedule != "paper" and not one.demo for one in every)
    caveats = [*["demo"] * any(one.demo for one in every), *["short schedule"] * short]
    return Chart("Accuracy under attack", _caption(every), caveats, [panels])


def _caption(every: Sequence[Attacks]) -> str:
    """Write the clean errors beside each other, then what is drawn."""
    clean = dict.fromkeys(
        f"{one.name}, {one.recipe}: {one.clean.error_percent:.2f} % of {one.clean.total:,}"
        for one in every
    )
    return "\n".join((f"Clean errors · {' · '.join(clean)}", REMARK))


def _label(one: Attacks) -> str:
    return f"{one.name}, {one.recipe}, {one.loss} loss"


def _panel(every: Sequence[Attacks], method: str) -> Panel:
    """Draw a line with its band for each run, and the share of images without a gradient."""
    values = [value for one in every for value in _values(one, method)]
    color = colours("run", dict(zip(map(_label, every), cycle(COLOURS), strict=False)))
    chart = alt.Chart(alt.Data(values=values)).encode(x=X, color=color, detail="run:N")
    line = chart.encode(y=_percent("accuracy"))
    band = chart.mark_area(opacity=0.2, line=False).encode(y=_percent("low"), y2="high:Q")
    flat = chart.mark_line(strokeDash=[3, 3], strokeWidth=1).encode(y=_percent("flat"))
    dots = line.mark_circle(size=25, opacity=1, tooltip=True)
    return Panel(TITLES[method], layers(band, flat, line.mark_line(strokeWidth=1.5), dots))


def _percent(field: str) -> alt.Y:
    """Encode a percentage on the axis that all layers share."""
    return alt.Y(f"{field}:Q", title="accuracy, %", scale=alt.Scale(domain=[0, 100]))


def _values(one: Attacks, method: str) -> Iterator[dict[str, Any]]:
    """Yield a point for each eps, where the run was attacked so."""
    for eps, test in one.along(method).items() if method in one.methods else ():
        percent, low, high = accuracy(test)
        point = {"eps": eps, "accuracy": percent, "low": low, "high": high}
        yield {"run": _label(one), "errors": test.counts, "flat": one.zero_percent, **point}
