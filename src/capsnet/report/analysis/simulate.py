"""Operating characteristics of the rules: how often each verdict comes, where the truth is known.

Every draw is a whole reproduction: each of the paper's rows with `n` seeds of ours and three trials
of the paper's, errors in whole digits of 10,000, the paper's mean rounded as it printed it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capsnet import paper
from capsnet.paper import data_set, published
from capsnet.report.analysis.verdicts import (
    ALPHA,
    DIRECTION,
    HIGHER,
    LOOKS,
    LOWER,
    MARGINS,
    OPEN,
    REFUTED,
    REPRODUCED,
    SEEDS,
    Noise,
    between,
    claim_verdicts,
    from_paper,
    pooled,
    row_verdict,
)
from capsnet.report.tables.paper_rows import Text

SEED, DRAWS = 0, 20_000
SD = {"mnist": 0.024, "multimnist": 0.3, "affnist": 2.0}  # the last two are assumed [?]
OFFSETS = (0.0, 1.0, 1.5)  # true difference from the paper's number, in margins
PLACES = {"mnist": 2, "multimnist": 1, "affnist": 0}  # decimals of the paper's numbers
ROWS = ("data set, seed sd", "true difference", "seeds", REPRODUCED, OPEN, HIGHER, LOWER)
CLAIMS = ("claim", "truth", "seeds", REPRODUCED, DIRECTION, OPEN, REFUTED)
Drawn = dict[str, NDArray[np.float64]]  # errors in percent by experiment, [draws, seeds]


def row_table(draws: int = DRAWS) -> list[Text]:
    """A line for each data set, true difference from the paper's number, and number of seeds."""
    lines = [
        (name, sd, offset * MARGINS[name], n)
        for name, sd in [("mnist", 0.024), ("mnist", 0.036), *list(SD.items())[1:]]
        for offset in OFFSETS
        for n in LOOKS
    ]
    return [ROWS, *(_row_line(*line, draws) for line in lines)]


def _row_line(name: str, sd: float, offset: float, n: int, draws: int) -> Text:
    words = row_words(name, sd, offset, n, draws)
    shown = f"{name}, {sd:g}", f"{offset:+.2f}", f"{n}"
    return *shown, *shares(words, ROWS[3:])


def row_words(
    name: str, sd: float, offset: float, n: int, draws: int = DRAWS, alpha: float = ALPHA
) -> NDArray[np.str_]:
    """Return the verdicts [draws] on the first row of `name` that is not a condition."""
    random = np.random.default_rng(SEED)
    rows = experiments(name)
    first = next(iter(rows))
    ours = drawn(random, {one: error + offset for one, error in rows.items()}, sd, n, draws)
    trials = random.normal(rows[first], sd, (draws, paper.TRIALS))
    noise = pooled(ours.values())
    assert noise is not None
    number = trials.mean(-1).round(PLACES[name])
    return row_verdict(from_paper(ours[first], number, noise), MARGINS[name], alpha)


def experiments(name: str) -> dict[str, float]:
    """Return the paper's errors by experiment: on affNIST itself, not where training stopped."""
    every = (row for rows in paper.TABLES.values() for row in rows if not row.condition)
    return {row.experiment: row.error_percent for row in every if data_set(row.experiment) == name}


def drawn(
    random: np.random.Generator, true: Mapping[str, float], sd: float, n: int, draws: int
) -> Drawn:
    """Draw errors of the first `n` of five seeds around the `true` ones, in whole digits."""
    planned = draws, len(SEEDS)
    return {name: random.normal(error, sd, planned)[:, :n].round(2) for name, error in true.items()}


TRUTHS: dict[str, Callable[[str, str], float]] = {
    "as the paper says": published,
    "no difference": lambda name, test: published(f"{data_set(name)}_baseline", test),
}


def claim_table(draws: int = DRAWS) -> list[Text]:
    """A line for each claim, truth and number of seeds."""
    lines: list[Text] = []
    for truth in TRUTHS:
        for n in LOOKS:
            words = claim_words(truth, n, draws)
            for claim, some in zip(paper.CLAIMS, words, strict=True):
                lines.append((claim.words, truth, f"{n}", *shares(some, CLAIMS[3:])))
    return [CLAIMS, *lines]


def claim_words(truth: str, n: int, draws: int = DRAWS, alpha: float = ALPHA) -> NDArray[np.str_]:
    """Return the verdicts [claims, draws], all six claims tried together."""
    random = np.random.default_rng(SEED)
    ours: Drawn = {}
    noises: dict[str, Noise | None] = {}
    for name, sd in SD.items():
        test = "affnist" if name == "affnist" else "test"
        true = {one: TRUTHS[truth](one, test) for one in experiments(name)}
        some = drawn(random, true, sd, n, draws)
        ours, noises[name] = ours | some, pooled(some.values())
    differences = []
    for claim in paper.CLAIMS:
        noise = noises[data_set(claim.better)]
        assert noise is not None
        differences.append(between(ours[claim.better], ours[claim.worse], noise))
    return claim_verdicts(differences, [claim.difference for claim in paper.CLAIMS], alpha)


def shares(words: NDArray[np.str_], each: Text) -> Text:
    """Return how often each word comes, in percent."""
    return tuple(f"{100 * (words == word).mean():.1f}" for word in each)


ERRORS: dict[str, Callable[[int, int], Any]] = {
    "a true row higher or lower": lambda n, draws: np.isin(
        row_words("mnist", SD["mnist"], 0, n, draws), (HIGHER, LOWER)
    ),
    "a row one margin off reproduced": lambda n, draws: (
        row_words("mnist", SD["mnist"], MARGINS["mnist"], n, draws) == REPRODUCED
    ),
    "any of six claims reproduced or direction only, no difference": lambda n, draws: np.isin(
        claim_words("no difference", n, draws), (REPRODUCED, DIRECTION)
    ).any(0),
    "any of six claims not reproduced, as the paper says": lambda n, draws: (
        claim_words("as the paper says", n, draws) == REFUTED
    ).any(0),
}


def errors_table(draws: int = DRAWS) -> list[Text]:
    """Tabulate how often a verdict is wrong, in percent: at each look, and at any of them."""
    found = {name: [wrong(n, draws) for n in LOOKS] for name, wrong in ERRORS.items()}
    lines = [
        (name, *(f"{100 * np.mean(some):.1f}" for some in (*looks, np.any(looks, axis=0))))
        for name, looks in found.items()
    ]
    return [("wrong verdict", *(f"{n} seeds" for n in LOOKS), "either"), *lines]


def simulated(draws: int = DRAWS) -> dict[str, list[Text]]:
    """Every table, by title."""
    return {
        "Rows: verdicts in percent of draws": row_table(draws),
        "Claims: verdicts in percent of draws": claim_table(draws),
        "Wrong verdicts, in percent of draws": errors_table(draws),
    }
