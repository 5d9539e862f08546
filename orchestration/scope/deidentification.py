"""Each field's technique from the charter, compiled to one SQL statement that runs in the engine.

Pseudonyms are HMAC-SHA256 (RFC 2104) under the collaboration's key, over `domain NUL normalized value`, so
that equal identifiers of different kinds never meet. The key enters as two bound variables (the inner and
outer pads), never as text; each distinct spelling is hashed once. Must not be here: where the rows come
from, or who may read them.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from orchestration.charter.entities import ENTITIES
from orchestration.charter.fields import Band, Clamp, Drop, Field, Generalize, Pseudonymize
from orchestration.charter.model import Dataset
from orchestration.engine.duck import quote_name, quote_text

_BLOCK = 64  # bytes of a SHA-256 block, RFC 2104's B


@dataclass(frozen=True)
class Deidentification:
    """`query` reads the relation it was compiled for and returns the entity's attributes."""

    query: str
    columns: tuple[str, ...]
    techniques: dict[str, str]


def bind_key(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Make the pseudonym key usable by compiled statements on this connection."""
    padded = key.ljust(_BLOCK, b"\0")
    connection.execute("SET VARIABLE hmac_inner = ?", [bytes(b ^ 0x36 for b in padded)])
    connection.execute("SET VARIABLE hmac_outer = ?", [bytes(b ^ 0x5C for b in padded)])


def compile_deidentification(dataset: Dataset, relation: str) -> Deidentification:
    """Compile the techniques of `dataset` over `relation`, a SQL table expression with its charter fields.

    The attributes keep the entity's order and types; a field with technique `drop` is not selected.
    """
    types = ENTITIES[dataset.entity].attributes
    by_attribute = {
        field.attribute: field
        for field in dataset.fields
        if field.attribute is not None and not isinstance(field.technique, Drop)
    }
    ordered = [(name, by_attribute[name]) for name in types if name in by_attribute]

    pseudonymized = [field for _, field in ordered if isinstance(field.technique, Pseudonymize)]
    lookups = [_lookup(field) for field in pseudonymized]
    joins = [
        f"LEFT JOIN {_lookup_name(field)} ON {_lookup_name(field)}.spelling = source.{quote_name(field.name)}"
        for field in pseudonymized
    ]
    columns = ", ".join(
        f"CAST({_expression(field)} AS {types[name]}) AS {quote_name(name)}" for name, field in ordered
    )
    # Reading the file again for each lookup is cheaper, in time and memory, than keeping all its rows.
    with_clause = ", ".join([f"source AS NOT MATERIALIZED (SELECT * FROM {relation})", *lookups])
    return Deidentification(
        query=f"WITH {with_clause} SELECT {columns} FROM source {' '.join(joins)}",
        columns=tuple(name for name, _ in ordered),
        techniques={name: field.technique.kind for name, field in ordered},
    )


def _expression(field: Field) -> str:
    name = f"source.{quote_name(field.name)}"
    match field.technique:
        case Pseudonymize():
            return f"{_lookup_name(field)}.pseudonym"
        case Generalize(to=unit) if unit is not None:
            return f"date_trunc('{unit}', {name})"
        case Generalize(bands=bands):
            arms = " ".join(f"WHEN {_within(name, band)} THEN {quote_text(band.label)}" for band in bands)
            return f"CASE {arms} END"
        case Clamp(low=low, high=high):
            return _clamped(name, low, high)
        case _:
            return name


def _clamped(name: str, low: object, high: object) -> str:
    """NULL stays NULL: `greatest` and `least` would turn it into a bound."""
    return f"CASE WHEN {name} < {low} THEN {low} WHEN {name} > {high} THEN {high} ELSE {name} END"


def _lookup_name(field: Field) -> str:
    return f"pseudonym_{field.attribute}"


def _lookup(field: Field) -> str:
    """A CTE that maps each distinct spelling of an identifier to its pseudonym, 64 hex digits.

    Normalizing and hashing happen once per spelling and not once per row.
    """
    technique = field.technique
    assert isinstance(technique, Pseudonymize)  # noqa: S101  narrows the type; callers filter
    message = f"encode({quote_text(technique.domain)}) || '\\x00'::BLOB || encode({_normalized(technique)})"
    inner = f"unhex(sha256(getvariable('hmac_inner') || {message}))"
    return (
        f"{_lookup_name(field)} AS (SELECT spelling,"
        f" sha256(getvariable('hmac_outer') || {inner}) AS pseudonym"
        f" FROM (SELECT DISTINCT source.{quote_name(field.name)} AS spelling FROM source)"
        " WHERE spelling IS NOT NULL)"
    )


def _normalized(technique: Pseudonymize) -> str:
    """Unicode NFC without surrounding blanks; e-mail addresses in lower case."""
    text = "nfc_normalize(trim(CAST(spelling AS VARCHAR)))"
    return f"lower({text})" if technique.normalize == "email" else text


def _within(name: str, band: Band) -> str:
    tests = [f"{name} >= {band.low}"] if band.low is not None else []
    tests += [f"{name} < {band.high}"] if band.high is not None else []
    return " AND ".join(tests) or f"{name} IS NOT NULL"
