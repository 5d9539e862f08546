"""Each field's technique from the charter, compiled to one SQL statement that runs in the engine.

Three statements, because data comes two ways. A contributor's own desk prepares (`compile_preparation`): all
techniques, and pseudonyms under the collaboration's key. The room blinds what was prepared
(`compile_blinding`): the same pseudonyms once more under a key that never leaves the house. Raw data takes
both steps at once (`compile_deidentification`), to the same result. Must not be here: where the rows come
from, who may read them, how a pseudonym is made (`pseudonymization`).
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.charter.entities import ENTITIES, UNIT
from orchestration.charter.fields import Drop, Field, Pseudonymize
from orchestration.charter.model import Dataset
from orchestration.charter.techniques import DateShift
from orchestration.engine.duck import quote_name
from orchestration.scope.pseudonymization import Layer, Lookup
from orchestration.scope.techniques.form import Form, Place, form


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
    forms = {}
    for name, field in kept.items():
        forms[name] = Form(f"source.{quote_name(name)}")
        if isinstance(field.technique, Pseudonymize):
            lookup = Lookup(name, name, field.technique, ("blinding",), prepared=True)
            forms[name] = Form(lookup.pseudonym, lookup.table, lookup.join)
    return _compiled(dataset, relation, forms)


def _from_fields(dataset: Dataset, relation: str, layers: tuple[Layer, ...]) -> Deidentification:
    """`relation`: a SQL table expression with the dataset's charter fields."""
    kept = _kept(dataset)
    place = Place(layers, _unit(kept, layers))
    return _compiled(dataset, relation, {name: form(field, place) for name, field in kept.items()})


def _unit(kept: dict[str, Field], layers: tuple[Layer, ...]) -> Lookup | None:
    """The lookup of the privacy unit's pseudonyms, with shifts where a date is shifted."""
    field = kept.get(UNIT)
    if field is None or not isinstance(field.technique, Pseudonymize):
        return None
    days = [each.technique.days for each in kept.values() if isinstance(each.technique, DateShift)]
    return Lookup(UNIT, field.name, field.technique, layers, shift_days=days[0] if days else None)


def _kept(dataset: Dataset) -> dict[str, Field]:
    """The fields that reach the room, by attribute, in the entity's order."""
    by_attribute = {
        field.attribute: field
        for field in dataset.fields
        if field.attribute is not None and not isinstance(field.technique, Drop)
    }
    return {name: by_attribute[name] for name in ENTITIES[dataset.entity].attributes if name in by_attribute}


def _compiled(dataset: Dataset, relation: str, forms: dict[str, Form]) -> Deidentification:
    types = ENTITIES[dataset.entity].attributes
    columns = ", ".join(
        f"CAST({form.expression} AS {types[name]}) AS {quote_name(name)}" for name, form in forms.items()
    )
    # Reading the file again for each lookup is cheaper, in time and memory, than keeping all its rows.
    source = f"source AS NOT MATERIALIZED (SELECT * FROM {relation})"
    tables = ", ".join([source, *(each.table for each in forms.values() if each.table)])
    joins = " ".join(each.join for each in forms.values() if each.join)
    return Deidentification(
        query=f"WITH {tables} SELECT {columns} FROM source {joins}",
        columns=tuple(forms),
        techniques={name: field.technique.kind for name, field in _kept(dataset).items()},
    )
