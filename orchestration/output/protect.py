"""The protected table: the only form in which cells leave the room, and the one function that makes it.

Belongs here: the published document and its sentences. Must not be here: the decision what to hide
(`suppression`). A hidden row keeps its coordinates and loses every value: it is never zero, never missing.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from orchestration.errors import DisclosureError, Reason
from orchestration.output.cells import (
    MAX_DIMENSIONS,
    TOTAL,
    CellTable,
    Dimension,
    Measure,
    Number,
    label_order,
    with_totals,
)
from orchestration.output.document import ReleasedDocument
from orchestration.output.suppression import NOTHING_TO_SHOW, Mark, suppress

TOO_MANY_CELLS = Reason(
    "output.too_many_cells",
    "The result has {cells} cells; the charter allows {max_cells}.",
    "Ask with fewer or coarser dimensions, or agree on a higher limit in the charter.",
)

# A strict int keeps 12 a count while "12.00" stays money, through JSON and back.
Value = Annotated[int, Strict()] | Decimal


class ProtectedRow(ReleasedDocument):
    """One group or total. `values` has every measure when shown and is None when suppressed.

    Of a suppressed base cell "primary" says fewer contributors than the threshold (and at least one),
    "complementary" says at least the threshold. Of a suppressed total "complementary" says nothing.
    """

    coordinates: tuple[str, ...]
    status: Literal["shown", "suppressed"]
    reason: Mark | None
    values: dict[str, Value] | None

    @property
    def is_total(self) -> bool:
        return TOTAL in self.coordinates

    @model_validator(mode="after")
    def _hidden_rows_have_no_values(self) -> Self:
        shown = self.status == "shown"
        if shown != (self.values is not None) or shown != (self.reason is None):
            raise ValueError("a shown row has values, a suppressed one has a reason, never both")
        if self.reason == "primary" and self.is_total:
            raise ValueError("a suppressed total says nothing about its size")
        return self


class Summary(ReleasedDocument):
    """How many base cells and totals are shown and hidden."""

    cells_shown: int
    cells_primary: int
    cells_complementary: int
    totals_shown: int
    totals_hidden: int

    @property
    def cells(self) -> int:
        return self.cells_shown + self.cells_primary + self.cells_complementary


class ProtectedTable(ReleasedDocument):
    """What may be published: rows in reading order, totals (coordinate `TOTAL`) among them."""

    dimensions: tuple[Dimension, ...] = Field(min_length=1, max_length=MAX_DIMENSIONS)
    measures: tuple[Measure, ...] = Field(min_length=1)
    threshold: int
    rows: tuple[ProtectedRow, ...]

    @model_validator(mode="after")
    def _rows_fit(self) -> Self:
        names = {measure.name for measure in self.measures}
        if any(len(row.coordinates) != len(self.dimensions) for row in self.rows):
            raise ValueError("every row needs one coordinate per dimension")
        if any(row.values is not None and set(row.values) != names for row in self.rows):
            raise ValueError("every shown row needs exactly the measures of the table")
        if len(self._index) != len(self.rows):
            raise ValueError("two rows have the same coordinates")
        return self

    @cached_property
    def _index(self) -> dict[tuple[str, ...], ProtectedRow]:
        return {row.coordinates: row for row in self.rows}

    @property
    def cells(self) -> tuple[ProtectedRow, ...]:
        """The base cells."""
        return tuple(row for row in self.rows if not row.is_total)

    @property
    def totals(self) -> tuple[ProtectedRow, ...]:
        return tuple(row for row in self.rows if row.is_total)

    @property
    def summary(self) -> Summary:
        reasons = [row.reason for row in self.cells]
        totals = [row.reason for row in self.totals]
        return Summary(
            cells_shown=reasons.count(None),
            cells_primary=reasons.count("primary"),
            cells_complementary=reasons.count("complementary"),
            totals_shown=totals.count(None),
            totals_hidden=len(totals) - totals.count(None),
        )

    def row(self, *coordinates: str) -> ProtectedRow | None:
        """The row at these coordinates; None if no such group occurs, which means zero."""
        return self._index.get(coordinates)

    def value(self, measure: str, *coordinates: str) -> Number | None:
        """A published figure: None when hidden, 0 when no such group occurs."""
        row = self.row(*coordinates)
        if row is None:
            return 0
        return None if row.values is None else row.values[measure]

    def labels(self, dimension: int) -> tuple[str, ...]:
        """The groups of one dimension in reading order, without `TOTAL`."""
        found = {row.coordinates[dimension] for row in self.rows} - {TOTAL}
        return tuple(sorted(found, key=label_order))

    def why(self, unit: str = "privacy unit") -> tuple[str, ...]:
        """Sentences for people: what is hidden, and why. `unit` is the charter's privacy unit."""
        count, limit = self.summary, f"{self.threshold} {unit}s"
        sentences = [
            f"{count.cells_shown} of {_cells(count.cells)} shown, each with at least {limit} (or nobody)."
        ]
        if count.cells_primary:
            sentences.append(
                f"{_cells(count.cells_primary)} hidden because fewer than {limit} stand behind a figure."
            )
        if count.cells_complementary:
            sentences.append(
                f"{_cells(count.cells_complementary)} hidden although at least {limit} stand behind each: "
                "otherwise a smaller cell could be worked out from the totals."
            )
        if count.totals_hidden:
            sentences.append(
                f"{count.totals_hidden} of {count.totals_hidden + count.totals_shown} totals "
                f"{'is' if count.totals_hidden == 1 else 'are'} hidden for the same reasons."
            )
        if count.cells != count.cells_shown:
            sentences.append("Hidden never means zero: in every hidden cell there is somebody.")
        return tuple(sentences)


def _cells(number: int) -> str:
    return "1 cell is" if number == 1 else f"{number} cells are"


def protect(cells: CellTable, threshold: int, max_cells: int) -> ProtectedTable:
    """Output control: cells in, protected table out.

    Args:
        threshold: least number of distinct privacy units behind every shown figure; 2 or more.
        max_cells: largest number of base cells the charter allows.

    Raises:
        DisclosureError: `output.too_many_cells`; `output.nothing_to_show` when no base cell may be shown;
            `output.malformed_cells`.
    """
    if threshold < 2:
        raise ValueError("a threshold below 2 protects nobody")
    if len(cells.rows) > max_cells:
        raise DisclosureError(TOO_MANY_CELLS, cells=len(cells.rows), max_cells=max_cells)
    if not cells.rows:
        raise DisclosureError(NOTHING_TO_SHOW, threshold=threshold)
    grid = with_totals(cells)
    marks = suppress(grid, cells.measures, threshold)
    names = [measure.name for measure in cells.measures]
    rows = tuple(
        ProtectedRow(
            coordinates=coordinates,
            status="suppressed" if mark else "shown",
            reason=mark,
            values=None if mark else {name: grid.columns[name][at] for name in names},
        )
        for at, (coordinates, mark) in enumerate(zip(grid.coordinates, marks, strict=True))
    )
    table = ProtectedTable(
        dimensions=cells.dimensions, measures=cells.measures, threshold=threshold, rows=rows
    )
    if table.summary.cells_shown == 0:
        raise DisclosureError(NOTHING_TO_SHOW, threshold=threshold)
    return table
