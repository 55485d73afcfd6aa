"""The page's training curves: a chart for each data set, of every metric and network."""

from collections.abc import Callable, Sequence

from capsnet.report.figures.style import NAMED
from capsnet.report.figures.training_curves import called, choices, logged, metrics, series
from capsnet.report.runs import RunResult, by_dataset, caption, caveats
from capsnet.report.tables.table import Column, Table
from capsnet.report.web.charts import Embedded, spec
from capsnet.report.web.render import slug


def curves(runs: Sequence[RunResult]) -> list[Embedded]:
    """Draw all that was logged; the page's form sets which metric and which networks are shown."""
    able = [run for run in runs if logged(run)]
    shown = next(iter(metrics(able)), "")
    return [
        Embedded(
            f"curves-{slug(name)}",
            name,
            f"Training curves on {name}: {caption(group)}.",
            caveats(group),
            spec(choices(name, able, shown)),
            [*metrics(group)],
        )
        for name, group in by_dataset(able).items()
    ]


def networks(runs: Sequence[RunResult]) -> dict[str, str]:
    """Give the networks that have curves the names of their colours, baselines first."""
    names = {colour: f"var(--{name})" for name, colour in NAMED.items()}
    able = [run for run in runs if logged(run)]
    return {label: names[colour] for label, colour in series(able).items()}


def last(runs: Sequence[RunResult]) -> Table[RunResult]:
    """Tabulate what was logged last of each metric, for each run that has curves."""
    values = [Column(words, _last(name)) for name, words in metrics(runs).items()]
    columns = [Column("run", called, "text"), *values]
    return Table("Last values", columns, [run for run in runs if logged(run)])


def _last(metric: str) -> Callable[[RunResult], str | None]:
    return lambda run: f"{logged(run)[metric][-1, 1]:.4g}" if metric in logged(run) else None
