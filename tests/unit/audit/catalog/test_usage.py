"""Which computation uses which field, and which fields nobody needs."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.audit.catalog.usage import computations_of, roles_of, unused, uses
from orchestration.charter import ENTITIES, parse_charter
from orchestration.computation.template import load_templates
from tests.tiny_charter import CHARTER
from tests.unit.charter.charter_text import GROCERY, changed_grocery, named

TINY = parse_charter(CHARTER.encode())


def test_every_use_is_of_an_attribute_that_the_template_declares_to_read() -> None:
    templates = load_templates()
    for use in uses():
        assert use.attribute in ENTITIES[use.entity].attributes
        template = templates[use.template]
        choices = [choice for each in template.parameters for choice in each.choices.values()]
        assert use.entity in {*template.reads, *(read for choice in choices for read in choice.reads)}


@pytest.mark.parametrize("template", load_templates())
def test_every_template_counts_privacy_units(template: str) -> None:
    assert any(use.role == "privacy_unit" for use in uses() if use.template == template)


@pytest.mark.parametrize(
    ("dataset", "field", "expected"),
    [
        ("transactions", "sales_value", {"joint_segmentation": ("measure",)}),
        ("demographics", "income", {"joint_segmentation": ("dimension",)}),
        ("campaigns", "campaign_id", {"campaign_response": ("join_key", "dimension")}),
        ("campaign_descriptions", "campaign_type", {"campaign_response": ("dimension",)}),
        ("transactions", "store_id", {}),
    ],
)
def test_a_field_has_the_roles_the_sql_gives_it(dataset: str, field: str, expected: object) -> None:
    found = GROCERY.dataset(dataset)
    declared = found.field(field)
    assert declared is not None
    assert roles_of(GROCERY, found, declared) == expected


def test_fields_that_no_computation_reads_are_named() -> None:
    found = {each.dataset: each for each in unused(GROCERY)}
    assert found["coupon_redemptions"].fields == ("coupon_upc", "redemption_date")
    assert not found["coupon_redemptions"].whole
    assert found["promotions"].whole
    assert "demographics" not in found
    assert "used by no computation" in found["promotions"].message


def test_a_field_is_unused_when_its_purpose_is_another() -> None:
    def change(value: Any) -> None:
        named(value["datasets"], "demographics")["purposes"] = ["campaign_effectiveness"]

    charter = changed_grocery(change)
    assert computations_of(charter, charter.dataset("demographics")) == ()
    assert {each.dataset: each.whole for each in unused(charter)}["demographics"]


def test_a_dropped_field_is_not_missed() -> None:
    assert all("reason" not in each.fields for each in unused(TINY))
