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
ROWS = ("data set, seed sd", "true difference", "seeds", REPRODUCED, OPEN, HIGHER, LOWER)
CLAIMS = ("claim", "truth", "seeds", REPRODUCED, DIRECTION, OPEN, REFUTED)
TABLES = {table.title: table for table in paper.TABLES}
Drawn = dict[str, NDArray[np.float64]]  # errors in percent by experiment, [draws, seeds]


def row_table(draws: int = DRAWS) -> Table[Any]:
    """Tabulate each data set, true difference from the paper's number, and number of seeds."""
    lines = [
        (name, sd, offset * TABLES[name].margin, n)
        for name, sd in [("MNIST", 0.024), ("MNIST", 0.036), *list(SD.items())[1:]]
        for offset in OFFSETS
        for n in LOOKS
    ]
    rows = [_row_line(*line, draws) for line in lines]
    return text_table("Rows: verdicts in percent of draws", ROWS, rows)


def _row_line(name: str, sd: float, offset: float, n: int, draws: int) -> tuple[str, ...]:
    words = row_words(name, sd, offset, n, draws)
    shown = f"{name}, {sd:g}", with_sign(offset), f"{n}"
    return *shown, *shares(words, ROWS[3:])


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


def claim_table(draws: int = DRAWS) -> Table[Any]:
    """Tabulate each claim, truth and number of seeds."""
    lines: list[tuple[str, ...]] = []
    for truth in TRUTHS:
        for n in LOOKS:
            words = claim_words(truth, n, draws)
            for claim, some in zip(paper.CLAIMS, words, strict=True):
                lines.append((claim.words, truth, f"{n}", *shares(some, CLAIMS[3:])))
    return text_table("Claims: verdicts in percent of draws", CLAIMS, lines)


def claim_words(truth: str, n: int, draws: int = DRAWS, alpha: float = ALPHA) -> NDArray[np.str_]:
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
    return claim_verdicts(differences, [claim.difference for claim in paper.CLAIMS], alpha)


def shares(words: NDArray[np.str_], each: Sequence[str]) -> tuple[str, ...]:
    """Return how often each word comes, in percent."""
    return tuple(f"{100 * (words == word).mean():.1f}" for word in each)


ERRORS: dict[str, Callable[[int, int], Any]] = {
    "a true row higher or lower": lambda n, draws: np.isin(
        row_words("MNIST", SD["MNIST"], 0, n, draws), (HIGHER, LOWER)
    ),
    "a row one margin off reproduced": lambda n, draws: (
        row_words("MNIST", SD["MNIST"], TABLES["MNIST"].margin, n, draws) == REPRODUCED
    ),
    "any of six claims reproduced or direction only, no difference": lambda n, draws: np.isin(
        claim_words("no difference", n, draws), (REPRODUCED, DIRECTION)
    ).any(0),
    "any of six claims not reproduced, as the paper says": lambda n, draws: (
        claim_words("as the paper says", n, draws) == REFUTED
    ).any(0),
}


def errors_table(draws: int = DRAWS) -> Table[Any]:
    """Tabulate how often a verdict is wrong, in percent: at each look, and at any of them."""
    found = {name: [wrong(n, draws) for n in LOOKS] for name, wrong in ERRORS.items()}
    lines = [
        (name, *(f"{100 * np.mean(some):.1f}" for some in (*looks, np.any(looks, axis=0))))
        for name, looks in found.items()
    ]
    columns = ("wrong verdict", *(f"{n} seeds" for n in LOOKS), "either")
    return text_table("Wrong verdicts, in percent of draws", columns, lines)


def simulated(draws: int = DRAWS) -> list[Table[Any]]:
    """Make all tables."""
    return [row_table(draws), claim_table(draws), errors_table(draws)]
