"""Views of the room: every entity, every attribute, whatever was contributed."""

from __future__ import annotations

from typing import Literal

import duckdb
import pytest

from orchestration.charter.entities import ENTITIES
from orchestration.scope.admission import AdmittedTable, Consent, compile_views


def test_every_entity_has_a_typed_view_and_contributions_stand_together() -> None:
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS room")
        connection.execute("CREATE SCHEMA room.admitted; CREATE SCHEMA room.deidentified")
        connection.execute("CREATE TABLE room.deidentified.one AS SELECT 'u1' AS unit, 'c' AS campaign")
        connection.execute("CREATE TABLE room.deidentified.two AS SELECT 'u2' AS unit")
        tables = [
            AdmittedTable("a", "a-1", "one", frozenset({"unit", "campaign"})),
            AdmittedTable("b", "b-1", "two", frozenset({"unit"})),
        ]
        for statement in compile_views({"assignment": tables}):
            connection.execute(statement)
        for name, entity in ENTITIES.items():
            described = connection.execute(f"DESCRIBE room.admitted.{name}").fetchall()
            assert {row[0]: row[1] for row in described} == entity.attributes
            count = connection.execute(f"SELECT count(*) FROM room.admitted.{name}").fetchall()[0][0]
            assert count == (2 if name == "assignment" else 0)
        rows = connection.execute(
            "SELECT unit, campaign FROM room.admitted.assignment ORDER BY unit"
        ).fetchall()
    assert rows == [("u1", "c"), ("u2", None)]


DECISIONS = [
    ("agreed", True, "2024-01-01"),
    ("objected", False, "2024-01-01"),
    ("agreed later", False, "2024-01-01"), ("agreed later", True, "2024-02-01"),
    ("objected later", True, "2024-01-01"), ("objected later", False, "2024-02-01"),
    ("both on one day", True, "2024-02-01"), ("both on one day", False, "2024-02-01"),
    ("neither yes nor no", True, "2024-02-01"), ("neither yes nor no", None, "2024-02-01"),
    ("objected, who knows when", True, "2024-02-01"), ("objected, who knows when", False, None),
    ("agreed, who knows when", True, "2024-02-01"), ("agreed, who knows when", True, None),
    ("agreed, who knows when, once", True, None),
    ("in no other data", True, "2024-02-01"),
]  # fmt: skip
SILENT = {"said nothing"}
NEVER_OBJECTED = {"agreed", "agreed, who knows when", "agreed, who knows when, once"}
AGREED = NEVER_OBJECTED | {"agreed later"}


@pytest.mark.parametrize(
    ("mode", "dated", "admitted"),
    [
        ("opt_in", True, AGREED),
        ("opt_out", True, AGREED | SILENT),
        ("opt_in", False, NEVER_OBJECTED),
        ("opt_out", False, NEVER_OBJECTED | SILENT),
    ],
)
def test_the_newest_decision_counts_and_a_disagreement_is_a_no(
    mode: Literal["opt_in", "opt_out"], dated: bool, admitted: set[str]
) -> None:
    with duckdb.connect() as connection:
        connection.execute("ATTACH ':memory:' AS room")
        connection.execute("CREATE SCHEMA room.admitted; CREATE SCHEMA room.deidentified")
        day = ", decided_on DATE" if dated else ""
        connection.execute(f"CREATE TABLE room.deidentified.said (unit VARCHAR, granted BOOLEAN{day})")
        for unit, granted, on in DECISIONS:
            row = [unit, granted, on] if dated else [unit, granted]
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO room.deidentified.said VALUES ({marks})", row)
        connection.execute("CREATE TABLE room.deidentified.one (unit VARCHAR)")
        for unit in sorted({unit for unit, *_ in DECISIONS} - {"in no other data"} | SILENT):
            connection.execute("INSERT INTO room.deidentified.one VALUES (?), (?)", [unit, unit])
        table = AdmittedTable("a", "a-1", "one", frozenset({"unit"}), Consent("said", dated, mode))
        for statement in compile_views({"profile": [table]}):
            connection.execute(statement)
        rows = connection.execute("SELECT unit FROM room.admitted.profile ORDER BY unit").fetchall()
    assert rows == [(unit,) for unit in sorted(admitted) for _ in range(2)]
