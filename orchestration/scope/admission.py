"""Which de-identified tables the room admits, as one view per entity for the transforms to read.

Every entity has a view with all its attributes, so the transforms are fixed SQL for every collaboration: an
attribute nobody contributes is NULL, an entity nobody contributes is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestration.charter.entities import ENTITIES
from orchestration.engine.duck import quote_name


@dataclass(frozen=True)
class AdmittedTable:
    """A table of the room whose gate passed, and the attributes it has."""

    dataset: str
    contribution: str
    table: str
    attributes: frozenset[str]


def compile_views(tables: Mapping[str, Sequence[AdmittedTable]]) -> list[str]:
    """One CREATE VIEW statement per entity of the house; `tables` by entity name."""
    return [
        f"CREATE OR REPLACE VIEW room.admitted.{quote_name(entity)}"
        f" AS {_select(entity, tables.get(entity, ()))}"
        for entity in ENTITIES
    ]


def _select(entity: str, tables: Sequence[AdmittedTable]) -> str:
    attributes = ENTITIES[entity].attributes
    if not tables:
        nothing = ", ".join(f"NULL::{kind} AS {quote_name(name)}" for name, kind in attributes.items())
        return f"SELECT {nothing} WHERE false"
    selects = []
    for table in tables:
        columns = ", ".join(
            quote_name(name) if name in table.attributes else f"NULL::{kind} AS {quote_name(name)}"
            for name, kind in attributes.items()
        )
        selects.append(f"SELECT {columns} FROM room.deidentified.{quote_name(table.table)}")
    return " UNION ALL ".join(selects)
