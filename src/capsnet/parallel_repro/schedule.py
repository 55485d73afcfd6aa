"""Decide which stages may start, from what depends on what, and how far each one is."""

from collections.abc import Mapping, Set
from enum import StrEnum


class State(StrEnum):
    """The state of a stage; the order is that of the table."""

    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"
    NOT_RUN = "not run"
    WAITING = "waiting"
    DONE = "done"


Needs = Mapping[str, Set[str]]  # stage -> all that it depends on, near and far
States = Mapping[str, State]


def startable(
    needs: Needs, states: States, num_slots: int, held: Set[str] = frozenset()
) -> list[str]:
    """Return the waiting stages to start now: those whose needs are done, in order, no `held` ones.

    As many as leave at most `num_slots` running.
    """
    ready = [
        stage
        for stage, before in needs.items()
        if states[stage] == State.WAITING
        and stage not in held
        and all(states[need] == State.DONE for need in before)
    ]
    return ready[: max(0, num_slots - list(states.values()).count(State.RUNNING))]


def cut_off(needs: Needs, states: States) -> list[str]:
    """Return the waiting stages that cannot run, because something that they depend on failed."""
    return [
        stage
        for stage, before in needs.items()
        if states[stage] == State.WAITING and any(states[need] == State.FAILED for need in before)
    ]
