"""Rules inside one dataset: its fields against its entity, their types, limits and techniques.

Must not be here: rules that need another part of the charter (`checks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from orchestration.charter.entities import ENTITIES, UNIT, UNITS
from orchestration.charter.fields import SQL_TYPES, Drop, Field, Pass, Pseudonymize
from orchestration.charter.findings import Finding, Names
from orchestration.charter.mistakes import did_you_mean
from orchestration.charter.model import Charter, Dataset
from orchestration.charter.technique_checks import DATES, NUMBERS, check_technique, exact, order
from orchestration.charter.techniques import TECHNIQUES, DateShift


def check_fields(charter: Charter, dataset: Dataset, path: Names) -> Iterator[Finding]:
    """Everything wrong with the fields of `dataset`, whose own path is `path`."""
    here = (*path, "fields")
    for field in dataset.fields:
        at = (*here, field.name)
        yield from _attribute(dataset, field, at)
        yield from check_technique(field, at)
        yield from _limits(field, at)
        if field.attribute == UNIT:
            yield from _unit(charter, field, at)
    yield from _doubles(dataset, here)
    yield from _shifts(dataset, here)
    if ENTITIES[dataset.entity].aggregated:
        yield from _aggregated(charter, dataset, path)
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
        field.technique.kind in TECHNIQUES[field.type]
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
        Decimal if field.type in NUMBERS else date if field.type in DATES else None
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
            yield from exact(field, (*at, key), bound)
    if comparable and field.minimum is not None and field.maximum is not None:
        yield from order((*at, "minimum"), field.minimum, field.maximum, "minimum", "maximum")


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


def _aggregated(charter: Charter, dataset: Dataset, path: Names) -> Iterator[Finding]:
    """Rows that came aggregated are about nobody by name, and say how many stand behind them."""
    here = (*path, "fields")
    for field in dataset.fields:
        if field.classification == "direct_identifier":
            message = "A row that came aggregated is about nobody in particular: it has no direct identifier."
            yield Finding((*here, field.name, "classification"), message, needs=here)
    if dataset.threshold is None:
        message = (
            f"'threshold' is missing: how many times a {charter.privacy_unit} must stand behind each row?"
        )
        yield Finding(path, message, (f"{charter.output.aggregation_threshold} or more",), ("output",))
    counted = next((field for field in dataset.fields if field.attribute == UNITS), None)
    if counted is None:
        message = f"No field becomes '{UNITS}': how many privacy units stand behind each row?"
        yield Finding(here, message, (f"an integer with as: {UNITS}",), needs=here)
    elif not counted.required or not isinstance(counted.technique, Pass):
        message = f"'{UNITS}' must be required and passed: a count that was changed protects nobody."
        yield Finding((*here, counted.name), message, ("required: true, technique: pass",))


def _shifts(dataset: Dataset, here: Names) -> Iterator[Finding]:
    """A date can only be shifted along with its privacy unit's other dates."""
    if not ENTITIES[dataset.entity].privacy_unit:
        for field in dataset.fields:
            if isinstance(field.technique, DateShift):
                message = f"A {dataset.entity} has no privacy unit whose dates could be shifted alike."
                yield Finding((*here, field.name, "technique"), message, TECHNIQUES[field.type])


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
