"""Which de-identified tables the room admits, as one view per entity for the transforms to read.

Every entity has a view with all its attributes, so the transforms are fixed SQL for every collaboration: an
attribute nobody contributes is NULL, an entity nobody contributes is empty. Where people decide about the use
of their rows, the view holds only rows of those who said yes, or not no.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestration.charter.entities import ENTITIES
from orchestration.engine.duck import quote_name


@dataclass(frozen=True)
class AdmittedTable:
    """A table of the room whose gate passed, and the attributes it has."""

    dataset: str
    contribution: str
    table: str
    attributes: frozenset[str]
    consent: Consent | None = None


@dataclass(frozen=True)
class Consent:
    """The room's table of decisions that rows depend on; `mode` as the charter says."""

    table: str
    dated: bool
    mode: Literal["opt_in", "opt_out"]


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
        rows = f"room.deidentified.{quote_name(table.table)}"
        selects.append(f"SELECT {columns} FROM {rows}{_consenting(table.consent)}")
    return " UNION ALL ".join(selects)


def _consenting(consent: Consent | None) -> str:
    """Each unit's decisions of its newest day count, and those of no day; where they disagree, it is a no."""
    if consent is None:
        return ""
    decisions = f"room.deidentified.{quote_name(consent.table)}"
    newest = "WHERE decided_on IS NULL OR decided_on = newest" if consent.dated else ""
    dated = ", max(decided_on) OVER (PARTITION BY unit) AS newest" if consent.dated else ""
    agreed = (
        f"SELECT unit, bool_and(coalesce(granted, false)) AS agreed"
        f" FROM (SELECT *{dated} FROM {decisions}) {newest} GROUP BY unit"
    )
    wanted, kind = ("agreed", "SEMI JOIN") if consent.mode == "opt_in" else ("NOT agreed", "ANTI JOIN")
    return f" {kind} (SELECT unit FROM ({agreed}) WHERE {wanted}) AS decided USING (unit)"
