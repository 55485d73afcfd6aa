"""The benchmark's measurements as tables: from the JSON that it writes, so that docs/speed.md and
the terminal say the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import truediv
from statistics import median, quantiles
from typing import Any

from capsnet.paper import BATCH
from capsnet.records.provenance import threads
from capsnet.report.tables.table import Table, span, text_table

PARTS = ("data", "forward", "backward", "optimiser")  # of a training step
NOT_FIT, DIED = "out of memory", "died"
Cells = dict[str, str | None]  # by column
Rounds = Sequence[Mapping[str, float]]  # seconds of each part and of evaluating a batch


def speed_tables(benchmark: Mapping[str, Any]) -> list[Table[Any]]:
    """Make the tables of whatever `benchmark`, a benchmark's JSON, holds."""
    makers = {"paths": paths_table, "rows": rows_table, "loop": loop_table, "growth": growth_table}
    tables = [makers[part](benchmark[part]) for part in makers if benchmark.get(part)]
    timed = benchmark.get("settings", {}).items()
    tables += [settings_table(name, found) for name, found in timed if found]
    where = machine(benchmark)
    return [replace(table, title=f"{table.title} ({where})") for table in tables]


def machine(benchmark: Mapping[str, Any]) -> str:
    """Describe the machine, and the settings of the experiments."""
    cpu = [threads(benchmark["threads"]), "fp32"] if benchmark.get("device", "cpu") == "cpu" else []
    return ", ".join([benchmark["processor"], *cpu, *benchmark.get("overrides", [])])


def paths_table(benchmark: Mapping[str, Any]) -> Table[Any]:
    """Tabulate implementations; ratios are medians of those within a round, with quartiles.

    *× sgemm* is nominal operations per second, of the direct algorithm, over those of sgemm.
    """
    rows = [_path(name, benchmark) for name in benchmark["measured"]]
    return text_table("MNIST CapsNet with decoder, training step", rows)


def _path(name: str, benchmark: Mapping[str, Any]) -> Cells:
    measured, batch = benchmark["measured"], benchmark["batch"]
    rounds, peak = measured[name]["timings"], measured[name]["peak_mib"]
    if peak is None:
        return {"path": name, "step, ms": DIED}
    step = step_seconds(rounds)
    return {
        "path": name,
        "step, ms": milliseconds(step),
        "images/s": f"{batch / step:.0f}",
        "× textbook": times(measured["textbook"], rounds),
        "× textbook + keep": times(measured.get("textbook + keep"), rounds),
        "× sgemm": f"{benchmark['flops'] / step / median(benchmark['sgemm']):.1f}",
        "forward / backward / Adam, %": shares(rounds, PARTS[1:]),
        "evaluation, images/s": f"{batch / seconds(rounds, 'evaluation'):.0f}",
        "peak, MiB": f"{peak:.0f}",
    }


def rows_table(
    benchmark: Mapping[str, Any], title: str = "Training step of every experiment"
) -> Table[Any]:
    """Tabulate each experiment at the paper's batch."""
    return text_table(title, [_row(name, paths) for name, paths in benchmark.items()])


def _row(experiment: str, paths: Mapping[str, Any]) -> Cells:
    name, training = ", ".join([experiment, *setting(paths)]), paths["training"]
    rounds, peak = training["timings"], training["peak_mib"]
    if peak is None:
        return {"experiment": name, "step, ms": DIED}
    step = step_seconds(rounds)
    return {
        "experiment": name,
        "step, ms": milliseconds(step),
        "images/s": f"{BATCH / step:.0f}",
        "× textbook": times(paths.get("textbook"), rounds),
        "data / forward / backward / Adam, %": shares(rounds, PARTS),
        "evaluation, images/s": f"{BATCH / seconds(rounds, 'evaluation'):.0f}",
        "peak, MiB": f"{peak:.0f}",
    }


def setting(paths: Mapping[str, Any]) -> list[str]:
    """Return the name of the setting that an experiment was timed with, if it has one."""
    return [paths["setting"]] if "setting" in paths else []


def settings_table(experiment: str, benchmark: Mapping[str, Any]) -> Table[Any]:
    """List the settings of an experiment that a GPU was timed with, the plainest first."""
    first = next((loop_seconds(one["loop"]) for one in benchmark.values() if one["loop"]), 0.0)
    rows = [_setting(name, one, first) for name, one in benchmark.items()]
    return text_table(f"{experiment} under every setting", rows)


def _setting(name: str, one: Mapping[str, Any], first: float) -> Cells:
    if one["loop"] is None:
        return {"setting": name, "step, ms": DIED}
    looped = loop_seconds(one["loop"])
    return {
        "setting": name,
        "step, ms": milliseconds(step_seconds(one["timings"])),
        "in Lightning's loop, ms": milliseconds(looped),
        "images/s": f"{BATCH / looped:.0f}",
        "× the first": f"{first / looped:.2f}",
        "peak, MiB": f"{one['peak_mib']:.0f}",
    }


def loop_seconds(loop: Mapping[str, float]) -> float:
    """Return the seconds of a step in Lightning's loop."""
    return loop["seconds"] / loop["steps"]


def loop_table(loop: Mapping[str, float]) -> Table[Any]:
    """Tabulate the shares of the bare step and of its data in the loop's time."""
    row = {
        "steps": f"{loop['steps']:.0f}",
        "images/s": f"{loop['steps'] * BATCH / loop['seconds']:.0f}",
        "forward, backward and Adam, %": f"{100 * loop['step'] / loop['seconds']:.1f}",
        "choosing examples, %": f"{100 * loop['data'] / loop['seconds']:.2f}",
    }
    return text_table("MNIST CapsNet with decoder, in Lightning's loop", [row])


def growth_table(benchmark: Sequence[Mapping[str, Any]]) -> Table[Any]:
    """Tabulate each point: one of batch, side and iterations is not the paper's."""
    return text_table("Growth, without decoder", [_point(point) for point in benchmark])


def _point(point: Mapping[str, Any]) -> Cells:
    slow, quick = point["measured"]["textbook"], point["measured"]["fast"]
    (slow_step, slow_peak), (quick_step, quick_peak) = _step_and_peak(slow), _step_and_peak(quick)
    fitted = NOT_FIT not in (slow_step, quick_step)
    both = (step_seconds(path["timings"]) for path in (slow, quick))
    faster = f"{truediv(*both):.1f}" if fitted else None
    return {
        "": f"{point['varied']} {point['value']}",
        "textbook, ms": slow_step,
        "fast, ms": quick_step,
        "times faster": faster,
        "textbook, MiB": slow_peak,
        "fast, MiB": quick_peak,
    }


def _step_and_peak(path: Mapping[str, Any]) -> tuple[str, str]:
    """Return time and memory of one path, if it fitted into memory."""
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


def times(slow: Mapping[str, Any] | None, quick: Rounds) -> str | None:
    """Write the speed-up round by round: median and quartiles; None for what has no rounds."""
    if slow is None or slow["peak_mib"] is None:
        return None
    steps = zip(steps_seconds(slow["timings"]), steps_seconds(quick), strict=True)
    values = [one / other for one, other in steps]
    low, _, high = quantiles(values, n=4)
    return f"{median(values):.1f} ({span((low, high), '.1f')})"


def shares(rounds: Rounds, parts: Sequence[str]) -> str:
    """Return the share of each part in a step's time, in percent: medians."""
    whole = steps_seconds(rounds)
    medians = (
        median(one[part] / step for one, step in zip(rounds, whole, strict=True)) for part in parts
    )
    return " / ".join(f"{100 * share:.1f}" for share in medians)
