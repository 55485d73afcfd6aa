"""Find which runs of the paper's schedule the analysis plan still needs for a verdict."""

from collections.abc import Iterable

from capsnet import paper
from capsnet.analysis.selection import exclusion_reason, groups, is_primary, reached
from capsnet.analysis.verdicts import LOOKS
from capsnet.records.runs import Run


def remaining(runs: Iterable[Run], experiment: str) -> list[int]:
    """List the seeds that `experiment` lacks for the plan's next look; none after the last one.

    Only runs that may get a verdict count, of the primary recipe where the model has one.
    """
    done = counted_seeds(runs, experiment)
    lacking = ([seed for seed in look if seed not in done] for look in looks(experiment))
    return next((seeds for seeds in lacking if seeds), [])


def looks(experiment: str) -> list[range]:
    """Return the seeds of each look: the plan's two, or the networks of the paper's ensemble."""
    together = paper.ensemble(experiment)
    return [range(together)] if together > 1 else [range(count) for count in LOOKS]


def counted_seeds(runs: Iterable[Run], experiment: str) -> set[int]:
    """Return the seeds of the largest group of runs that may get a verdict.

    So are those that never reached their accuracy: no other run replaces them.
    """
    found = [[run.record for run in group] for group in groups(runs, experiment)]
    allowed = [
        {one.seed for one in group}
        for group in found
        if exclusion_reason([*filter(reached, group)]) is None and all(map(is_primary, group))
    ]
    return max(allowed, key=len, default=set())
