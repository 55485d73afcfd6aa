"""What a row of the paper costs, from the speeds that its runs had."""

from collections.abc import Iterable
from statistics import median

from capsnet import paper
from capsnet.report.tables import Text
from capsnet.results import Record

COLUMNS = ("experiment", "device", "images/s", "hours for 300,000 steps", "runs measured")
HOUR = 3600  # seconds


def costs_table(records: Iterable[Record]) -> list[Text]:
    """A line for each experiment and device, at the paper's width."""
    speeds: dict[tuple[str, str], list[float]] = {}
    for record in records:
        if record.model["width"] == 1:
            key = record.experiment, record.device
            speeds.setdefault(key, []).append(record.images_per_second)
    return [COLUMNS, *(_row(*key, speeds[key]) for key in sorted(speeds))]


def _row(experiment: str, device: str, speeds: list[float]) -> Text:
    hours = paper.STEPS * paper.BATCH / median(speeds) / HOUR
    return experiment, device, f"{median(speeds):.0f}", f"{hours:.0f}", str(len(speeds))
