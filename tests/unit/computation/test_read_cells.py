"""Cells come out of the room as plain records in which a total can never be taken for a group."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest

from orchestration.computation.cells import TOTAL, cells_name, drop_cells, read_cells
from orchestration.computation.request import Request
from orchestration.computation.template import load_templates
from orchestration.errors import IntegrityError

TEMPLATE = load_templates()["joint_segmentation"]


def request(**parameters: str) -> Request:
    return Request(
        id="a-1",
        collaboration="grocery",
        template=TEMPLATE.id,
        parameters=parameters,
        purpose="customer_insight",
        requester="retailer.analyst",
    )


@pytest.fixture
def room() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS room; CREATE SCHEMA room.cells")
        connection.execute(
            """CREATE TABLE room.cells.joint_segmentation__a_1 (row_value VARCHAR, column_value VARCHAR,
            row_value_is_total BOOLEAN, column_value_is_total BOOLEAN, units BIGINT, amount DECIMAL(18,2))"""
        )
        yield connection


def fill(connection: duckdb.DuckDBPyConnection, *rows: str) -> None:
    for row in rows:
        connection.execute(f"INSERT INTO room.cells.joint_segmentation__a_1 VALUES ({row})")


def test_records_carry_texts_and_exact_numbers(room: duckdb.DuckDBPyConnection) -> None:
    fill(room, "'65+', '0', false, false, 3, 1.50", "'65+', NULL, false, true, 3, 1.50")
    assert read_cells(room, TEMPLATE, request(rows="age", columns="children")) == [
        {"row_value": "65+", "column_value": "0", "units": 3, "amount": Decimal("1.50")},
        {"row_value": "65+", "column_value": TOTAL, "units": 3, "amount": Decimal("1.50")},
    ]


def test_a_dimension_not_asked_for_is_left_out(room: duckdb.DuckDBPyConnection) -> None:
    fill(room, "'65+', NULL, false, true, 3, 1.50", "NULL, NULL, true, true, 3, 1.50")
    assert [each["row_value"] for each in read_cells(room, TEMPLATE, request(rows="age"))] == ["65+", TOTAL]


def test_cells_of_other_parameters_are_not_passed_off(room: duckdb.DuckDBPyConnection) -> None:
    fill(room, "'65+', '0', false, false, 3, 1.50")
    with pytest.raises(IntegrityError, match=r"computation.unreadable_cells"):
        read_cells(room, TEMPLATE, request(rows="age"))


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("'TOTAL', '0', false, false, 3, 1.50", "computation.total_is_a_value"),
        ("NULL, '0', false, false, 3, 1.50", "computation.unreadable_cells"),
        ("'65+', '0', true, false, 3, 1.50", "computation.unreadable_cells"),
    ],
    ids=["a group called TOTAL", "a group without a name", "a total with a name"],
)
def test_a_total_is_never_confused_with_a_group(room: duckdb.DuckDBPyConnection, row: str, code: str) -> None:
    fill(room, row)
    with pytest.raises(IntegrityError) as caught:
        read_cells(room, TEMPLATE, request(rows="age", columns="children"))
    assert caught.value.code == code


def test_missing_cells_are_an_error_and_not_an_empty_answer(room: duckdb.DuckDBPyConnection) -> None:
    drop_cells(room, TEMPLATE, "a-1")
    with pytest.raises(IntegrityError, match=r"computation.unreadable_cells"):
        read_cells(room, TEMPLATE, request(rows="age"))


def test_two_requests_have_two_tables() -> None:
    assert cells_name(TEMPLATE, "a-1") != cells_name(TEMPLATE, "a-2")
