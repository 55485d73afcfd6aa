"""The findings of a check, in tables and sentences."""

from collections.abc import Mapping
from typing import Any

from capsnet import paper
from capsnet.benchmark.settings import Setting
from capsnet.gpu_check.advice import (
    CAPSNET,
    LIMIT,
    hours,
    jobs,
    pipeline_experiments,
    recommended,
    representative,
    seconds,
    times,
    wrong,
)
from capsnet.report.tables.table import Table, text_table

ROUNDING = 1e-2  # error of a convolution up to which it only rounds; bf16 rounds to 4e-3
INSTEAD = {  # of what is wrong
    "fast": "trainer.kernels=reference",
    "fused": "trainer.kernels=fast",
    "fourier": "trainer.convolutions=direct",
    "direct": "trainer.convolutions=fourier",
}

Report = Mapping[str, Any]  # of JSON


def facts_table(facts: Mapping[str, str]) -> Table[Any]:
    """List the facts about the machine."""
    rows = [{"item": item, "value": value} for item, value in facts.items()]
    return text_table("This machine", rows)


def errors_table(errors: Mapping[str, float | None]) -> Table[Any]:
    """List each kernel's largest relative error."""
    bad = wrong(errors)
    rows = [
        {
            "kernel, examples × capsules": name,
            "relative error": "died" if error is None else f"{error:.1e}",
            f"at most {LIMIT:.0e}": "NO" if name in bad else "yes",
        }
        for name, error in errors.items()
    ]
    return text_table("Kernels against float64, values and gradients", rows)


def waits_table(waits: Report | None) -> Table[Any]:
    """List how often a step waits; `waits` is None when the process died."""
    found = waits or {"between": "died", "logged": "died", "places": []}
    rows = [
        ("not logged", f"{found['between']}"),
        ("logged", f"{found['logged']}"),
        *(("source line", place) for place in found["places"]),
    ]
    named = [{"steps": steps, "waits per step, at most": count} for steps, count in rows]
    return text_table("Waits for the GPU in Lightning's loop", named)


def jobs_table(rates: Mapping[str, float]) -> Table[Any]:
    """List how many images per second several runs train on together."""
    alone = rates.get("1")
    rows = [
        {
            "runs at a time": count,
            "images/s, all together": f"{paper.BATCH * rate:.0f}",
            "× one": f"{rate / alone:.2f}" if alone else None,
        }
        for count, rate in rates.items()
    ]
    return text_table("Several runs at a time on this GPU", rows)


def summary(report: Report) -> list[str]:
    """Say which settings to train with, what bf16 would gain, and how long the paper takes."""
    found = seconds(report)
    chosen = recommended(found)
    lines = ["", "Recommended on this GPU (the rules are in docs/gpu.md):"]
    for experiment, setting in chosen.items():
        kind = "CapsNets" if experiment == CAPSNET else "baselines"
        lines.append(f"  {kind}: {' '.join(setting.overrides)}")
        lines += bf16(found[experiment], setting)
    lines += at_a_time(report.get("jobs", {})) + cudnn_rounds(report.get("exactness", {}))
    return [*lines, *machine_file([*chosen.values()]), *paper_hours(report)]


def cudnn_rounds(errors: Mapping[str, float | None]) -> list[str]:
    """Say which convolutions cuDNN rounds far more than fp32 has to: it is no fault of ours."""
    return [
        f"  {name.removeprefix('direct, ')}: cuDNN is {error:.0e} off in fp32, `auto` is not: "
        "train with trainer.convolutions=fourier"
        for name, error in errors.items()
        if error is not None and name in wrong(errors) and only_rounds(name, error)
    ]


def only_rounds(case: str, error: float | None) -> bool:
    """Tell whether a case of `exactness` is PyTorch's own convolution, and rounds no worse."""
    return case.startswith("direct") and error is not None and error <= ROUNDING


def machine_file(chosen: list[Setting]) -> list[str]:
    """Say what conf/machine/local.yaml needs, for `dvc repro` too; where kinds differ, CapsNets'.

    Kernels change nothing for a baseline.
    """
    if not chosen:
        return []
    first = chosen[0]
    values = {
        "kernels": first.kernels,
        "convolutions": first.convolutions,
        "compile": str(first.compile).lower(),
    }
    lines = [
        "For all runs on this machine, in conf/machine/local.yaml:",
        "  # @package _global_",
        f"  precision: {first.precision}",
        f"  trainer: {{{', '.join(f'{key}: {value}' for key, value in values.items())}}}",
    ]
    if any(one._replace(kernels=first.kernels) != first for one in chosen):
        lines.append("  # baselines differ (above): give theirs on the command line")
    return lines


def bf16(found: Mapping[Setting, float], setting: Setting) -> list[str]:
    """Say what bf16 would gain over the setting that is recommended."""
    gain = times(found, setting.precision, "bf16-mixed")
    gained = f"    precision=bf16-mixed: {gain or 0:.1f} times as fast; compare its errors first"
    return [gained] if gain else []


def at_a_time(rates: Mapping[str, float]) -> list[str]:
    """Say how many runs to have on the GPU at a time."""
    return [f"  runs at a time: {jobs(rates)}"] if rates else []


def paper_hours(report: Report) -> list[str]:
    """Say how long `dvc repro` takes with the recommended settings."""
    found, rates = hours(report.get("rows", {})), report.get("jobs", {})
    if not found:
        return ["Hours of `dvc repro`: not known, as no experiment was timed"]
    lines = [f"Hours of `dvc repro`, {paper.TRIALS} seeds each (CIFAR-10: 7), at most:"]
    lines += [f"  {name}: {one:.2f}" for name, one in found.items()]
    lines.append(f"  together: {sum(found.values()):.1f}, one run after another")
    if "1" in rates and (count := jobs(rates)) > 1:
        gained = sum(found.values()) - saved(found, rates[str(count)] / rates["1"])
        lines.append(f"  {gained:.1f} with {count} CapsNets at a time")
    if missing := [name for name in pipeline_experiments() if name not in found]:
        lines.append(f"  not timed, so not counted: {', '.join(missing)}")
    return lines


def saved(found: Mapping[str, float], gain: float) -> float:
    """Return the hours that runs side by side save; baselines fill a GPU, and are not counted."""
    capsnets = sum(one for name, one in found.items() if representative(name) == CAPSNET)
    return capsnets * (1 - 1 / gain)


def faults(report: Report) -> list[str]:
    """Say what is wrong on this GPU: kernels, and steps that wait."""
    errors = report.get("exactness", {})
    found = [
        f"{name} is wrong here: train with {INSTEAD[name.split()[0].rstrip(',')]}"
        for name in wrong(errors)
        if not only_rounds(name, errors[name])
    ]
    waits = report.get("waits")
    if waits is None or waits["between"]:
        found.append("steps between those that are logged wait for the GPU, or could not be run")
    return found
