"""Where boxes go: an order within each layer that crosses few links, and heights near their neighbours.

Pure; knows ids, heights and links, nothing of what they mean (`drawing.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

BOX_GAP = 14

Links = Sequence[tuple[str, str]]


@dataclass
class Placed:
    """A box while its place is being found; `y` is its top."""

    id: str
    height: float
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


P = TypeVar("P", bound=Placed)


def arrange(layers: Sequence[list[P]], links: Links) -> None:
    """Sort every layer in place and give every box its `y`: from 0, in order, never over another."""
    _order(layers, links)
    _settle(layers, links)


def _order(layers: Sequence[list[P]], links: Links) -> None:
    """Sort each layer by the middle of its neighbours, a few times in both directions (Sugiyama)."""
    for turn in range(6):
        forward = turn % 2 == 0
        neighbours = _neighbours(links, backward=forward)
        for layer in layers if forward else reversed(layers):
            at = {
                placed.id: (index + 0.5) / len(each) for each in layers for index, placed in enumerate(each)
            }
            middle = {
                placed.id: fmean(
                    [at[each] for each in neighbours.get(placed.id, ()) if each in at] or [at[placed.id]]
                )
                for placed in layer
            }
            layer.sort(key=lambda placed: middle[placed.id])


def _settle(layers: Sequence[list[P]], links: Links) -> None:
    """Give every box a height on the page: near its neighbours, never over another."""
    tallest = max((_stacked(layer) for layer in layers), default=0)
    for layer in layers:
        _stack(layer, (tallest - _stacked(layer)) / 2)
    both = _neighbours(links, backward=True), _neighbours(links, backward=False)
    for turn in range(8):
        middles = {placed.id: placed.middle for layer in layers for placed in layer}
        near = both[turn % 2]
        for layer in layers:
            if _stacked(layer) >= tallest:  # the tallest layer holds still, the others lean on it
                continue
            wanted = [
                fmean(
                    [middles[each] for each in near.get(placed.id, ()) if each in middles] or [placed.middle]
                )
                - placed.height / 2
                for placed in layer
            ]
            _spread(layer, wanted, tallest)


def _spread(layer: Sequence[Placed], wanted: Sequence[float], tallest: float) -> None:
    """Move boxes to where they want to be, keeping their order, their gaps and the page."""
    bottom = 0.0
    for placed, y in zip(layer, wanted, strict=True):
        placed.y = max(y, bottom)
        bottom = placed.y + placed.height + BOX_GAP
    limit = tallest
    for placed in reversed(layer):
        placed.y = min(placed.y, limit - placed.height)
        limit = placed.y - BOX_GAP


def _stacked(layer: Sequence[Placed]) -> float:
    return sum(placed.height for placed in layer) + BOX_GAP * (len(layer) - 1)


def _stack(layer: Sequence[Placed], top: float) -> None:
    for placed in layer:
        placed.y = top
        top += placed.height + BOX_GAP


def _neighbours(links: Links, *, backward: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source, target in links:
        key, value = (target, source) if backward else (source, target)
        found.setdefault(key, []).append(value)
    return found
