"""The paper's claims, seed by seed: two models, the same test examples, one verdict."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from capsnet import paper
from capsnet.paper import Claim
from capsnet.records.record import Record
from capsnet.report.analysis.answers import Contrast, contrast, in_general
from capsnet.report.analysis.numbers import at_equal_error, numbers
from capsnet.report.analysis.selection import (
    Pair,
    code,
    exclusion_reason,
    looked,
    matched_pairs,
    noise,
)
from capsnet.report.analysis.verdicts import Difference, Noise, between, claim_verdicts
from capsnet.report.tables.paper_rows import Text, qualified, steps

COLUMNS = (
    "claim",
    "verdict",
    "error lower by, % points (seeds)",
    "digits in general (seeds and digits)",
    "right alone: the better, the other (p of all seeds)",
    "seeds",
    "recipe",
    "steps",
    "pairs share",
)


def claims_table(runs: Mapping[Path, Record], claims: Sequence[Claim]) -> list[Text]:
    """A line for each claim and each recipe that both of its models were run with.

    Differences are in percentage points, with 95 % intervals: over other seeds, and over other
    seeds and digits (of one pair over digits alone).
    """
    lines = judged(runs, claims)
    return [COLUMNS, *(_row(*line, runs, verdict(line, lines, runs)) for line in lines)]


def judged(runs: Mapping[Path, Record], claims: Sequence[Claim]) -> list[tuple[Claim, list[Pair]]]:
    """List the claim and the runs of each line of `claims_table`."""
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

    found = matched_pairs(runs, wanted)
    longest = max((runs[better].steps_planned for better, _ in found), default=0)
    return [pair for pair in found if runs[pair[0]].steps_planned == longest]


def _row(claim: Claim, found: Sequence[Pair], runs: Mapping[Path, Record], word: str) -> Text:
    if not found:
        return claim.words, word, "–", "–", "–", "0", "–", "–", "–"
    spread = noise(runs, runs[found[0][0]], claim.test)
    records = [runs[path] for pair in found for path in pair]
    last = str(len(found)), records[0].variant, steps(records), shared(records)
    seeds = gain_in_words(*errors(runs, found, claim.test), spread)
    general, alone = compared(contrast(runs, found, claim.test), spread)
    if at_equal_error([path for pair in found for path in pair], claim.test) is not None:
        general, alone = "–", f"{alone} at the stop"
    return claim.words, word, seeds, general, alone, *last


def errors(
    runs: Mapping[Path, Record], found: Sequence[Pair], test: str
) -> tuple[list[float], list[float]]:
    """Test errors in percent of the better model and of the worse, seed by seed."""
    every = numbers(runs, [path for pair in found for path in pair], test)
    return every[::2], every[1::2]


def gain_in_words(better: Sequence[float], worse: Sequence[float], spread: Noise | None) -> str:
    """The mean difference, and of several seeds its interval."""
    if spread is None or len(better) < 2:
        return f"{mean(worse) - mean(better):+.2f}"
    found = between(better, worse, spread)
    return "{:+.2f} ({:+.2f} to {:+.2f})".format(float(found.value), *found.interval())


def compared(found: Contrast | None, spread: Noise | None) -> tuple[str, str]:
    """The interval over seeds and digits; who is right alone, pair by pair, and one p.

    What float64 cannot hold is tiny.
    """
    if found is None:
        return "–", "–"
    both = None if spread is None else Noise(2**0.5 * spread.sd, spread.freedom)
    interval = "{:+.2f} to {:+.2f}".format(*in_general(found.differences, both))
    each = ", ".join(f"{test.only_first:,} / {test.only_second:,}" for test in found.pairs)
    return interval, f"{each} ({f'{found.p:.2g}' if found.p else '< 1e-300'})"


def shared(records: Sequence[Record]) -> str:
    """Say in what the runs of a claim agree, and name their commits where those differ."""
    commits = sorted({record.commit[:7] if record.commit else "unknown" for record in records})
    same = "data, seed, schedule"
    if len(commits) < 2 and len({code(record) for record in records}) < 2:
        return f"{same}, code"
    return f"{same}; commits {', '.join(commits)}"


Line = tuple[Claim, list[Pair]]


def verdict(line: Line, lines: Sequence[Line], runs: Mapping[Path, Record]) -> str:
    """Give the verdict of a line's pairs on its claim, by the rules of the analysis plan.

    All claims of the line's recipe are one family, so that `lines` count as well.
    """
    claim, found = line
    records = [runs[path] for pair in found for path in pair]
    if (why := exclusion_reason(records)) is not None:
        return f"none: {why}"
    if difference(line, runs) is None:
        return "not enough runs"
    family = [one for one in lines if recipe(one, runs) == recipe(line, runs)]
    done = {one.words: difference((one, pairs), runs) for one, pairs in family}
    differences = [done.get(one.words) for one in paper.CLAIMS]
    words = claim_verdicts(differences, [one.difference for one in paper.CLAIMS])
    word = words[[one.words for one in paper.CLAIMS].index(claim.words)]
    seen = _seen(line, runs)
    return f"{word} ({qualified(runs, [path for pair in seen for path in pair], claim.test)})"


def recipe(line: Line, runs: Mapping[Path, Record]) -> str | None:
    """The variant of the better model; None without pairs."""
    return next((runs[better].variant for better, _ in line[1]), None)


def difference(line: Line, runs: Mapping[Path, Record]) -> Difference | None:
    """The seeds' difference at the plan's look; None before it, or where pairs cannot speak."""
    claim, found = line
    seen = _seen(line, runs)
    if not seen or exclusion_reason([runs[path] for pair in found for path in pair]) is not None:
        return None
    spread = noise(runs, runs[seen[0][0]], claim.test)
    return None if spread is None else between(*errors(runs, seen, claim.test), spread)


def _seen(line: Line, runs: Mapping[Path, Record]) -> list[Pair]:
    """The pairs of the seeds that the plan looks at."""
    seeds = looked({better: runs[better] for better, _ in line[1]})
    return [pair for pair in line[1] if pair[0] in seeds]
