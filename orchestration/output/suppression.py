"""Which cells and totals are hidden: primary by the threshold, complementary so that no hidden one follows.

Belongs here: the decision, as marks on the positions of a `Grid`. Must not be here: values for readers
(`protect`), or the proof that the decision holds (`bounds`).

Primary: a position is hidden when any of its contributor counts lies in 1..threshold-1. A count of 0 is
shown: its value is 0, it says that nobody is there and describes no one; hiding it would tell readers
"1 to threshold-1" about an empty group. As with AWS Clean Rooms, exactly the threshold is enough.

Complementary: in a line (parts and their total) with a single hidden member the cheapest other member is
hidden too, until no such line is left; then the audit, and more complements for whatever it exposes.

A hidden total is always marked complementary, also when it is below the threshold itself: its reason says
nothing about its size. Were nine cells and their total all known to be "1 to 9", each cell would be 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from orchestration.errors import DisclosureError, Reason
from orchestration.output.bounds import Audit
from orchestration.output.cells import TOTAL, Grid, Measure

Mark = Literal["primary", "complementary"]

NOTHING_TO_SHOW = Reason(
    "output.nothing_to_show",
    "With groups of at least {threshold}, no cell of this result can be shown.",
    "Ask with fewer or coarser dimensions, so that the groups become larger.",
)


def suppress(grid: Grid, measures: Sequence[Measure], threshold: int) -> tuple[Mark | None, ...]:
    """One mark per position of the grid; None is shown.

    Raises:
        DisclosureError: `output.nothing_to_show` when hidden cells cannot be protected.
    """
    marks = _Marks(grid, measures, threshold)
    audit = Audit(grid, measures, threshold)
    while True:
        marks.complete_lines()
        exposed = audit.exposed(marks.hidden)
        if not exposed:
            return tuple(marks.marks)
        marks.widen(exposed)


class _Marks:
    """The marks while they grow; `size` is the largest contributor count, the cost of hiding a position."""

    def __init__(self, grid: Grid, measures: Sequence[Measure], threshold: int) -> None:
        counts = [grid.columns[name] for name in {m.contributors for m in measures}]
        self._grid, self._threshold = grid, threshold
        self._size = [max(column[at] for column in counts) for at in range(len(grid.coordinates))]
        self.marks: list[Mark | None] = [
            _mark(coordinates) if any(0 < column[at] < threshold for column in counts) else None
            for at, coordinates in enumerate(grid.coordinates)
        ]
        self._lines_of: list[list[int]] = [[] for _ in grid.coordinates]
        for number, line in enumerate(grid.lines):
            for at in line.members:
                self._lines_of[at].append(number)
        self._hidden_in = [sum(self.marks[at] is not None for at in line.members) for line in grid.lines]

    @property
    def hidden(self) -> list[int]:
        return [at for at, mark in enumerate(self.marks) if mark]

    def complete_lines(self) -> None:
        """Hide a second member wherever a line has exactly one hidden, to a fixpoint."""
        waiting = [number for number, hidden in enumerate(self._hidden_in) if hidden == 1]
        while waiting:
            number = waiting.pop(0)
            choice = (
                self._cheapest(self._grid.lines[number].members) if self._hidden_in[number] == 1 else None
            )
            if choice is not None:
                self._hide(choice)
                waiting.extend(n for n in self._lines_of[choice] if self._hidden_in[n] == 1)

    def widen(self, exposed: Sequence[int]) -> None:
        """Hide one more neighbour of every exposed position, or, if none has one left, anything at all."""
        touched: set[int] = set()
        for at in exposed:
            if touched.isdisjoint(self._lines_of[at]):
                choice = self._cheapest(m for n in self._lines_of[at] for m in self._grid.lines[n].members)
                if choice is not None:
                    self._hide(choice)
                    touched.update(self._lines_of[choice])
        if not touched:
            choice = self._cheapest(range(len(self.marks)))
            if choice is None:
                raise DisclosureError(NOTHING_TO_SHOW, threshold=self._threshold)
            self._hide(choice)

    def _cheapest(self, candidates: Iterable[int]) -> int | None:
        """The shown, non-empty candidate that opens the fewest new lines, then the smallest."""
        open_to = [at for at in candidates if self.marks[at] is None and self._size[at] > 0]
        return min(open_to, key=self._cost, default=None)

    def _cost(self, at: int) -> tuple[int, int, int]:
        opened = sum((self._hidden_in[n] == 0) - (self._hidden_in[n] == 1) for n in self._lines_of[at])
        return (opened, int(self._size[at]), at)

    def _hide(self, at: int) -> None:
        self.marks[at] = "complementary"
        for number in self._lines_of[at]:
            self._hidden_in[number] += 1


def _mark(coordinates: tuple[str, ...]) -> Mark:
    return "complementary" if TOTAL in coordinates else "primary"
