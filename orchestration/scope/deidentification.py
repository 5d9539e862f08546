"""Each field's technique from the charter, compiled to one SQL statement that runs in the engine.

Three statements, because data comes two ways. A contributor's own desk prepares (`compile_preparation`): all
techniques, and pseudonyms under the collaboration's key. The room blinds what was prepared
(`compile_blinding`): the same pseudonyms once more under a key that never leaves the house. Raw data takes
both steps at once (`compile_deidentification`), to the same result. Must not be here: where the rows come
from, who may read them, how a pseudonym is made (`pseudonymization`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.charter.entities import ENTITIES
from orchestration.charter.fields import Band, Clamp, Drop, Field, Generalize, Pseudonymize
from orchestration.charter.model import Dataset
from orchestration.engine.duck import quote_name, quote_text
from orchestration.scope.pseudonymization import Layer, Lookup


@dataclass(frozen=True)
class Deidentification:
    """`query` reads the relation it was compiled for and returns the entity's attributes."""

    query: str
    columns: tuple[str, ...]
    techniques: dict[str, str]


def compile_preparation(dataset: Dataset, relation: str) -> Deidentification:
    """Charter fields in `relation` to attributes with desk pseudonyms; needs that key bound."""
    return _from_fields(dataset, relation, ("collaboration",))


def compile_deidentification(dataset: Dataset, relation: str) -> Deidentification:
    """Charter fields in `relation` to attributes with blinded pseudonyms; needs both keys bound.

    The attributes keep the entity's order and types; a field with technique `drop` is not selected.
    """
    return _from_fields(dataset, relation, ("collaboration", "blinding"))


def compile_blinding(dataset: Dataset, relation: str) -> Deidentification:
    """Prepared attributes in `relation` to the same with blinded pseudonyms; needs the blinding key bound."""
    kept = _kept(dataset)
    lookups = {
        name: Lookup(name, name, field.technique, ("blinding",), prepared=True)
        for name, field in kept.items()
        if isinstance(field.technique, Pseudonymize)
    }
    expressions = {
        name: lookups[name].pseudonym if name in lookups else f"source.{quote_name(name)}" for name in kept
    }
    return _compiled(dataset, relation, expressions, tuple(lookups.values()))


def _from_fields(dataset: Dataset, relation: str, layers: Sequence[Layer]) -> Deidentification:
    """`relation`: a SQL table expression with the dataset's charter fields."""
    kept = _kept(dataset)
    lookups = {
        name: Lookup(name, field.name, field.technique, tuple(layers))
        for name, field in kept.items()
        if isinstance(field.technique, Pseudonymize)
    }
    expressions = {
        name: lookups[name].pseudonym if name in lookups else _expression(field)
        for name, field in kept.items()
    }
    return _compiled(dataset, relation, expressions, tuple(lookups.values()))


def _kept(dataset: Dataset) -> dict[str, Field]:
    """The fields that reach the room, by attribute, in the entity's order."""
    by_attribute = {
        field.attribute: field
        for field in dataset.fields
        if field.attribute is not None and not isinstance(field.technique, Drop)
    }
    return {name: by_attribute[name] for name in ENTITIES[dataset.entity].attributes if name in by_attribute}


def _compiled(
    dataset: Dataset, relation: str, expressions: dict[str, str], lookups: tuple[Lookup, ...]
) -> Deidentification:
    types = ENTITIES[dataset.entity].attributes
    columns = ", ".join(
        f"CAST({expression} AS {types[name]}) AS {quote_name(name)}"
        for name, expression in expressions.items()
    )
    # Reading the file again for each lookup is cheaper, in time and memory, than keeping all its rows.
    tables = [f"source AS NOT MATERIALIZED (SELECT * FROM {relation})", *(each.table for each in lookups)]
    joins = " ".join(each.join for each in lookups)
    return Deidentification(
        query=f"WITH {', '.join(tables)} SELECT {columns} FROM source {joins}",
        columns=tuple(expressions),
        techniques={name: field.technique.kind for name, field in _kept(dataset).items()},
    )


def _expression(field: Field) -> str:
    name = f"source.{quote_name(field.name)}"
    match field.technique:
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


def _within(name: str, band: Band) -> str:
    tests = [f"{name} >= {band.low}"] if band.low is not None else []
    tests += [f"{name} < {band.high}"] if band.high is not None else []
    return " AND ".join(tests) or f"{name} IS NOT NULL"
