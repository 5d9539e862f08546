"""Data contracts: ours hold against the standard and come back whole; others' lose nothing unsaid."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.audit.catalog import odcs
from orchestration.audit.catalog.odcs_import import as_yaml, import_contract
from orchestration.charter import parse_charter
from orchestration.charter.model import Charter, Dataset
from orchestration.charter.yaml_reader import read_yaml
from orchestration.errors import ConfigError
from tests.tiny_charter import CHARTER
from tests.unit.charter.charter_text import GROCERY, STARTED, named

TINY = parse_charter(CHARTER.encode())
SCHEMA = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text())
EVERY = [(charter, each) for charter in (GROCERY, TINY, STARTED) for each in charter.datasets]
IDS = [f"{charter.collaboration}.{each.id}" for charter, each in EVERY]
FOREIGN = b"""
kind: DataContract
apiVersion: v3.1.0
id: 53581432-6c55-4ba2-a65f-72344a91553a
version: 1.1.0
status: active
name: Shop orders
servers: [{server: live, type: postgres, host: db.example}]
schema:
  - name: orders
    description: One row per order.
    properties:
      - {name: email, logicalType: string, classification: restricted, examples: [a@b.example]}
      - {name: placed_on, logicalType: date, required: true, classification: quasi_identifier}
      - {name: total, logicalType: number, logicalTypeOptions: {minimum: 0, multipleOf: 0.01}}
      - {name: lines, logicalType: array, items: {logicalType: string}}
"""


@pytest.mark.parametrize(("charter", "dataset"), EVERY, ids=IDS)
def test_a_contract_holds_against_the_standard(charter: Charter, dataset: Dataset) -> None:
    document = odcs.as_document(odcs.contract(charter, dataset))
    jsonschema.Draft201909Validator(SCHEMA).validate(document)
    assert document["apiVersion"] == "v3.1.0"
    assert "examples" not in json.dumps(document)


def test_residency_travels_as_a_custom_property_and_comes_back() -> None:
    bound = TINY.dataset("sales").model_copy(update={"residency": ("DE", "FR")})
    contract = odcs.contract(TINY, bound)
    said = {each.property: each.value for each in contract.customProperties or ()}
    assert said["glasshouseResidency"] == ["DE", "FR"]
    [found] = import_contract(odcs.as_yaml(contract).encode())
    assert found.dataset == bound


@pytest.mark.parametrize(("charter", "dataset"), EVERY, ids=IDS)
def test_a_dataset_comes_back_whole(charter: Charter, dataset: Dataset) -> None:
    [found] = import_contract(odcs.as_yaml(odcs.contract(charter, dataset)).encode())
    assert found.dataset == dataset
    assert found.missing == found.unclassified == ()


@pytest.mark.parametrize(("charter", "dataset"), EVERY, ids=IDS)
def test_the_clause_can_be_pasted_into_a_charter(charter: Charter, dataset: Dataset) -> None:
    [found] = import_contract(odcs.as_yaml(odcs.contract(charter, dataset)).encode())
    [clause] = read_yaml(as_yaml(found).encode()).value
    assert Dataset.model_validate(clause, by_alias=True, by_name=False) == dataset


@given(
    minimum=st.decimals(-(10**12), 10**12, places=2, allow_nan=False, allow_infinity=False),
    longest=st.integers(1, 10_000),
    values=st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20), unique=True),
)
def test_limits_come_back_to_the_digit(minimum: object, longest: int, values: list[str]) -> None:
    dataset = GROCERY.dataset("transactions").model_dump(mode="json", by_alias=True, exclude_none=True)
    named(dataset["fields"], "sales_value").update(minimum=str(minimum), maximum="9999999999999999.01")
    named(dataset["fields"], "store_id").update(max_length=longest, values=values)
    changed = Dataset.model_validate_json(json.dumps(dataset))
    [found] = import_contract(odcs.as_yaml(odcs.contract(GROCERY, changed)).encode())
    assert found.dataset == changed


def test_anothers_contract_becomes_a_clause_that_says_what_is_missing() -> None:
    [found] = import_contract(FOREIGN)
    assert found.dataset is None
    assert {"participant", "entity", "purposes", "lawful_basis", "license"} <= set(found.missing)
    assert [each["name"] for each in found.clause["fields"]] == ["email", "placed_on", "total"]
    assert set(found.lost) == {
        "servers",
        "schema.orders.lines",
        "schema.orders.email.examples",
        "schema.orders.total.logicalTypeOptions.multipleOf",
    }


def test_what_nobody_classified_is_dropped() -> None:
    [found] = import_contract(FOREIGN)
    assert found.unclassified == ("email", "total")
    email = named(found.clause["fields"], "email")
    assert email["classification"] == "free_text"
    assert "technique" not in email  # the taxonomy's default for free text: drop
    assert "a@b.example" not in as_yaml(found)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"- a list",
        b"kind: DataContract",
        b"kind: DataContract\napiVersion: v2.2.2\nschema: []",
        b"kind: DataContract\napiVersion: v3.1.0\nschema: []",
        b"kind: DataContract\napiVersion: v3.1.0\nsecret_key: 5",
        b"kind: DataContract\napiVersion: v3.1.0\nschema: [{name: x, properties: [{name: 5}]}]",
        b"kind: DataContract\napiVersion: v3.1.0\nschema: {name: x}",
        b"kind: &a DataContract",
        b"\xff\xfe",
    ],
)
def test_what_is_no_contract_is_refused_without_quoting_it(text: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        import_contract(text)
    assert caught.value.code == "odcs.unreadable"
    assert "secret_key" not in str(caught.value)


def test_several_objects_become_several_clauses() -> None:
    other = b"  - {name: refunds, properties: [{name: day, logicalType: date}]}\n"
    assert [each.clause["id"] for each in import_contract(FOREIGN + other)] == ["orders", "refunds"]


def test_bounds_are_written_without_quotes() -> None:
    [found] = import_contract(odcs.as_yaml(odcs.contract(TINY, TINY.dataset("sales"))).encode())
    [clause] = read_yaml(as_yaml(found).encode()).value
    assert named(clause["fields"], "sold_at")["minimum"] == date(2024, 1, 1)
    assert named(clause["fields"], "quantity")["technique"]["high"] == 100
