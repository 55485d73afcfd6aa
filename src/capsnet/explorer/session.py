"""A visitor's query to a network and its result, recomputed only as far as the query changed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from capsnet.explorer import inference
from capsnet.explorer.inference import STILL, Activations, Move, Picture, Pixels, Sweep
from capsnet.networks import CapsNet

TILE = 3  # places of a slider for each picture below it


class Recompute(IntEnum):
    """The stage from which a result has to be computed again."""

    NOTHING, RECONSTRUCTION, CAPSULE, PICTURE = range(4)


@dataclass(frozen=True)
class Query:
    """A picture with its labels (none: a drawing), how it is moved, and which capsule is examined.

    `axis` is the slider of the sweep; `chosen` None examines the longest capsule; `offsets`, one
    for each dimension or one for all, are added to the capsule.
    """

    picture: Picture
    labels: list[int]
    move: Move = STILL
    axis: str = "turn"
    chosen: int | None = None
    offsets: Float[np.ndarray, "dim"] | float = 0.0


class Result(NamedTuple):
    """Everything that is shown of a query.

    `classes` are reconstructed, and the capsule of class `selected` is examined: `ends` are its
    reconstructions with each dimension moved by −0.25 and by +0.25.
    """

    query: Query
    activations: Activations
    classes: list[int]
    selected: int
    reconstructions: list[Pixels]
    ends: UInt8[np.ndarray, "dim 2 height width *colour"]


def compute(network: CapsNet, query: Query, recompute: Recompute, last: Result | None) -> Result:
    """Compute the result of a query; earlier stages than `recompute` are those of `last`."""
    if last is None or recompute == Recompute.PICTURE:
        picture = inference.move_picture(query.picture, query.move)
        activations = inference.run_network(network, picture)
    else:
        activations = last.activations
    scores, capsules = activations.lengths[-1], activations.capsules
    classes = inference.reconstructed_classes(scores, query.labels, query.chosen)
    selected = inference.longest(scores, 1)[0] if query.chosen is None else query.chosen
    drawn = [
        inference.reconstruct(network, capsules, one, query.offsets if one == selected else 0.0)
        for one in classes
    ]
    if last is not None and recompute == Recompute.RECONSTRUCTION:
        return last._replace(query=query, reconstructions=drawn)
    ends = inference.reconstruct_ends(network, capsules, selected)
    return Result(query, activations, classes, selected, drawn, ends)


class SweepView(NamedTuple):
    """The sweep of one picture along one slider, as the capsule of class `selected` shows it.

    `line` identifies picture and slider; `strip` holds reconstructions, one for TILE places.
    """

    line: tuple[Any, ...]
    selected: int
    sweep: Sweep
    strip: UInt8[np.ndarray, "tiles height width *colour"]


def view_sweep(network: CapsNet, result: Result, last: SweepView | None) -> SweepView:
    """Sweep along the query's slider, or reuse `last`: a move along that slider changes nothing."""
    query, selected = result.query, result.selected
    line = (id(query.picture), query.axis, query.move._replace(**{query.axis: 0}))
    if last is not None and last.line == line:
        if last.selected == selected:
            return last
        sweep = last.sweep
    else:
        sweep = inference.sweep(network, query.picture, query.move, query.axis)
    strip = inference.reconstruct_each(network, sweep.capsules[TILE // 2 :: TILE], selected)
    return SweepView(line, selected, sweep, strip)


class Session:
    """One visitor's query, its last result, and the functions that show it.

    The network computes in threads, so that no slider waits for it; of the queries that come
    meanwhile only the last is computed. A sweep takes longest: it starts when no query is left.
    """

    def __init__(self, network: CapsNet, picture: Picture) -> None:
        self.network, self.query = network, Query(picture, [])
        self.result: Result | None = None
        self._recompute, self._busy, self._sweeping = Recompute.NOTHING, False, False
        self._swept: Result | None = None
        self._view: SweepView | None = None
        self._show: Callable[[Result, Recompute], None]
        self._draw: Callable[[SweepView], None]

    def subscribe(
        self, show: Callable[[Result, Recompute], None], draw: Callable[[SweepView], None]
    ) -> None:
        """Let `show` be called with each result and the stage it was computed from, `draw` with
        each sweep.
        """
        self._show, self._draw = show, draw

    async def ask(self, recompute: Recompute, **changes: Any) -> None:
        """Change the query; what is shown from stage `recompute` on follows."""
        self.query = replace(self.query, **changes)
        self._recompute = max(recompute, self._recompute)
        if self._busy:
            return
        self._busy = True
        try:
            while self._recompute:
                await self._answer()
        finally:
            self._busy = False
        await self._sweep()

    async def show_picture(
        self, pixels: UInt8[np.ndarray, "channels height width"], labels: list[int]
    ) -> None:
        """Ask for another picture, with no capsule chosen and no dimension changed."""
        picture = inference.from_uint8(pixels)
        unchanged = {"chosen": None, "offsets": 0.0}
        await self.ask(Recompute.PICTURE, picture=picture, labels=labels, **unchanged)

    async def _answer(self) -> None:
        query, recompute, self._recompute = self.query, self._recompute, Recompute.NOTHING
        last, network = self.result, self.network
        self.result = await asyncio.to_thread(compute, network, query, recompute, last)
        self._show(self.result, recompute)

    async def _sweep(self) -> None:
        """Sweep for the last result; whoever computes another one comes here again."""
        if self._sweeping:
            return
        self._sweeping = True
        try:
            while not self._busy and (result := self.result) is not self._swept:
                assert result is not None
                network, last = self.network, self._view
                self._view = await asyncio.to_thread(view_sweep, network, result, last)
                self._swept = result
                self._draw(self._view)
        finally:
            self._sweeping = False
