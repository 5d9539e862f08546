"""Rules inside one dataset: its fields against its entity, their types, limits and techniques.

Must not be here: rules that need another part of the charter (`checks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from orchestration.charter.entities import ENTITIES, UNIT
from orchestration.charter.fields import (
    SQL_TYPES,
    Clamp,
    Drop,
    Field,
    FieldType,
    Generalize,
    Pseudonymize,
    TechniqueKind,
)
from orchestration.charter.findings import Finding, Names
from orchestration.charter.mistakes import did_you_mean
from orchestration.charter.model import Charter, Dataset
from orchestration.charter.taxonomy import CLASSES

_TECHNIQUES: dict[FieldType, tuple[TechniqueKind, ...]] = {
    "string": ("pass", "drop", "pseudonymize"),
    "integer": ("pass", "drop", "clamp", "generalize"),
    "decimal": ("pass", "drop", "clamp", "generalize"),
    "date": ("pass", "drop", "generalize"),
    "timestamp": ("pass", "drop", "generalize"),
    "boolean": ("pass", "drop"),
}
_NUMBERS = ("integer", "decimal")
_DATES = ("date", "timestamp")


def check_fields(charter: Charter, dataset: Dataset, path: Names) -> Iterator[Finding]:
    """Everything wrong with the fields of `dataset`, whose own path is `path`."""
    here = (*path, "fields")
    for field in dataset.fields:
        at = (*here, field.name)
        yield from _attribute(dataset, field, at)
        yield from _technique(field, at)
        yield from _limits(field, at)
        if field.attribute == UNIT:
            yield from _unit(charter, field, at)
    yield from _doubles(dataset, here)
    mapped = [field.attribute for field in dataset.fields if field.attribute is not None]
    if ENTITIES[dataset.entity].privacy_unit and UNIT not in mapped:
        message = f"A {dataset.entity} is about a {charter.privacy_unit}, but no field becomes '{UNIT}'."
        yield Finding(here, message, (f"a direct identifier with as: {UNIT}",), needs=here)
    for attribute in dataset.unique_key:
        if attribute not in mapped:
            message = f"unique_key names '{attribute}', which no field becomes."
            yield Finding((*path, "unique_key"), message, tuple(mapped), needs=here)


def _attribute(dataset: Dataset, field: Field, at: Names) -> Iterator[Finding]:
    attributes = ENTITIES[dataset.entity].attributes
    if isinstance(field.technique, Drop):
        if field.attribute is not None:
            message = "A dropped field becomes nothing: leave out 'as', or choose another technique."
            yield Finding((*at, "as"), message)
        return
    if field.attribute is None:
        message = f"'as' is missing: which attribute of {dataset.entity} does it become?"
        yield Finding(at, message, tuple(attributes))
    elif field.attribute not in attributes:
        hint = did_you_mean(field.attribute, attributes)
        message = f"A {dataset.entity} has no attribute '{field.attribute}'.{hint}"
        yield Finding((*at, "as"), message, tuple(attributes))
    elif (
        field.technique.kind in _TECHNIQUES[field.type]
        and field.deidentified_type != attributes[field.attribute]
    ):
        expected = attributes[field.attribute]
        message = (
            f"'{field.attribute}' is {expected}, but {field.type} after "
            f"{field.technique.kind} is {field.deidentified_type}."
        )
        yield Finding((*at, "type"), message, _fitting(expected))


def _fitting(expected: str) -> tuple[str, ...]:
    """Field types, with the technique where one is needed, whose result is `expected`."""
    fits: list[str] = [name for name, sql_type in SQL_TYPES.items() if sql_type == expected]
    if expected == "DATE":
        fits.append("timestamp with generalize to day")
    if expected == "VARCHAR":
        fits.append("a number with generalize to bands")
    return tuple(fits)


def _technique(field: Field, at: Names) -> Iterator[Finding]:
    here, technique = (*at, "technique"), field.technique
    found = CLASSES[field.classification]
    if found.techniques and technique.kind not in found.techniques:
        message = f"A {found.title.lower()} would survive with technique '{technique.kind}'."
        yield Finding(here, message, found.techniques)
    elif technique.kind not in _TECHNIQUES[field.type]:
        message = f"'{technique.kind}' cannot be applied to {field.type}."
        yield Finding(here, message, _TECHNIQUES[field.type])
    elif isinstance(technique, Clamp):
        yield from _order((*here, "low"), technique.low, technique.high, "low", "high")
        yield from _exact(field, (*here, "low"), technique.low)
        yield from _exact(field, (*here, "high"), technique.high)
    elif isinstance(technique, Generalize):
        yield from _generalize(field, technique, here)


def _generalize(field: Field, technique: Generalize, here: Names) -> Iterator[Finding]:
    if field.type in _DATES and (technique.to is None or technique.bands):
        yield Finding(here, f"A {field.type} is generalized with 'to'.", ("day", "week", "month", "year"))
    elif field.type in _NUMBERS and (technique.to is not None or not technique.bands):
        yield Finding(
            here, "A number is generalized with 'bands'.", ("{label: text, from: low, until: high}",)
        )
    seen: Decimal | None = None
    for position, band in enumerate(technique.bands):
        at = (*here, "bands", band.label)
        if position and (band.low is None or seen is None or band.low < seen):
            message = "Bands must rise without overlap; only the first may lack 'from', the last 'until'."
            yield Finding(at, message)
        if band.low is not None and band.high is not None and band.low >= band.high:
            yield Finding(at, "'from' must be below 'until'.")
        seen = band.high


def _limits(field: Field, at: Names) -> Iterator[Finding]:
    if field.type != "string":
        for key, stated in (("max_length", field.max_length), ("values", field.values)):
            if stated:
                yield Finding(
                    (*at, key), f"'{key}' limits strings, not {field.type}.", ("minimum", "maximum")
                )
    too_long = [value for value in field.values if field.max_length and len(value) > field.max_length]
    if too_long:
        yield Finding((*at, "values"), f"'{too_long[0]}' is longer than max_length.")
    kind: type[Decimal] | type[date] | None = (
        Decimal if field.type in _NUMBERS else date if field.type in _DATES else None
    )
    comparable = True
    for key, bound in (("minimum", field.minimum), ("maximum", field.maximum)):
        if bound is None:
            continue
        if kind is None:
            comparable = False
            yield Finding((*at, key), f"'{key}' limits numbers and dates, not {field.type}.")
        elif not isinstance(bound, kind):
            comparable = False
            wanted = "a number" if kind is Decimal else "a date such as 2026-01-31"
            yield Finding((*at, key), f"'{key}' of {field.type} must be {wanted}.")
        else:
            yield from _exact(field, (*at, key), bound)
    if comparable and field.minimum is not None and field.maximum is not None:
        yield from _order((*at, "minimum"), field.minimum, field.maximum, "minimum", "maximum")


def _order(at: Names, low: Decimal | date, high: Decimal | date, *keys: str) -> Iterator[Finding]:
    if low > high:  # type: ignore[operator]  # callers pass two of one kind
        yield Finding(at, f"'{keys[0]}' is above '{keys[1]}'.")


def _exact(field: Field, at: Names, bound: Decimal | date) -> Iterator[Finding]:
    """A bound that the type cannot hold would be rounded in silence."""
    places = {"integer": 0, "decimal": 2}.get(field.type)
    if isinstance(bound, Decimal) and places is not None and round(bound, places) != bound:
        wanted = "a whole number" if places == 0 else "a number with at most two decimals"
        yield Finding(at, f"The bound of {field.type} must be {wanted}.")


def _unit(charter: Charter, field: Field, at: Names) -> Iterator[Finding]:
    """Whose privacy is protected must be known in every row, and under one pseudonym everywhere."""
    if field.classification != "direct_identifier":
        message = f"'{UNIT}' identifies a {charter.privacy_unit}."
        yield Finding((*at, "classification"), message, ("direct_identifier",))
    if not field.required:
        message = f"'{UNIT}' must be required: a row of nobody cannot be protected."
        yield Finding((*at, "required"), message, ("true",))
    if isinstance(field.technique, Pseudonymize) and field.technique.domain != charter.privacy_unit:
        message = f"The domain of '{UNIT}' must be the privacy unit, or datasets would not join."
        where = (*at, "technique", "domain")
        yield Finding(where, message, (charter.privacy_unit,), needs=("privacy_unit",))


def _doubles(dataset: Dataset, here: Names) -> Iterator[Finding]:
    attributes: dict[str, str] = {}
    columns: dict[str, str] = {}
    for field in dataset.fields:
        if field.attribute is not None:
            first = attributes.setdefault(field.attribute, field.name)
            if first != field.name:
                message = f"'{first}' already becomes '{field.attribute}'."
                free = tuple(name for name in ENTITIES[dataset.entity].attributes if name not in attributes)
                yield Finding((*here, field.name, "as"), message, free)
        first = columns.setdefault(field.name.casefold(), field.name)
        if first != field.name:  # the engine's column names ignore case
            yield Finding((*here, field.name, "name"), f"This is the column '{first}' again, in other case.")
