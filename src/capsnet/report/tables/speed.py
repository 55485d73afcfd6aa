"""The benchmark's measurements as tables: from the JSON that it writes, so that docs/speed.md and
the terminal say the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median, quantiles
from typing import Any

from capsnet.paper import BATCH
from capsnet.records.provenance import threads
from capsnet.report.tables.table import Table, text_table

PARTS = ("data", "forward", "backward", "optimiser")  # of a training step
Cells = tuple[str, ...]
Rounds = Sequence[Mapping[str, float]]  # seconds of each part and of evaluating a batch
PATH_COLUMNS = (
    "path",
    "step, ms",
    "images/s",
    "× textbook",
    "× textbook + keep",
    "× sgemm",  # nominal operations a second, of the direct algorithm, over those of sgemm
    "forward / backward / Adam, %",
    "evaluation, images/s",
    "peak, MiB",
)
ROW_COLUMNS = (
    "experiment",
    "step, ms",
    "images/s",
    "× textbook",
    "data / forward / backward / Adam, %",
    "evaluation, images/s",
    "peak, MiB",
)
PATHS, NOT_FIT, DIED = ("textbook", "fast"), "out of memory", "died"
SETTING_COLUMNS = (
    "setting",
    "step, ms",
    "in Lightning's loop, ms",
    "images/s",
    "× the first",
    "peak, MiB",
)
LOOP_COLUMNS = ("steps", "images/s", "forward, backward and Adam, %", "choosing examples, %")
GROWTH_COLUMNS = (
    "",
    "textbook, ms",
    "fast, ms",
    "times faster",
    "textbook, MiB",
    "fast, MiB",
)


def speed_tables(benchmark: Mapping[str, Any]) -> list[Table[Any]]:
    """Make the tables of whatever `benchmark`, a benchmark's JSON, holds."""
    makers = {"paths": paths_table, "rows": rows_table, "loop": loop_table, "growth": growth_table}
    tables = [makers[part](benchmark[part]) for part in makers if part in benchmark]
    timed = benchmark.get("settings", {}).items()
    tables += [settings_table(name, found) for name, found in timed if found]
    where = machine(benchmark)
    return [replace(table, title=f"{table.title} ({where})") for table in tables]


def machine(benchmark: Mapping[str, Any]) -> str:
    """Describe the machine, and the settings of the experiments."""
    cpu = [threads(benchmark["threads"]), "fp32"] if benchmark.get("device", "cpu") == "cpu" else []
    return ", ".join([benchmark["processor"], *cpu, *benchmark.get("overrides", [])])


def paths_table(benchmark: Mapping[str, Any]) -> Table[Any]:
    """Tabulate implementations; ratios are medians of those within a round, with quartiles."""
    rows = [_path(name, benchmark) for name in benchmark["measured"]]
    return text_table("MNIST CapsNet with decoder, training step", PATH_COLUMNS, rows)


def _path(name: str, benchmark: Mapping[str, Any]) -> Cells:
    measured = benchmark["measured"]
    some, peak = measured[name]["timings"], measured[name]["peak_mib"]
    if peak is None:
        return name, DIED, *("–",) * (len(PATH_COLUMNS) - 2)
    return (
        name,
        milliseconds(step_seconds(some)),
        f"{benchmark['batch'] / step_seconds(some):.0f}",
        times(measured["textbook"], some),
        times(measured.get("textbook + keep"), some),
        f"{benchmark['flops'] / step_seconds(some) / median(benchmark['sgemm']):.1f}",
        shares(some, PARTS[1:]),
        f"{benchmark['batch'] / seconds(some, 'evaluation'):.0f}",
        f"{peak:.0f}",
    )


def rows_table(
    benchmark: Mapping[str, Any], title: str = "Every experiment, as training takes it"
) -> Table[Any]:
    """Tabulate each experiment at the paper's batch."""
    return text_table(title, ROW_COLUMNS, [_row(name, paths) for name, paths in benchmark.items()])


def _row(experiment: str, paths: Mapping[str, Any]) -> Cells:
    training, textbook = paths["training"], paths.get("textbook")
    name, rounds = ", ".join([experiment, *setting(paths)]), training["timings"]
    if training["peak_mib"] is None:
        return name, DIED, *("–",) * (len(ROW_COLUMNS) - 2)
    return (
        name,
        milliseconds(step_seconds(rounds)),
        f"{BATCH / step_seconds(rounds):.0f}",
        times(textbook, rounds),
        shares(rounds, PARTS),
        f"{BATCH / seconds(rounds, 'evaluation'):.0f}",
        f"{training['peak_mib']:.0f}",
    )


