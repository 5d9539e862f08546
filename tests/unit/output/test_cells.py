"""The shape of cells: what a template may return, and the totals made from it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orchestration.errors import DisclosureError
from orchestration.output.cells import TOTAL, Cell, CellTable, Dimension, Measure, label_order, with_totals
from tests.unit.output.output_tables import AMOUNT, MAILED, UNITS, counts

D = Dimension("d", "D")


@pytest.mark.parametrize(
    "record",
    [
        {"d": "a", "units": 3},
        {"d": "a", "units": 3, "amount": None},
        {"d": "a", "units": 3, "amount": 1.5},
        {"d": "a", "units": 3, "amount": Decimal("NaN")},
        {"d": "a", "units": -3, "amount": 0},
        {"d": "a", "units": True, "amount": 0},
        {"d": "a", "units": 0, "amount": Decimal("1.50")},
        {"d": None, "units": 3, "amount": 0},
        {"d": "", "units": 3, "amount": 0},
        {"d": 7, "units": 3, "amount": 0},
    ],
    ids=lambda record: ",".join(map(str, record.values())),
)
def test_malformed_records_are_refused_without_quoting_them(record: dict[str, object]) -> None:
    with pytest.raises(DisclosureError) as refusal:
        CellTable.from_records([D], [UNITS, AMOUNT], [record])
    assert refusal.value.code == "output.malformed_cells"
    assert "1.5" not in refusal.value.message


@pytest.mark.parametrize(
    ("dimensions", "measures", "rows", "totals"),
    [
        ((), (UNITS,), (), ()),
        ((D,), (), (), ()),
        ((D, D), (UNITS,), (), ()),
        ((D,), (UNITS,), (Cell(("a",), {"units": 1}), Cell(("a",), {"units": 2})), ()),
        ((D,), (UNITS,), (Cell((TOTAL,), {"units": 1}),), ()),
        ((D,), (UNITS,), (), (Cell(("a",), {"units": 1}),)),
        ((D,), (UNITS,), (Cell(("a", "b"), {"units": 1}),), ()),
        ((D,), (MAILED,), (Cell(("a",), {"mailed": 3, "mailed_units": 4}),), ()),
        ((D,), (Measure("m", "M", "money", "m", additive=False),), (), ()),
    ],
    ids=[
        "no dimension",
        "no measure",
        "same name",
        "twice",
        "TOTAL",
        "no total",
        "too wide",
        "count",
        "average",
    ],
)
def test_malformed_tables_are_refused(
    dimensions: tuple[Dimension, ...],
    measures: tuple[Measure, ...],
    rows: tuple[Cell, ...],
    totals: tuple[Cell, ...],
) -> None:
    with pytest.raises(DisclosureError) as refusal:
        CellTable(dimensions, measures, rows, totals)
    assert refusal.value.code == "output.malformed_cells"


@pytest.mark.parametrize("total", [5, 12, 31], ids=["below its largest part", "not the sum", "above the sum"])
def test_a_given_total_that_contradicts_its_cells_is_refused(total: int) -> None:
    rows = [{"d": "a", "units": 20}, {"d": "b", "units": 10}, {"d": TOTAL, "units": total}]
    with pytest.raises(DisclosureError) as refusal:
        with_totals(CellTable.from_records([D], [UNITS], rows))
    assert refusal.value.code == "output.malformed_cells"


def test_a_distinct_count_needs_its_totals() -> None:
    distinct = Measure("units", "Households", "count", "units", additive=False)
    with pytest.raises(DisclosureError) as refusal:
        with_totals(CellTable.from_records([D], [distinct], [{"d": "a", "units": 20}]))
    assert refusal.value.code == "output.malformed_cells"


def test_a_contributor_count_that_may_overlap_is_taken_at_its_least() -> None:
    rows = [{"d": name, "mailed": 8, "mailed_units": 8} for name in "ab"]
    grid = with_totals(CellTable.from_records([D], [MAILED], rows))
    at = grid.coordinates.index((TOTAL,))
    assert (grid.columns["mailed"][at], grid.columns["mailed_units"][at]) == (16, 8)


def test_every_line_adds_up() -> None:
    cells = {(a, b, c): i for i, (a, b, c) in enumerate((a, b, c) for a in "ab" for b in "cd" for c in "ef")}
    grid = with_totals(counts(cells))
    units = grid.columns["units"]
    assert len(grid.coordinates) == 27
    assert len(grid.lines) == 27
    assert all(units[line.total] == sum(units[part] for part in line.parts) for line in grid.lines)


def test_bands_stand_in_reading_order() -> None:
    labels = ["TOTAL", "Unknown", "250K+", "100-124K", "15-24K", "Under 15K"]
    assert sorted(labels, key=label_order) == labels[::-1]
