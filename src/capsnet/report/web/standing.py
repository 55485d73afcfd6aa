"""The words above all others: numbers are the demo's, of a short schedule, or the paper's."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from capsnet import paper
from capsnet.records.record import Record
from capsnet.report.analysis.runs import counted
from capsnet.report.analysis.selection import exclusion_reason

FULL = "full schedule"
PAPER = f"the paper's {paper.STEPS:,} steps"


class Standing(NamedTuple):
    """A group of results, and how far they can be trusted."""

    word: str  # what `groups.shortcoming` says, FULL, 'not yet run', 'generated test data'
    share: str  # of which numbers this is said: '3 of 10 runs'
    told: str


def standings(records: Sequence[Record]) -> list[Standing]:
    """One for each kind of run there is, then what is missing and what is generated."""
    found: list[Standing] = []
    for word, told in KINDS.items():
        some = [one for one in records if kind(one) == word]
        if some:
            found.append(
                Standing(word, f"{len(some)} of {counted(len(records), 'run')}", told(some))
            )
    return [*found, *_missing(records), *_generated(records)]


def kind(record: Record) -> str:
    """Return `groups.shortcoming`, or FULL."""
    return exclusion_reason([record]) or FULL


def _demo(records: Sequence[Record]) -> str:
    widths = _each(f"{one.model.width:g}" for one in records)
    sources = _each(one.source for one in records)
    return (
        f"Trained on {sources}, at {widths} of the paper's width, for {_steps(records)} in place "
        f"of {PAPER}. These numbers show that the pipeline works. They say nothing for or against "
        "the paper and get no verdict."
    )


def _short(records: Sequence[Record]) -> str:
    return (
        f"Trained on the paper's digits at its width, but for {_steps(records)} in place of "
        f"{PAPER}. Errors this early are far above what training ends at: they say nothing for or "
        "against the paper and get no verdict."
    )


def _unreached(records: Sequence[Record]) -> str:
    return (
        f"Trained for {_steps(records)} without reaching the accuracy at which the paper stops: no "
        "verdict."
    )


def _by_hand(records: Sequence[Record]) -> str:
    return (
        f"Trained with {_each(one for record in records for one in record.overrides)} in place of "
        "what the experiment's files say: no verdict."
    )


def _unknown(records: Sequence[Record]) -> str:
    return (
        f"Trained by a version ({_each(_commit(one) for one in records)}) whose records do not say "
        "which values were set by hand. No verdict."
    )


def _fewer(records: Sequence[Record]) -> str:
    return (
        f"Trained on {_each(f'{one.training_examples:,}' for one in records)} examples: these, or "
        "those they were tested on, are fewer than the paper's. No verdict."
    )


def _uncommitted(records: Sequence[Record]) -> str:
    return (
        f"Trained with changes to src/ or conf/ that {_each(_commit(one) for one in records)} does "
        "not hold: nobody else can train these again. No verdict."
    )


def _commit(record: Record) -> str:
    return f"commit {record.commit[:7]}" if record.commit else "the commit"


def _reduced(records: Sequence[Record]) -> str:
    return (
        f"Trained in {_each(one.precision for one in records)}, which the analysis plan has not "
        "accepted. No verdict."
    )


def _full(records: Sequence[Record]) -> str:
    return (
        f"Trained on the paper's digits at its width for {PAPER}, or until the accuracy at which "
        "it stops. Only these numbers get a verdict."
    )


KINDS: dict[str, Callable[[Sequence[Record]], str]] = {
    "demo": _demo,
    "values set by hand": _by_hand,
    "short schedule": _short,
    "accuracy not reached": _unreached,
    "fewer examples": _fewer,
    "values unknown": _unknown,
    "uncommitted code": _uncommitted,
    "not fp32": _reduced,
    FULL: _full,
}


def _missing(records: Sequence[Record]) -> list[Standing]:
    rows = [row for table in paper.TABLES for row in table.rows]
    run = {one.experiment for one in records}
    missing = [row for row in rows if row.experiment not in run]
    told = "The tables keep their lines open."
    return [Standing("not yet run", f"{len(missing)} of {len(rows)} rows", told)][: len(missing)]


def _generated(records: Sequence[Record]) -> list[Standing]:
    """Test sets that this project made itself, where the paper took somebody's file."""
    tests = [test for one in records for test in one.tests.values()]
    made = [test for test in tests if test.source.endswith("-generated")]
    told = (
        f"{_each(test.source for test in made)} follows the published description of affNIST; it "
        "is not the official file."
    )
    return [Standing("generated test data", f"{len(made)} of {len(tests)} results", told)][
        : len(made)
    ]


def _steps(records: Sequence[Record]) -> str:
    """'400 steps', '500 to 900 steps'."""
    done = sorted({one.steps_done for one in records})
    return " to ".join(f"{count:,}" for count in (done[0], done[-1])[: len(done)]) + " steps"


def _each(words: Iterable[str]) -> str:
    return " and ".join(sorted(set(words)))
