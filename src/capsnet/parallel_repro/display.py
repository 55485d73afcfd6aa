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
def show_progress(stages: list[Stage]) -> Iterator[Callable[[], None]]:
    """Yield a function that shows the present states of the stages."""
    console = Console()
    if console.is_interactive:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda: live.update(table(stages), refresh=True)
    else:
        printed = {stage.name: str(State.WAITING) for stage in stages}
        yield lambda: print_changes(stages, printed)


def table(stages: Iterable[Stage]) -> Table:
    """Build a table of stages; those that ended come last, where low terminals cut it off."""
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


def print_changes(stages: Iterable[Stage], printed: dict[str, str]) -> None:
    """Print what has changed since it was last `printed`, and note it there."""
    for stage in stages:
        now = describe(stage)
        if printed[stage.name] != now:
            print(f"{stage.name}: {now}", flush=True)
            printed[stage.name] = now


def describe(stage: Stage) -> str:
    """Describe the stage's state in words that stay the same while the state does."""
    if stage.state == State.RUNNING:
        return f"running on device {stage.device}"
    if stage.state == State.WAITING and not stage.line:
        return stage.state
    about = f" ({stage.line})" if stage.line else ""
    took = f" after {stage.seconds:.0f} s" if stage.began else ""
    return f"{stage.state}{took}{about}"
