"""The audit of a suppressed table: what a reader with a linear-programming solver can find out.

Belongs here: feasible ranges of hidden values. Must not be here: choosing what to hide (`suppression`).

The attacker knows every shown value, that lines add up, that figures are whole and not negative, which
cells are hidden, and the reason given for each: a primary cell has 1 to t-1 contributors, a complementary
one at least t; of a hidden total he is told nothing. Where cells have several contributor counts, he is
also granted which of them is small.

Writing a hidden value as truth + d turns this into a homogeneous system: A d = 0 with lower <= d <= upper.
So d = 0 is always feasible, and every other solution is a *witness*: a different table that looks the same
to the reader. A cell is protected once two witnesses differ there by the protection width (or by the
whole range the reason alone leaves). This has three consequences that keep the audit fast and sound:

- one solution is a witness for every cell, so few cells need a program of their own;
- hiding more cells never invalidates a witness (d = 0 is allowed in them), so protection, once proven,
  stays proven while complements are added;
- it is the same system for counts and for money. A hidden sum of money is determined exactly when the
  null space of A leaves no room, which is when the counts are determined too, except where a bound
  (nothing below zero) interferes; therefore money is audited by its own program with its own bounds.

In one and two dimensions A is a network matrix and vertices are whole; in three dimensions a fractional
vertex is not trusted and the program is solved again over whole numbers.

Not modelled: relations between measures (redeemed <= mailed), what a reader already knows about single
units, and inference from the order in which the heuristic picks complements.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from orchestration.output.cells import TOTAL, Grid, Measure

Vector = NDArray[np.float64]

_WHOLE = 1e-6  # how far from a whole number a solver's vertex may lie
_NODES = 2_000  # limit of the whole-number search per program; deterministic, unlike a time limit


def protection_width(threshold: int) -> int:
    """How many contributors wide the range of a hidden cell must stay: t/3, at least 2."""
    return max(2, threshold // 3)


class Audit:
    """Proves, cell by cell, that hidden values stay uncertain; remembers what is proven.

    `exposed` must be called with growing sets of hidden positions.
    """

    def __init__(self, grid: Grid, measures: Sequence[Measure], threshold: int) -> None:
        self._programs = [_MeasureAudit(grid, measure, threshold) for measure in measures]

    def exposed(self, hidden: Collection[int]) -> list[int]:
        """The hidden positions that some measure leaves narrower than the protection width, in order."""
        positions = np.array(sorted(hidden), dtype=np.intp)
        return sorted(set().union(*(program.exposed(positions) for program in self._programs)))


class _System(NamedTuple):
    """`rows @ d <= slack` for the changes d of the hidden positions."""

    rows: sparse.csc_array
    slack: Vector


class _MeasureAudit:
    """The audit of one measure; money is scaled so that the least protection width is 10."""

    def __init__(self, grid: Grid, measure: Measure, threshold: int) -> None:
        truth = np.array([float(value) for value in grid.columns[measure.name]])
        units = np.array([float(count) for count in grid.columns[measure.contributors]])
        self._whole = measure.type == "count"
        small = (units >= 1) & (units < threshold)
        # Every contributor to a count adds at least one to it; to a sum of money he may add nothing.
        lower = np.where(small, 1.0, np.where(units >= threshold, float(threshold), 0.0))
        upper = np.full_like(truth, math.inf)
        if measure.contributors == measure.name:
            upper[small] = threshold - 1
        # A hidden total says nothing about its size (see `suppression`).
        totals = np.array([TOTAL in coordinates for coordinates in grid.coordinates], dtype=bool)
        lower[totals], upper[totals] = 0.0, math.inf
        if not self._whole:
            lower = np.zeros_like(truth) if truth.min(initial=0.0) >= 0 else np.full_like(truth, -math.inf)
        self._lower, self._upper = lower - truth, upper - truth
        reach = _reach(grid, upper - lower)
        self._needed = np.minimum(self._width(truth, units, threshold), reach)
        if not self._whole:
            scale = 10.0 / self._needed.min(initial=math.inf)
            truth, self._needed = truth * scale, self._needed * scale
            self._lower, self._upper = self._lower * scale, self._upper * scale
        self._least, self._most = np.zeros_like(truth), np.zeros_like(truth)
        self._system = _constraints(grid, truth, measure.additive)

    def _width(self, truth: Vector, units: Vector, threshold: int) -> Vector:
        """The protection width in this measure: what that many average contributors of the cell add to it."""
        average = np.abs(truth) / np.maximum(units, 1)
        width = protection_width(threshold) * np.maximum(average, 1.0 if self._whole else 0.01)
        return np.ceil(width) if self._whole else width

    def exposed(self, positions: NDArray[np.intp]) -> list[int]:
        columns = self._system.rows[:, positions]
        used = np.unique(columns.indices)
        system = _System(columns[used], self._system.slack[used])
        return [
            int(position)
            for column, position in enumerate(positions)
            if not self._protected(position) and not self._search(column, positions, system)
        ]

    def _protected(self, position: np.intp) -> bool:
        return bool(self._most[position] - self._least[position] >= self._needed[position] * (1 - _WHOLE))

    def _search(self, column: int, positions: NDArray[np.intp], system: _System) -> bool:
        """Look for witnesses upwards, then downwards; every one found counts for all positions."""
        for sign in (1.0, -1.0):
            witness = self._witness(sign, column, positions, system)
            if witness is not None:
                self._most[positions] = np.maximum(self._most[positions], witness)
                self._least[positions] = np.minimum(self._least[positions], witness)
            if self._protected(positions[column]):
                return True
        return False

    def _witness(
        self, sign: float, column: int, positions: NDArray[np.intp], system: _System
    ) -> Vector | None:
        lower, upper = self._lower[positions].copy(), self._upper[positions].copy()
        # Further than the needed width the search need not go; it also keeps the program bounded.
        needed = self._needed[positions[column]]
        lower[column], upper[column] = max(lower[column], -needed), min(upper[column], needed)
        goal = np.zeros(len(positions))
        goal[column] = -sign
        for whole in (False, True) if self._whole else (False,):
            result = milp(
                goal,
                integrality=np.full(len(positions), int(whole)),
                bounds=Bounds(lower, upper),
                constraints=LinearConstraint(system.rows, -np.inf, system.slack),
                options={"node_limit": _NODES},
            )
            if result.x is None:
                return None
            solution = np.asarray(result.x, dtype=np.float64)
            if not self._whole:
                return solution
            rounded = np.round(solution)
            if np.abs(solution - rounded).max() < _WHOLE and bool(
                np.all(system.rows @ rounded <= system.slack)
            ):
                return rounded
        return None


def _reach(grid: Grid, cells: Vector) -> Vector:
    """The width that the reasons alone leave: of a cell as given, of a total that of its parts together."""
    reach = cells.copy()
    for line in sorted(grid.lines, key=lambda line: grid.coordinates[line.total].count(TOTAL)):
        reach[line.total] = reach[list(line.parts)].sum()
    return reach


def _constraints(grid: Grid, truth: Vector, additive: bool) -> _System:
    """What ties the changes of all positions together.

    An additive line gives an equality, written as two inequalities. A distinct count gives what is known of
    unions: the total is at most the sum of its parts, and no part exceeds it.
    """
    rows: list[dict[int, float]] = []
    for line in grid.lines:
        surplus = {line.total: 1.0} | dict.fromkeys(line.parts, -1.0)
        rows.append(surplus)
        if additive:
            rows.append({position: -sign for position, sign in surplus.items()})
        else:
            rows.extend({part: 1.0, line.total: -1.0} for part in line.parts)
    entries = [(r, position, sign) for r, row in enumerate(rows) for position, sign in row.items()]
    row_index, column_index, signs = zip(*entries, strict=True)
    matrix = sparse.csc_array(
        (np.array(signs), (np.array(row_index), np.array(column_index))), shape=(len(rows), len(truth))
    )
    slack = np.zeros(len(rows)) if additive else -(matrix @ truth)
    return _System(matrix, slack)
