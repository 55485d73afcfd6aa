"""The two recipes at equal steps: which learns faster, which ends lower."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from capsnet.records.record import Record
from capsnet.report.analysis.answers import contrast
from capsnet.report.analysis.selection import Pair, matched_pairs
from capsnet.report.analysis.verdicts import pooled
from capsnet.report.tables.claims import compared, errors, gain_in_words
from capsnet.report.tables.paper_rows import Text, steps

RELEASED, TEXT = "released", "text"
COLUMNS = (
    "experiment",
    "trained on",
    "steps",
    "released, errors",
    "text, errors",
    "text lower by, % points (seeds)",
    "digits in general (seeds and digits)",
    "right alone: text, released (p of all seeds)",
    "seeds",
)


def recipes_table(runs: Mapping[Path, Record]) -> list[Text]:
    """A line for each experiment and schedule that both recipes were run with, shortest first."""

    def schedule(pair: Pair) -> tuple[str, int, str, int]:
        one = runs[pair[0]]
        return one.experiment, one.steps_planned, one.schedule, one.training_examples

    groups = groupby(sorted(pairs(runs), key=schedule), schedule)
    return [COLUMNS, *(_row(runs, list(group)) for _, group in groups)]


def pairs(runs: Mapping[Path, Record]) -> list[Pair]:
    """Runs that differ in nothing but the recipe, `text` first, in the order of their seeds."""

    def wanted(text: Record, released: Record) -> bool:
        recipes = text.recipe, released.recipe
        return recipes == (TEXT, RELEASED) and text.experiment == released.experiment

    return matched_pairs(runs, wanted)


def _row(runs: Mapping[Path, Record], found: Sequence[Pair]) -> Text:
    text, released = ([runs[path] for path in side] for side in zip(*found, strict=True))
    both = errors(runs, found, "test")
    spread = pooled(both)
    digits = f"{text[0].training_examples:,} {text[0].source}"
    counted = _errors(released), _errors(text)
    alike = compared(contrast(runs, found, "test"), spread)
    gained = gain_in_words(*both, spread), *alike, f"{len(found)}"
    return text[0].experiment, digits, steps(text), *counted, *gained


def _errors(records: Sequence[Record]) -> str:
    tests = [record.tests["test"] for record in records]
    return ", ".join(f"{test.errors:,}" for test in tests) + f" / {tests[0].total:,}"