def setting(paths: Mapping[str, Any]) -> list[str]:
    """Return the name of the setting that an experiment was timed with, if it has one."""
    return [paths["setting"]] if "setting" in paths else []


def settings_table(experiment: str, benchmark: Mapping[str, Any]) -> Table[Any]:
    """List the settings of an experiment that a GPU was timed with, the plainest first."""
    first = next((loop_seconds(one["loop"]) for one in benchmark.values() if one["loop"]), 0.0)
    rows = [_setting(name, one, first) for name, one in benchmark.items()]
    return text_table(f"{experiment} by every setting", SETTING_COLUMNS, rows)


def _setting(name: str, one: Mapping[str, Any], first: float) -> Cells:
    if one["loop"] is None:
        return name, DIED, *("–",) * (len(SETTING_COLUMNS) - 2)
    looped = loop_seconds(one["loop"])
    return (
        name,
        milliseconds(step_seconds(one["timings"])),
        milliseconds(looped),
        f"{BATCH / looped:.0f}",
        f"{first / looped:.2f}",
        f"{one['peak_mib']:.0f}",
    )


def loop_seconds(loop: Mapping[str, float]) -> float:
    """Return the seconds of a step in Lightning's loop."""
    return loop["seconds"] / loop["steps"]


def loop_table(benchmark: Mapping[str, float]) -> Table[Any]:
    """Tabulate the shares of the bare step and of its data in the loop's time."""
    row = (
        f"{benchmark['steps']:.0f}",
        f"{benchmark['steps'] * BATCH / benchmark['seconds']:.0f}",
        f"{100 * benchmark['step'] / benchmark['seconds']:.1f}",
        f"{100 * benchmark['data'] / benchmark['seconds']:.2f}",
    )
    return text_table("MNIST CapsNet with decoder, in Lightning's loop", LOOP_COLUMNS, [row])


def growth_table(benchmark: Sequence[Mapping[str, Any]]) -> Table[Any]:
    """Tabulate each point: one of batch, side and iterations is not the paper's."""
    rows = [_point(point, point["measured"]) for point in benchmark]
    return text_table("Growth, without decoder", GROWTH_COLUMNS, rows)


def _point(point: Mapping[str, Any], measured: Mapping[str, Any]) -> Cells:
    called, paths = f"{point['varied']} {point['value']}", [measured[path] for path in PATHS]
    if any(path["peak_mib"] is None for path in paths):
        alone = [_alone(path) for path in paths]
        return called, alone[0][0], alone[1][0], "–", alone[0][1], alone[1][1]
    slow, quick = (step_seconds(path["timings"]) for path in paths)
    peaks = (f"{path['peak_mib']:.0f}" for path in paths)
    return called, milliseconds(slow), milliseconds(quick), f"{slow / quick:.1f}", *peaks


def _alone(path: Mapping[str, Any]) -> Cells:
    """Time and memory of one path, where the other one, or this, did not fit into memory."""
    if path["peak_mib"] is None:
        return NOT_FIT, NOT_FIT
    return milliseconds(step_seconds(path["timings"])), f"{path['peak_mib']:.0f}"


def milliseconds(seconds: float) -> str:
    """Three digits, or all before the point."""
    return f"{1000 * seconds:.0f}" if seconds >= 0.1 else f"{1000 * seconds:.3g}"


def seconds(rounds: Rounds, part: str) -> float:
    """Return the median of a part."""
    return median(one[part] for one in rounds)


def steps_seconds(rounds: Rounds) -> list[float]:
    """Return the seconds of the training step in each round."""
    return [sum(one[part] for part in PARTS) for one in rounds]


def step_seconds(rounds: Rounds) -> float:
    """Return the median of the training step."""
    return median(steps_seconds(rounds))


def ratios(slow: Rounds, quick: Rounds) -> list[float]:
    """Return the speed-up, round by round."""
    pairs = zip(steps_seconds(slow), steps_seconds(quick), strict=True)
    return [one / other for one, other in pairs]


def times(slow: Mapping[str, Any] | None, quick: Rounds) -> str:
    """Write the speed-up: median and quartiles; nothing for what was not measured or died."""
    if slow is None or slow["peak_mib"] is None:
        return "–"
    values = ratios(slow["timings"], quick)
    low, _, high = quantiles(values, n=4)
    return f"{median(values):.1f} ({low:.1f}–{high:.1f})"


def shares(rounds: Rounds, parts: Sequence[str]) -> str:
    """Return the share of each part in a step's time, in percent: medians."""
    whole = steps_seconds(rounds)
    medians = (
        median(one[part] / step for one, step in zip(rounds, whole, strict=True)) for part in parts
    )
    return " / ".join(f"{100 * share:.1f}" for share in medians)
