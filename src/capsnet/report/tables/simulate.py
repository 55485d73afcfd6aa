"""Operating characteristics of the rules: how often each verdict comes, where the truth is known.

Every draw is a whole reproduction: each of the paper's rows with `n` seeds of ours and three trials
of the paper's, errors in whole digits of 10,000, the paper's mean rounded as it printed it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capsnet import paper
from capsnet.analysis.verdicts import (
    ALPHA,
    DIRECTION,
    HIGHER,
    LOOKS,
    LOWER,
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
from capsnet.paper import PaperTable
from capsnet.report.tables.table import Table, text_table, with_sign

SEED, DRAWS = 0, 20_000
SD = {"MNIST": 0.024, "MultiMNIST": 0.3, "affNIST": 2.0}  # the last two are assumed [?]
OFFSETS = (0.0, 1.0, 1.5)  # true difference from the paper's number, in margins
PLACES = {"MNIST": 2, "MultiMNIST": 1, "affNIST": 0}  # decimals of the paper's numbers
ROWS, CLAIMS = (REPRODUCED, OPEN, HIGHER, LOWER), (REPRODUCED, DIRECTION, OPEN, REFUTED)
TABLES = {table.title: table for table in paper.TABLES}
Drawn = dict[str, NDArray[np.float64]]  # errors in percent by experiment, [draws, seeds]


def row_table() -> Table[Any]:
    """Tabulate each data set, true difference from the paper's number, and number of seeds."""
    rows = [
        {
            "data set, seed sd": f"{name}, {sd:g}",
            "true difference": with_sign(offset * TABLES[name].margin),
            "seeds": f"{n}",
            **shares(row_words(name, sd, offset * TABLES[name].margin, n), ROWS),
        }
        for name, sd in [("MNIST", 0.024), ("MNIST", 0.036), *list(SD.items())[1:]]
        for offset in OFFSETS
        for n in LOOKS
    ]
    return text_table("Rows: verdicts in percent of draws", rows)


def row_words(
    name: str, sd: float, offset: float, n: int, draws: int = DRAWS, alpha: float = ALPHA
) -> NDArray[np.str_]:
    """Return the verdicts [draws] on the first row of the table `name` that is not a condition."""
    random = np.random.default_rng(SEED)
    rows = experiments(TABLES[name])
    first = next(iter(rows))
    ours = drawn(random, {one: error + offset for one, error in rows.items()}, sd, n, draws)
    trials = random.normal(rows[first], sd, (draws, paper.TRIALS))
    noise = pooled(ours.values())
    assert noise is not None
    number = trials.mean(-1).round(PLACES[name])
    return row_verdict(from_paper(ours[first], number, noise), TABLES[name].margin, alpha)


def experiments(table: PaperTable) -> dict[str, float]:
    """Return the paper's errors by experiment: on affNIST itself, not where training stopped."""
    return {row.experiment: row.error_percent for row in table.rows if not row.condition}


def drawn(
    random: np.random.Generator, true: Mapping[str, float], sd: float, n: int, draws: int
) -> Drawn:
    """Draw errors of the first `n` of five seeds around the `true` ones, in whole digits."""
    planned = draws, len(SEEDS)
    return {name: random.normal(error, sd, planned)[:, :n].round(2) for name, error in true.items()}


def equal(table: PaperTable) -> dict[str, float]:
    """Return the baseline's error, which each table has first, for all of its experiments."""
    errors = experiments(table)
    return dict.fromkeys(errors, next(iter(errors.values())))


TRUTHS: dict[str, Callable[[PaperTable], Mapping[str, float]]] = {
    "as the paper says": experiments,
    "no difference": equal,
}


def claim_table() -> Table[Any]:
    """Tabulate each claim, truth and number of seeds."""
    rows = [
        {"claim": claim.words, "truth": truth, "seeds": f"{n}", **shares(words, CLAIMS)}
        for truth in TRUTHS
        for n in LOOKS
        for claim, words in zip(paper.CLAIMS, claim_words(truth, n), strict=True)
    ]
    return text_table("Claims: verdicts in percent of draws", rows)


def claim_words(truth: str, n: int, draws: int = DRAWS) -> NDArray[np.str_]:
    """Return the verdicts [claims, draws], all six claims tried together."""
    random = np.random.default_rng(SEED)
    ours: Drawn = {}
    noises: dict[str, Noise | None] = {}
    for name, sd in SD.items():
        some = drawn(random, TRUTHS[truth](TABLES[name]), sd, n, draws)
        ours, noises = ours | some, noises | dict.fromkeys(some, pooled(some.values()))
    differences = []
    for claim in paper.CLAIMS:
        noise = noises[claim.better]
        assert noise is not None
        differences.append(between(ours[claim.better], ours[claim.worse], noise))
    return claim_verdicts(differences, [claim.difference for claim in paper.CLAIMS])


def shares(words: NDArray[np.str_], each: Sequence[str]) -> dict[str, str]:
    """Return how often each word comes, in percent."""
    return {word: f"{100 * (words == word).mean():.1f}" for word in each}


ERRORS: dict[str, Callable[[int], Any]] = {  # by the number of seeds
    "a true row higher or lower": lambda n: np.isin(
        row_words("MNIST", SD["MNIST"], 0, n), (HIGHER, LOWER)
    ),
    "a row one margin off reproduced": lambda n: (
        row_words("MNIST", SD["MNIST"], TABLES["MNIST"].margin, n) == REPRODUCED
    ),
    "any of six claims reproduced or direction only, no difference": lambda n: np.isin(
        claim_words("no difference", n), (REPRODUCED, DIRECTION)
    ).any(0),
    "any of six claims not reproduced, as the paper says": lambda n: (
        claim_words("as the paper says", n) == REFUTED
    ).any(0),
}


def errors_table() -> Table[Any]:
    """Tabulate how often a verdict is wrong, in percent: at each look, and at any of them."""
    rows: list[dict[str, str]] = []
    for name, wrong in ERRORS.items():
        looks = {f"{n} seeds": wrong(n) for n in LOOKS}
        looks["either"] = np.any([*looks.values()], axis=0)
        percents = {words: f"{100 * np.mean(some):.1f}" for words, some in looks.items()}
        rows.append({"wrong verdict": name, **percents})
    return text_table("Wrong verdicts, in percent of draws", rows)
