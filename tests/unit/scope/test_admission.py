"""Views of the room: every entity, every attribute, whatever was contributed."""

from __future__ import annotations

import duckdb

from orchestration.charter.entities import ENTITIES
from orchestration.scope.admission import AdmittedTable, compile_views


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
