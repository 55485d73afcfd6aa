"""Progress of the stages: a live table in a terminal, elsewhere a line for each change."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from capsnet.parallel_repro.schedule import State
from capsnet.parallel_repro.stages import Stage

COLOURS = {State.RUNNING: "cyan", State.DONE: "green", State.WAITING: "dim"}


@contextmanager
def shown(stages: list[Stage]) -> Iterator[Callable[[], None]]:
    """Gives a function that shows how the stages stand now."""
    console = Console()
    if console.is_interactive:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda: live.update(table(stages), refresh=True)
    else:
        told = {stage.name: str(State.WAITING) for stage in stages}
        yield lambda: tell(stages, told)


def table(stages: Iterable[Stage]) -> Table:
    """A row a stage; what is over comes last, where a low terminal cuts the table off."""
    counts = Counter(stage.state for stage in stages)
    drawn = Table("stage", "device", "state", "seconds", "", title_justify="left")
    drawn.title = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    order = list(State)
    for stage in sorted(stages, key=lambda stage: order.index(stage.state)):
        drawn.add_row(
            stage.name,
            stage.device,
            Text(stage.state, style=COLOURS.get(stage.state, "red")),
            f"{stage.seconds:.0f}" if stage.began else "",
            Text(stage.line, no_wrap=True, overflow="ellipsis"),
        )
    return drawn


def tell(stages: Iterable[Stage], told: dict[str, str]) -> None:
    """Print what has changed since it was last `told`, and note it there."""
    for stage in stages:
        now = sentence(stage)
        if told[stage.name] != now:
            print(f"{stage.name}: {now}", flush=True)
            told[stage.name] = now


def sentence(stage: Stage) -> str:
    """The stage's state in words that stay the same while the state does."""
    if stage.state == State.RUNNING:
        return f"running on device {stage.device}"
    if stage.state == State.WAITING and not stage.line:
        return stage.state
    about = f" ({stage.line})" if stage.line else ""
    took = f" after {stage.seconds:.0f} s" if stage.began else ""
    return f"{stage.state}{took}{about}"
