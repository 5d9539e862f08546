"""A dataset as an Open Data Contract Standard document, so that other catalogs can read it.

Source: Bitol ODCS v3.1.0. Belongs here: where each clause of a dataset goes. What the standard has no place
for stands in custom properties whose names begin with `glasshouse`, so that nothing is lost on the way back
(`odcs_import`). Must not be here: values of data; an example of a value is never given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from open_data_contract_standard.model import (
    CustomProperty,
    DataQuality,
    Description,
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
    ServiceLevelAgreementProperty,
    Team,
    TeamMember,
)

from orchestration.audit.catalog.usage import computations_of
from orchestration.charter.enforcement_wording import technique as in_words
from orchestration.charter.fields import FieldType
from orchestration.charter.model import Charter, Dataset
from orchestration.charter.model import Field as CharterField
from orchestration.charter.taxonomy import TAXONOMY

API_VERSION = "v3.1.0"
PREFIX = "glasshouse"
LOGICAL_TYPES: Mapping[FieldType, str] = {
    "string": "string",
    "integer": "integer",
    "decimal": "number",
    "date": "date",
    "timestamp": "timestamp",
    "boolean": "boolean",
}
# What has a place of its own in the standard; every other clause becomes a custom property.
DATASET_PLACES = frozenset({"id", "title", "description", "unique_key", "fields"})
FIELD_PLACES = frozenset(
    {"name", "type", "required", "classification", "max_length", "minimum", "maximum", "values"}
)


def contract(charter: Charter, dataset: Dataset) -> OpenDataContractStandard:
    """The contract of one dataset under one version of the charter."""
    owner = charter.participant(dataset.participant)
    stewards = [each for each in owner.members if "steward" in each.roles]
    asked = ", ".join(each.template for each in computations_of(charter, dataset)) or "no computation yet"
    redistribution = "may" if dataset.license.redistribution else "may not"
    said: dict[str, Any] = dataset.model_dump(mode="json", by_alias=True, exclude_none=True)
    return OpenDataContractStandard(
        apiVersion=API_VERSION,
        kind="DataContract",
        id=f"{charter.collaboration}.{dataset.id}",
        name=dataset.title,
        version=str(charter.version),
        status="active",
        tenant=dataset.participant,
        domain=charter.collaboration,
        description=Description(
            purpose="; ".join(charter.purpose(each).title for each in dataset.purposes),
            usage=f"Read by {asked}. {dataset.license.id}: {dataset.license.terms}",
            limitations="; ".join(
                [
                    *(each.description.rstrip(".") for each in charter.prohibited_uses),
                    f"No cell of fewer than {_threshold(charter, dataset)} units",
                    f"It {redistribution} be passed on",
                ]
            ),
        ),
        schema=[_schema(dataset)],
        team=Team(
            name=owner.name, members=[TeamMember(username=each.id, role="steward") for each in stewards]
        ),
        slaProperties=[
            ServiceLevelAgreementProperty(
                property="retention", value=charter.retention.contributions_days, unit="d"
            )
        ],
        customProperties=[
            *_custom(said, DATASET_PLACES),
            CustomProperty(property=f"{PREFIX}CharterDigest", value=charter.digest),
            CustomProperty(property=f"{PREFIX}TaxonomyVersion", value=TAXONOMY.version),
        ],
    )


def as_yaml(found: OpenDataContractStandard) -> str:
    """The contract as the file others read."""
    text: str = found.to_yaml()
    return text


def as_document(found: OpenDataContractStandard) -> dict[str, Any]:
    """The same as one JSON object."""
    document: dict[str, Any] = found.model_dump(mode="json", by_alias=True, exclude_none=True)
    return document


def camel(name: str) -> str:
    """`max_rows` → `glasshouseMaxRows`"""
    return PREFIX + "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _schema(dataset: Dataset) -> SchemaObject:
    return SchemaObject(
        name=dataset.id,
        businessName=dataset.title,
        description=dataset.description,
        logicalType="object",
        physicalType="table",
        properties=[_property(dataset, each) for each in dataset.fields],
    )


def _property(dataset: Dataset, field: CharterField) -> SchemaProperty:
    said: dict[str, Any] = field.model_dump(mode="json", by_alias=True, exclude_none=True)
    position = dataset.unique_key.index(field.attribute) if field.attribute in dataset.unique_key else None
    options = {
        "maxLength": field.max_length,
        "minimum": _bound(field.minimum),
        "maximum": _bound(field.maximum),
    }
    stated = {name: value for name, value in options.items() if value is not None}
    return SchemaProperty(
        name=field.name,
        logicalType=LOGICAL_TYPES[field.type],
        physicalType=field.sql_type,
        logicalTypeOptions=stated or None,
        required=field.required,
        classification=field.classification,
        primaryKey=True if position is not None else None,
        primaryKeyPosition=position + 1 if position is not None else None,
        transformDescription=in_words(said["technique"]),
        quality=[_closed_set(field)] if field.values else None,
        customProperties=[
            *_custom(said, FIELD_PLACES),
            *(
                CustomProperty(property=camel(name), value=str(exact))
                for name, exact in (("minimum", field.minimum), ("maximum", field.maximum))
                if isinstance(exact, Decimal) and Decimal(str(_bound(exact))) != exact
            ),
        ],
    )


def _closed_set(field: CharterField) -> DataQuality:
    """The values that the charter itself names; a row with another one goes to quarantine."""
    return DataQuality(
        type="library",
        metric="invalidValues",
        arguments={"validValues": list(field.values)},
        mustBe=0,
        dimension="conformity",
    )


def _bound(bound: Any) -> int | float | str | None:
    if isinstance(bound, Decimal):
        return int(bound) if bound == bound.to_integral_value() else float(bound)
    return None if bound is None else str(bound)


def _custom(said: Mapping[str, Any], places: frozenset[str]) -> Iterator[CustomProperty]:
    for name, value in said.items():
        if name not in places and value not in ([], None):
            yield CustomProperty(property=camel(name), value=value)


def _threshold(charter: Charter, dataset: Dataset) -> int:
    return max(charter.output.aggregation_threshold, dataset.threshold or 0)
