"""A dataset clause of a charter from an Open Data Contract Standard document.

Belongs here: reading a contract of version 3, ours or others', and saying what has no place in a charter.
Must not be here: guesses. A field that nobody classified becomes free text, which is dropped, until somebody
classifies it; examples of values are never taken over.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import ValidationError
from ruamel.yaml import YAML

from orchestration.audit.catalog.odcs import LOGICAL_TYPES, PREFIX, camel
from orchestration.charter.fields import Field
from orchestration.charter.model import Dataset
from orchestration.charter.taxonomy import CLASSES
from orchestration.charter.yaml_reader import read_yaml
from orchestration.errors import ConfigError, Reason

UNREADABLE = Reason(
    "odcs.unreadable",
    "This is not a data contract of ODCS version 3: {why}.",
    "Give a file with `kind: DataContract`, `apiVersion: v3.…` and at least one object under `schema`.",
)

_TYPES = {logical: own for own, logical in LOGICAL_TYPES.items()}
_TO_BE_CLASSIFIED = "free_text"
_NEEDED = [name for name, each in Dataset.model_fields.items() if each.is_required()]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WHOLE = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"-?\d{1,18}\.\d{1,6}")
# What the import reads, by level; anything else that is stated is listed as having no counterpart.
_READ_TOP = {"apiVersion", "kind", "id", "name", "version", "status", "tenant", "domain", "schema"}
_TOP = {each.alias or name for name, each in OpenDataContractStandard.model_fields.items()}
_READ_OBJECT = {"name", "id", "businessName", "description", "logicalType", "physicalType", "properties"}
_READ_PROPERTY = {
    *("id", "name", "logicalType", "physicalType", "logicalTypeOptions", "required", "classification"),
    *("primaryKey", "primaryKeyPosition", "transformDescription", "quality", "customProperties"),
}
_READ_OPTIONS = {"maxLength", "minimum", "maximum"}


@dataclass(frozen=True)
class Imported:
    """`clause` as a charter writes it; `dataset` when it is whole. `missing` has to be added by hand.

    `unclassified` are fields that are dropped until somebody classifies them; `lost` are paths of the
    contract that have no counterpart in a dataset clause.
    """

    clause: dict[str, Any]
    dataset: Dataset | None
    missing: tuple[str, ...]
    unclassified: tuple[str, ...]
    lost: tuple[str, ...]


def import_contract(data: bytes) -> tuple[Imported, ...]:
    """One clause for each object of the contract's schema.

    Raises: ConfigError (`odcs.unreadable`), which never quotes the file.
    """
    document = read_yaml(data)
    value: Any = document.value
    if document.refused is not None or not isinstance(value, dict):
        raise ConfigError(UNREADABLE, why="it is no YAML mapping")
    if value.get("kind") != "DataContract" or not str(value.get("apiVersion", "")).startswith("v3."):
        raise ConfigError(UNREADABLE, why="kind or apiVersion is another")
    try:
        OpenDataContractStandard.model_validate(value)
    except ValidationError as error:
        place = error.errors(include_input=False, include_url=False)[0]["loc"][0]
        known = (
            place if place in OpenDataContractStandard.model_fields else "a key the standard does not have"
        )
        raise ConfigError(UNREADABLE, why=f"{known} is not as the standard says") from None
    objects = [each for each in value.get("schema") or () if each.get("properties")]
    if not objects:
        raise ConfigError(UNREADABLE, why="its schema has no object with properties")
    # Clauses of ours were written for the whole contract: with one object they are that object's.
    own = _own(value) if len(objects) == 1 else {}
    return tuple(_imported(value, each, own) for each in objects)


def as_yaml(found: Imported) -> str:
    """The clause as text to paste under `datasets:` of a charter."""
    writer = YAML()
    writer.width = 100
    writer.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    for heading, names in (
        ("To be added by hand", found.missing),
        ("Dropped until somebody classifies them", found.unclassified),
        ("Without a counterpart in a charter", found.lost),
    ):
        if names:
            text.write(f"# {heading}: {', '.join(names)}\n")
    writer.dump([_plain(found.clause)], text)
    return text.getvalue()


def _imported(contract: Mapping[str, Any], schema: Mapping[str, Any], own: dict[str, Any]) -> Imported:
    unclassified: list[str] = []
    lost = [f"{each}" for each in contract if each not in _READ_TOP | {"customProperties"} and contract[each]]
    lost += [*_foreign(contract, "")]
    fields: list[dict[str, Any]] = []
    keys: dict[int, str] = {}
    for each in schema["properties"]:
        path = f"schema.{schema.get('name', '?')}.{each.get('name', '?')}"
        field = _field(each, path, lost, unclassified)
        if field is not None:
            fields.append(field)
            if each.get("primaryKey") and "as" in field:
                keys[each.get("primaryKeyPosition", len(keys) + 1)] = field["as"]
    lost += [f"schema.{schema.get('name', '?')}.{key}" for key in schema if key not in _READ_OBJECT]
    clause: dict[str, Any] = {
        "id": schema.get("name"),
        "participant": contract.get("tenant"),
        "title": schema.get("businessName") or contract.get("name"),
        "description": schema.get("description"),
        **own,
    }
    if keys:
        clause["unique_key"] = [keys[position] for position in sorted(keys)]
    clause = {name: value for name, value in clause.items() if value is not None} | {"fields": fields}
    missing = [name for name in _NEEDED if name not in clause]
    try:
        dataset = Dataset.model_validate_json(json.dumps(clause, default=str))
    except ValidationError as error:
        dataset = None
        wrong = dict.fromkeys(str(each["loc"][0]) for each in error.errors(include_input=False))
        missing += [name for name in wrong if name not in missing and name in Dataset.model_fields]
    order = {name: place for place, name in enumerate(Dataset.model_fields)}
    clause = dict(sorted(clause.items(), key=lambda pair: order.get(pair[0], len(order))))
    return Imported(clause, dataset, tuple(missing), tuple(unclassified), tuple(lost))


def _field(
    given: Mapping[str, Any], path: str, lost: list[str], unclassified: list[str]
) -> dict[str, Any] | None:
    """One field, or None when its type has no counterpart."""
    kind = _TYPES.get(given.get("logicalType") or "")
    if kind is None or not given.get("name"):
        lost.append(path)
        return None
    own = _own(given)
    options = given.get("logicalTypeOptions") or {}
    classification = given.get("classification")
    field: dict[str, Any] = {"name": given["name"], "type": kind}
    if given.get("required"):
        field["required"] = True
    if classification in CLASSES:
        field["classification"] = classification
    else:
        field["classification"] = _TO_BE_CLASSIFIED
        unclassified.append(str(given["name"]))
        own.pop("technique", None)
    limits = {"max_length": "maxLength", "minimum": "minimum", "maximum": "maximum"}
    field |= {key: options[there] for key, there in limits.items() if there in options}
    for check in given.get("quality") or ():
        values = (check.get("arguments") or {}).get("validValues")
        if check.get("metric") == "invalidValues" and check.get("mustBe") == 0 and isinstance(values, list):
            field["values"] = values
        else:
            lost.append(f"{path}.quality")
    lost += [f"{path}.{each}" for each in given if each not in _READ_PROPERTY]
    lost += [f"{path}.logicalTypeOptions.{each}" for each in options if each not in _READ_OPTIONS]
    lost += [*_foreign(given, path)]
    return field | own


def _own(given: Mapping[str, Any]) -> dict[str, Any]:
    """The clauses that our own export put into custom properties."""
    names = {camel(name): name for name in (*_aliases(Dataset), *_aliases(Field))}
    return {
        names[each["property"]]: each["value"]
        for each in given.get("customProperties") or ()
        if each.get("property") in names
    }


def _aliases(model: type[Dataset] | type[Field]) -> Iterator[str]:
    """What a charter calls the clauses."""
    for name, each in model.model_fields.items():
        yield each.alias or name


def _foreign(given: Mapping[str, Any], path: str) -> Iterator[str]:
    for each in given.get("customProperties") or ():
        name = str(each.get("property", "?"))
        if not name.startswith(PREFIX):
            yield f"{path}.customProperties.{name}".lstrip(".")


@cache
def _number_names() -> frozenset[str]:
    """Names of clauses that hold numbers or dates, which the canonical form spells as text."""
    found: set[str] = set()

    def walk(node: Any, name: str = "") -> None:
        if isinstance(node, list):
            for each in node:
                walk(each, name)
        elif isinstance(node, dict):
            if node.get("type") == "number" or node.get("format") == "date":
                found.add(name)
            for key, each in node.items():
                if key in ("properties", "$defs"):
                    for inner, schema in each.items():
                        walk(schema, inner)
                elif key in ("anyOf", "allOf", "oneOf", "items", "prefixItems"):
                    walk(each, name)

    walk(Dataset.model_json_schema(by_alias=True))
    return frozenset(found)


def _plain(value: Any, key: str = "") -> Any:
    """Values as a charter writes them: bounds are dates or numbers without quotes."""
    if isinstance(value, dict):
        return {name: _plain(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, key) for each in value]
    if key in _number_names() and isinstance(value, str):
        if _DATE.fullmatch(value):
            return date.fromisoformat(value)
        return int(value) if _WHOLE.fullmatch(value) else float(value) if _NUMBER.fullmatch(value) else value
    return value
