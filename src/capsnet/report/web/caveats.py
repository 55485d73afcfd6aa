"""The caveats of a page: which of its runs cannot speak for the paper; caveats.html words them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from capsnet import paper
from capsnet.analysis.selection import REASONS, exclusion_reason
from capsnet.records.record import Record
from capsnet.report.runs import counted
from capsnet.report.tables.runs_table import steps_done

FULL = "full schedule"


@dataclass(frozen=True)
class Caveat:
    """A group of results that have something in common, as an `exclusion_reason` or FULL.

    `share` says of how many numbers it holds, '3 of 10 runs'. `of_runs` is False where it is not
    about our runs. `facts` are the values in its sentence.
    """

    word: str
    share: str
    of_runs: bool = True
    facts: dict[str, str] = field(default_factory=dict)


def caveats(records: Sequence[Record]) -> list[Caveat]:
    """Return one for each kind of run, then what is missing and which test data are generated."""
    words = [exclusion_reason([one]) or FULL for one in records]
    kinds = {
        word: [one for one, of in zip(records, words, strict=True) if of == word]
        for word in (*REASONS, FULL)
        if word in words
    }
    found = [
        Caveat(word, f"{len(some)} of {counted(len(records), 'run')}", facts=facts(some))
        for word, some in kinds.items()
    ]
    return [*found, *_missing(records), *_generated(records)]


def summary(found: Sequence[Caveat]) -> str:
    """Return the caveats of the runs in one line, for the top of the page and its title."""
    words = [f"{one.word}: {one.share}" for one in found if one.of_runs]
    silent = all(one.word != FULL for one in found)
    return " · ".join(words + ["no verdict on the paper"] * silent)


def facts(records: Sequence[Record]) -> dict[str, str]:
    """Return what the sentences say of the runs, the different values joined by 'and'."""
    commits = (f"commit {one.commit[:7]}" if one.commit else "the commit" for one in records)
    return {
        "steps": f"{steps_done(records).replace('–', ' to ')} steps",
        "paper_steps": _each(f"{paper.steps(one.experiment):,}" for one in records),
        "sources": _each(one.source for one in records),
        "widths": _each(f"{one.model.width:g}" for one in records),
        "experiments": _each(one.experiment for one in records),
        "overrides": _each(one for record in records for one in record.overrides),
        "examples": _each(f"{one.training_examples:,}" for one in records),
        "commits": _each(commits),
        "precisions": _each(one.precision for one in records),
    }


def _missing(records: Sequence[Record]) -> list[Caveat]:
    rows = [row for table in paper.TABLES for row in table.rows]
    missing = [row for row in rows if row.experiment not in {one.experiment for one in records}]
    share = f"{len(missing)} of {len(rows)} rows"
    return [Caveat("not yet run", share, of_runs=False)] * bool(missing)


def _generated(records: Sequence[Record]) -> list[Caveat]:
    """Find test sets that this project made itself, where the paper took a published file."""
    sources = [test.source for one in records for test in one.tests.values()]
    made = [source for source in sources if source.endswith("-generated")]
    share = f"{len(made)} of {len(sources)} results"
    found = Caveat("generated test data", share, of_runs=False, facts={"sources": _each(made)})
    return [found] * bool(made)


def _each(words: Iterable[str]) -> str:
    return " and ".join(sorted(set(words)))
