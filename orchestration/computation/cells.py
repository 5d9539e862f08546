"""Cells tables in the room: their names, and their rows as plain records.

Belongs here: the way from the relation a cells model built to a row shape that output control takes. Must
not be here: which of these rows anybody may see. The records never leave the process that protects them.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from orchestration.computation.request import Request
from orchestration.computation.template import Template
from orchestration.engine.duck import quote_name
from orchestration.errors import IntegrityError, Reason

TOTAL = "TOTAL"
"""What stands in a dimension that a record sums over; `output.cells.TOTAL` is the same word."""

UNREADABLE_CELLS = Reason(
    "computation.unreadable_cells",
    "The cells of {template} are missing or are not what the template states.",
    "Run the computation again; if it stays so, the template and its dbt model disagree.",
)
TOTAL_IS_A_VALUE = Reason(
    "computation.total_is_a_value",
    "A group of {template} is called like the word that marks totals, so the two cannot be told apart.",
    "Rename that value in the dataset it comes from, and contribute it again.",
)


def cells_name(template: Template, request_id: str) -> str:
    """The table a request's cells go to, inside schema `cells`; `macros/names.sql` builds the same name."""
    return f"{template.model.removeprefix('cells_')}__{request_id.replace('-', '_')}"


def read_cells(
    connection: duckdb.DuckDBPyConnection, template: Template, request: Request
) -> list[dict[str, object]]:
    """The records of a request's cells, base cells and exact totals alike, in a stable order.

    Each record has, per dimension of `template.dimensions_for(parameters)`, a text (`TOTAL` where it is
    summed over), and per name of `template.figures` an `int` (counts, contributors) or `Decimal` (money).

    Args:
        connection: a connection with the room attached as `room`.

    Raises: IntegrityError (`computation.unreadable_cells`, `computation.total_is_a_value`).
    """
    table = f"room.cells.{quote_name(cells_name(template, request.id))}"
    columns = ", ".join(map(quote_name, template.columns))
    try:
        cursor = connection.execute(f"SELECT {columns} FROM {table} ORDER BY ALL")  # noqa: S608  # quoted names
        rows = [dict(zip(template.columns, row, strict=True)) for row in cursor.fetchall()]
    except duckdb.Error:
        raise IntegrityError(UNREADABLE_CELLS, template=template.id) from None
    kept = [each.name for each in template.dimensions_for(request.parameters)]
    absent = [each.name for each in template.dimensions if each.name not in kept]
    if not all(row[f"{name}_is_total"] for row in rows for name in absent):
        raise IntegrityError(UNREADABLE_CELLS, template=template.id)
    return [_record(template, kept, row) for row in rows]


def drop_cells(connection: duckdb.DuckDBPyConnection, template: Template, request_id: str) -> None:
    """Remove a request's cells once its protected table exists: raw aggregates need not outlive it."""
    connection.execute(f"DROP TABLE IF EXISTS room.cells.{quote_name(cells_name(template, request_id))}")


def _record(template: Template, dimensions: list[str], row: Mapping[str, object]) -> dict[str, object]:
    record: dict[str, object] = {}
    for name in dimensions:
        total, value = row[f"{name}_is_total"], row[name]
        if value == TOTAL:
            raise IntegrityError(TOTAL_IS_A_VALUE, template=template.id)
        if (value is None) != total:
            raise IntegrityError(UNREADABLE_CELLS, template=template.id)
        record[name] = TOTAL if total else value
    return record | {name: row[name] for name in template.figures}
