"""What the paper claims, seed by seed: two models, the same test examples, one word."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from capsnet import paper
from capsnet.paper import Claim
from capsnet.report.groups import Pair, matched, shortcoming
from capsnet.report.statistics import McNemar, mcnemar
from capsnet.report.tables import Text, steps
from capsnet.results import Record, read_arrays, t_interval

COLUMNS = (
    "claim",
    "verdict",
    "error lower by, % points",
    "right alone: the better, the other (McNemar's p)",
    "seeds",
    "recipe",
    "steps",
)


def claims_table(runs: Mapping[Path, Record], claims: Sequence[Claim]) -> list[Text]:
    """A line for each claim and each recipe that both of its models were run with."""
    return [COLUMNS, *(_row(claim, runs, found) for claim, found in judged(runs, claims))]


def judged(runs: Mapping[Path, Record], claims: Sequence[Claim]) -> list[tuple[Claim, list[Pair]]]:
    """What each line of `claims_table` tells of."""
    return [(claim, found) for claim in claims for found in by_recipe(claim, runs)]


def by_recipe(claim: Claim, runs: Mapping[Path, Record]) -> list[list[Pair]]:
    """The pairs of each recipe; one empty list if there are none."""
    found = pairs(claim, runs)
    recipes = sorted({runs[better].variant for better, _ in found})
    return [[pair for pair in found if runs[pair[0]].variant == name] for name in recipes] or [[]]


def pairs(claim: Claim, runs: Mapping[Path, Record]) -> list[Pair]:
    """Runs of both models that differ in nothing but the model, in the order of their seeds.

    Of several schedules, the longest that both were run with.
    """

    def wanted(better: Record, worse: Record) -> bool:
        models = better.experiment, worse.experiment
        recipes = better.recipe == worse.recipe or not worse.capsules
        return models == (claim.better, claim.worse) and recipes

    found = matched(runs, wanted)
    longest = max((runs[better].steps_planned for better, _ in found), default=0)
    return [pair for pair in found if runs[pair[0]].steps_planned == longest]


def _row(claim: Claim, runs: Mapping[Path, Record], found: Sequence[Pair]) -> Text:
    if not found:
        return claim.words, "not enough runs", "–", "–", "0", "–", "–"
    gains = gain(claim, runs, found)
    apart = tests_in_words(tests(claim.test, runs, found))
    records = [runs[path] for pair in found for path in pair]
    last = apart, str(len(found)), records[0].variant, steps(records)
    return claim.words, verdict(claim, runs, found), gain_in_words(gains), *last


def gain(claim: Claim, runs: Mapping[Path, Record], found: Sequence[Pair]) -> list[float]:
    """By how many percentage points the better model errs less, seed by seed."""
    errors = [[runs[path].tests[claim.test].error_percent for path in pair] for pair in found]
    return [worse - better for better, worse in errors]


def tests(test: str, runs: Mapping[Path, Record], found: Sequence[Pair]) -> list[McNemar]:
    """McNemar's test of each pair whose errors on `test` were kept example by example."""
    name, partner = f"wrong.{test}", f"by_partner.{test}"
    kept = [(runs[pair[0]], *(read_arrays(path) for path in pair)) for pair in found]
    return [
        mcnemar(
            better[name],
            worse[name],
            one.tests[test].digits,
            (better[partner], worse[partner]) if partner in better and partner in worse else None,
        )
        for one, better, worse in kept
        if name in better and name in worse
    ]


def gain_in_words(gains: Sequence[float]) -> str:
    """Their mean, and of several seeds its interval."""
    interval = " ({:+.2f} to {:+.2f})".format(*t_interval(gains)) if len(gains) > 1 else ""
    return f"{mean(gains):+.2f}{interval}"


def tests_in_words(found: Sequence[McNemar]) -> str:
    """Right alone, pair by pair: the first, the other, and p (what float64 cannot hold is tiny)."""
    each = (
        f"{test.only_first:,} / {test.only_second:,} ({f'{test.p:.2g}' if test.p else '< 1e-300'})"
        for test in found
    )
    return ", ".join(each) or "–"


def verdict(claim: Claim, runs: Mapping[Path, Record], found: Sequence[Pair]) -> str:
    """'reproduced' when the 95 % t-interval of the gain over seeds lies above 0.

    'not reproduced' when it lies below, 'open' when it holds 0; 'not enough runs' with fewer than
    three seeds at the paper's schedule and size.
    """
    records = [runs[path] for pair in found for path in pair]
    if len(found) < paper.TRIALS or shortcoming(records) is not None:
        return "not enough runs"
    low, high = t_interval(gain(claim, runs, found))
    if low <= 0 <= high:
        return "open"
    return "reproduced" if low > 0 else "not reproduced"
