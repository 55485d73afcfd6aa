"""The figure of a routing report: errors, answers and couplings after each iteration."""

from collections.abc import Mapping
from typing import Any

import altair as alt

from capsnet.records.routing_reports import RoutedTest, RoutingReport
from capsnet.report.figures.chart import Chart, Panel, colours, layers, lines
from capsnet.report.figures.style import BLUE, GREEN, INK, ORANGE, SKY, VERMILION
from capsnet.report.runs import counted
from capsnet.report.tables.routing import called

KINDS = {"as trained": VERMILION, "more or fewer": INK}
AGAINST = {"iteration 1's answer": BLUE, "the iteration before's": ORANGE}
PARTS = {"within a class": SKY, "between classes": GREEN}
REMARK = (
    "Couplings c_ij: entropy over the classes j, mean over test examples and primary capsules i; "
    "variance over examples, mean over i and j."
)


def figure_routing(report: RoutingReport, name: str) -> Chart:
    """Draw the test set `name`. The title of each panel gives the numbers to look for."""
    test, trained = report.tests[name], report.network.iterations
    at = sorted({max(trained, 2), len(test.errors)})
    rows = [[_errors(test, trained), _changed(test, at)], [_entropy(test, at), _variance(test, at)]]
    title = f"Trained with {counted(trained, 'iteration')} of routing, tested with 1 to {at[-1]}"
    about = f"{called(report)}, tested on {test.total:,} examples of {test.errors[0].source}"
    caption = f"{about}.\n{REMARK}\n{_longest(test)}"
    return Chart(title, caption, [*report.network.caveats], rows, own_legends=True)


def _errors(test: RoutedTest, trained: int) -> Panel:
    """Draw the errors with their intervals."""
    values = [
        {
            "iteration": k,
            "error": one.error_percent,
            "errors": one.counts,
            "low": one.interval_percent[0],
            "high": one.interval_percent[1],
            "kind": "as trained" if k == trained else "more or fewer",
        }
        for k, one in enumerate(test.errors, 1)
    ]
    every = alt.Chart(alt.Data(values=values)).encode(x=_iterations(test))
    y = _vertical("error", "test error, %", scale=alt.Scale(zero=False))
    colour, tooltip = colours("kind", KINDS), ["iteration:Q", "errors:N"]
    drawn = layers(
        every.mark_rule(strokeWidth=1.5, opacity=0.5).encode(y="low:Q", y2="high:Q", color=colour),
        every.mark_line(strokeWidth=1.5, color=INK).encode(y=y),
        every.mark_circle(size=60, opacity=1).encode(y=y, color=colour, tooltip=tooltip),
    )
    percents = {k: test.errors[k - 1].error_percent for k in sorted({1, trained, len(values)})}
    return Panel(f"Error: {_listed(percents, '.2f')}", drawn)


def _changed(test: RoutedTest, at: list[int]) -> Panel:
    """Draw the shares of answers that are not those of iteration 1, nor of the one before."""
    both = zip(AGAINST, (test.changed_from_first, test.changed_from_previous), strict=True)
    values = [
        {"run": kind, "iteration": k, "changed": 100 * count / test.total, "examples": count}
        for kind, counts in both
        for k, count in enumerate(counts, 1)
    ]
    y = _vertical("changed", "answers that differ from …, %")
    shares = {k: 100 * test.changed_from_first[k - 1] / test.total for k in at}
    title = f"Answers unlike the first: {_listed(shares, '.2f')}"
    return Panel(title, lines(values, x=_iterations(test), y=y, color=colours("run", AGAINST)))


def _entropy(test: RoutedTest, at: list[int]) -> Panel:
    """Draw the mean entropy of the couplings."""
    values = [
        {"run": "entropy", "iteration": k, "entropy": 100 * share, "nats": nats}
        for k, (share, nats) in enumerate(
            zip(test.entropy_share, test.entropy_nats, strict=True), 1
        )
    ]
    scale = alt.Scale(domain=[0, 100])
    y = _vertical("entropy", "entropy, % of that of even couplings", scale=scale)
    shares = {k: 100 * test.entropy_share[k - 1] for k in at}
    title = f"Entropy: {_listed(shares, '.2f')}"
    return Panel(title, lines(values, x=_iterations(test), y=y, color=alt.value(BLUE)))


def _variance(test: RoutedTest, at: list[int]) -> Panel:
    """Draw the variance of the couplings; its two parts on one another where they are known."""
    parts: dict[str, tuple[float, ...]] = {"over examples": test.variance}
    title = "Variance of couplings"
    if test.variance_within is not None and test.variance_between is not None:
        parts = dict(zip(PARTS, (test.variance_within, test.variance_between), strict=True))
        shares = {k: 100 * test.variance_between[k - 1] / test.variance[k - 1] for k in at}
        title = f"Variance: {_listed(shares, '.0f')} between classes"
    values: list[dict[str, Any]] = [
        {"part": part, "iteration": k, "variance": one}
        for part, variances in parts.items()
        for k, one in enumerate(variances, 1)
    ]
    every = alt.Chart(alt.Data(values=values)).encode(
        x=_iterations(test),
        y=_vertical("variance", "variance of c_ij", stack=True),
        color=colours("part", dict(zip(parts, PARTS.values(), strict=False))),
        order="part:N",
    )
    return Panel(title, layers(every.mark_area(opacity=0.85, line=True)))


def _iterations(test: RoutedTest) -> alt.X:
    """Make the axis of iterations, the same in all panels."""
    last = len(test.errors)
    axis = alt.Axis(values=[*range(1, last + 1)], format="d", labelOverlap="greedy")
    scale = alt.Scale(domain=[0.5, last + 0.5], nice=False)
    return alt.X("iteration:Q", title="routing iterations", axis=axis, scale=scale)


def _vertical(field: str, title: str, **options: Any) -> alt.Y:
    """Make a vertical axis whose labels take as much room in every panel."""
    axis = alt.Axis(tickCount=5, minExtent=50)
    return alt.Y(f"{field}:Q", title=title, axis=axis, **options)


def _listed(numbers: Mapping[int, float], places: str) -> str:
    """Write percentages by iteration: '0.60 % at 3, 0.62 % at 10'."""
    return ", ".join(f"{one:{places}} % at {k}" for k, one in numbers.items())


def _longest(test: RoutedTest) -> str:
    """Write how many primary capsules are always short."""
    counts = (f"{key} in {count:,}" for key, count in test.never_longer.items())
    capsules = f"{test.primary_capsules:,} primary capsules"
    return f"Greatest length of each of the {capsules}: at most {', '.join(counts)}."
