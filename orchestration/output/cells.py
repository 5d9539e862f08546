"""Cells: the raw aggregate a template returns, and the full table with totals it will be published as.

Belongs here: the shape of cells, their totals, and the lines (parts that add up to a total) between them.
Must not be here: any decision about what is shown (`suppression`), files, SQL, charts.

A group that does not occur has no cell: absent means zero, and says so to the reader as a shown zero does.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass as document

from orchestration.errors import DisclosureError, Reason

TOTAL = "TOTAL"
MAX_DIMENSIONS = 3
Number = int | Decimal

MALFORMED = Reason(
    "output.malformed_cells",
    "The cells do not have the shape their template states: {problem}.",
    "Correct the template's dbt model or its specification; nothing was released.",
)

_DOCUMENT = ConfigDict(extra="forbid")


def _malformed(problem: str) -> DisclosureError:
    return DisclosureError(MALFORMED, problem=problem)


@document(frozen=True, config=_DOCUMENT)
class Dimension:
    """One way the table is broken down; `name` is the column of the cells."""

    name: str
    title: str


@document(frozen=True, config=_DOCUMENT)
class Measure:
    """One figure of a cell.

    `contributors` names the column with the number of distinct privacy units behind it; a measure that
    counts units names itself. `additive` is false for distinct counts whose total is not the sum of its
    parts (a household in two campaigns): such totals come from the caller.
    """

    name: str
    title: str
    type: Literal["count", "money"]
    contributors: str
    additive: bool = True


@dataclass(frozen=True)
class Cell:
    """One group: its coordinates in the order of the dimensions, and its measures and contributor counts."""

    coordinates: tuple[str, ...]
    values: Mapping[str, Number]


@dataclass(frozen=True)
class CellTable:
    """What a template returns: `rows` are the base cells, never totals.

    `totals` is optional and holds total rows (coordinate `TOTAL` in at least one dimension) with exact
    figures, for contributor counts and distinct counts that do not add up. A total not given is derived:
    additive measures are summed; a contributor count is summed if it is itself an additive measure, else
    taken as the largest of its parts, a lower bound, so that a total is never shown too eagerly.

    Raises:
        DisclosureError: `output.malformed_cells`.
    """

    dimensions: tuple[Dimension, ...]
    measures: tuple[Measure, ...]
    rows: tuple[Cell, ...]
    totals: tuple[Cell, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.dimensions) <= MAX_DIMENSIONS:
            raise _malformed(f"a table has 1 to {MAX_DIMENSIONS} dimensions")
        names = [d.name for d in self.dimensions] + [m.name for m in self.measures]
        if not self.measures or len(set(names)) != len(names):
            raise _malformed("dimensions and measures need distinct names, and there must be a measure")
        if any(m.type == "money" and not m.additive for m in self.measures):
            raise _malformed("a sum of money is always additive")
        for cell in itertools.chain(self.rows, self.totals):
            self._check(cell)
        if any(TOTAL in cell.coordinates for cell in self.rows):
            raise _malformed(f"{TOTAL!r} is no name for a group")
        if any(TOTAL not in cell.coordinates for cell in self.totals):
            raise _malformed("a base cell stands among the totals")
        for cells in (self.rows, self.totals):
            if len({cell.coordinates for cell in cells}) != len(cells):
                raise _malformed("two cells have the same coordinates")

    def _check(self, cell: Cell) -> None:
        if len(cell.coordinates) != len(self.dimensions) or not all(
            isinstance(label, str) and label for label in cell.coordinates
        ):
            raise _malformed("every cell needs one non-empty text per dimension")
        if not set(self.columns) <= set(cell.values):
            raise _malformed("a measure or its contributor count is missing")
        for measure in self.measures:
            value, units = cell.values[measure.name], cell.values[measure.contributors]
            if type(units) is not int or units < 0:
                raise _malformed("contributor counts are whole and not negative")
            if type(value) is not (int if measure.type == "count" else Decimal):
                raise _malformed("counts are whole numbers and money is decimal")
            if (units == 0 and value != 0) or (measure.type == "count" and value < units):
                raise _malformed("a measure does not agree with its contributor count")

    @property
    def columns(self) -> tuple[str, ...]:
        """Measures and contributor counts, each once."""
        return tuple(dict.fromkeys(name for m in self.measures for name in (m.name, m.contributors)))

    @classmethod
    def from_records(
        cls,
        dimensions: Sequence[Dimension],
        measures: Sequence[Measure],
        records: Iterable[Mapping[str, object]],
    ) -> CellTable:
        """Cells from rows of a query, keyed by column; rows with a `TOTAL` coordinate become totals."""
        money = {m.name for m in measures if m.type == "money"}
        columns = tuple(dict.fromkeys(name for m in measures for name in (m.name, m.contributors)))
        cells = []
        for record in records:
            try:
                coordinates = tuple(record[d.name] for d in dimensions)
                values = {name: _number(record[name], name in money) for name in columns}
            except KeyError:
                raise _malformed("a column of the template is missing") from None
            cells.append(Cell(coordinates, values))  # type: ignore[arg-type]  # checked by __post_init__
        totals = tuple(cell for cell in cells if TOTAL in cell.coordinates)
        rows = tuple(cell for cell in cells if TOTAL not in cell.coordinates)
        return cls(tuple(dimensions), tuple(measures), rows, totals)


def _number(value: object, money: bool) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not math.isfinite(value):
        raise _malformed("a figure is missing or not an exact number")
    if money:
        return Decimal(value)
    if value != int(value):
        raise _malformed("a count is not whole")
    return int(value)


@dataclass(frozen=True)
class Line:
    """Published positions that belong together: `parts` and the `total` over one dimension."""

    total: int
    parts: tuple[int, ...]

    @property
    def members(self) -> tuple[int, ...]:
        return (*self.parts, self.total)


@dataclass(frozen=True)
class Grid:
    """Every position that will be published (base cells and totals), and the lines that tie them."""

    coordinates: tuple[tuple[str, ...], ...]
    columns: Mapping[str, tuple[Number, ...]]
    lines: tuple[Line, ...]


def with_totals(table: CellTable) -> Grid:
    """The full table: base cells plus all marginal totals, in reading order.

    Raises:
        DisclosureError: `output.malformed_cells` when a given total contradicts the cells, or a distinct
            count has no given total.
    """
    parts: dict[tuple[str, ...], list[Cell]] = defaultdict(list)
    for cell in table.rows:
        for coordinates in itertools.product(*((label, TOTAL) for label in cell.coordinates)):
            parts[coordinates].append(cell)
    given = {cell.coordinates: cell for cell in table.totals}
    if not set(given) <= set(parts):
        raise _malformed("a total is given for a group without cells")
    ordered = sorted(parts, key=lambda coordinates: tuple(map(label_order, coordinates)))
    values = [
        _total(table, parts[at], given.get(at)) if TOTAL in at else parts[at][0].values for at in ordered
    ]
    columns = {name: tuple(row[name] for row in values) for name in table.columns}
    return Grid(tuple(ordered), columns, _lines(ordered))


def _total(table: CellTable, parts: Sequence[Cell], given: Cell | None) -> Mapping[str, Number]:
    additive = {m.name for m in table.measures if m.additive}
    published = {m.name for m in table.measures}
    values: dict[str, Number] = {}
    for name in table.columns:
        column = [cell.values[name] for cell in parts]
        low, high = (sum(column), sum(column)) if name in additive else (max(column), sum(column))
        if given is None and name in published - additive:
            raise _malformed("a distinct count needs its totals from the model")
        values[name] = low if given is None else given.values[name]
        if not low <= values[name] <= high:
            raise _malformed("a given total contradicts its cells")
    return values


def _lines(coordinates: Sequence[tuple[str, ...]]) -> tuple[Line, ...]:
    index = {at: position for position, at in enumerate(coordinates)}
    parts: dict[tuple[int, int], list[int]] = defaultdict(list)
    for at, position in index.items():
        for dimension, label in enumerate(at):
            if label != TOTAL:
                parent = (*at[:dimension], TOTAL, *at[dimension + 1 :])
                parts[index[parent], dimension].append(position)
    return tuple(Line(total, tuple(members)) for (total, _), members in parts.items())


_FIRST_NUMBER = re.compile(r"\d+")
_OPEN_BELOW = re.compile(r"^\s*(under|below|less|<|up to)", re.IGNORECASE)


def label_order(label: str) -> tuple[int, int, int, str]:
    """Sort key in reading order: bands by their number ("Under 15K" first), then words, totals last."""
    number = _FIRST_NUMBER.search(label)
    if label == TOTAL:
        return (2, 0, 0, label)
    if number is None:
        return (1, 0, 0, label)
    return (0, int(number.group()), 0 if _OPEN_BELOW.match(label) else 1, label)
