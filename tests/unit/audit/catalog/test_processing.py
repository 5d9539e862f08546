"""The record of processing and the data map say what the charter says, of every dataset and purpose."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.audit.catalog.data_map import data_map
from orchestration.audit.catalog.processing import Activity, record_of_processing
from orchestration.audit.catalog.processing_text import as_markdown
from tests.unit.charter.charter_text import GROCERY, changed_grocery, named

RECORD = record_of_processing(GROCERY)


def activity(purpose: str) -> Activity:
    return next(each for each in RECORD.activities if each.purpose == purpose)


@pytest.mark.parametrize("purpose", [each.id for each in GROCERY.purposes])
def test_a_purpose_names_all_that_article_30_asks_for(purpose: str) -> None:
    found = activity(purpose)
    datasets = {each.id for each in GROCERY.datasets if purpose in each.purposes}
    assert {dataset for dataset, _ in found.lawful_bases} == datasets
    assert {each.dataset for each in found.data} == datasets
    fields = {(each.dataset, name) for each in found.data for name in each.fields}
    assert fields == {(each, field.name) for each in datasets for field in GROCERY.dataset(each).fields}
    for answer in (found.controllers, found.contacts, found.people, found.recipients, found.retention,
                   found.safeguards, found.transfers, found.computations):  # fmt: skip
        assert answer


def test_what_is_used_is_told_from_what_is_only_given() -> None:
    [incomes] = [each for each in activity("customer_insight").data if "income" in each.fields]
    assert incomes.used == ("income", "marital_status")
    [identifiers] = [
        each
        for each in activity("campaign_effectiveness").data
        if each.dataset == "transactions" and "household_id" in each.fields
    ]
    assert identifiers.used == ()


def test_recipients_are_those_of_the_purpose() -> None:
    assert activity("customer_insight").recipients == ("Retailer", "Brand agency", "Data provider")
    assert "In-store media owner" in activity("collaboration_planning").recipients


def test_the_markdown_is_a_table_that_no_text_of_a_charter_can_break() -> None:
    def hostile(value: Any) -> None:
        named(value["purposes"], "customer_insight").update(
            title="a | b", description="<script>x</script>\n# no heading\n| no | row |"
        )

    text = as_markdown(record_of_processing(changed_grocery(hostile)))
    assert "<script>" not in text
    assert "\n# no heading" not in text
    assert "## a \\| b (`customer_insight`)" in text
    heads = [line.count(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert set(heads) == {5}


def test_the_map_leads_every_column_from_its_party_to_its_receivers() -> None:
    ways = {each.dataset: each for each in data_map(GROCERY)}
    assert list(ways) == [each.id for each in GROCERY.datasets]
    people = ways["demographics"]
    assert (people.party, people.room_table, people.personal) == ("data_provider", "admitted.profile", True)
    columns = {each.name: each for each in people.columns}
    assert columns["household_id"].arrives == "as a pseudonym"
    assert columns["income"].personal
    assert columns["income"].used == {"joint_segmentation": ("dimension",)}
    stops = {each.template: each for each in people.stops}
    assert stops["joint_segmentation"].receivers == GROCERY.computation("joint_segmentation").receivers
    assert stops["joint_segmentation"].threshold == 10
    assert not any(each.personal for each in ways["products"].columns)


def test_countries_are_those_the_charter_names_and_what_it_leaves_out_is_said() -> None:
    assert activity("customer_insight").transfers.endswith("Add where the house is.")
    assert "does not say: Retailer, " in activity("customer_insight").transfers

    def located(value: Any) -> None:
        for each, country in zip(value["participants"], ("DE", "FR", "DE", "US"), strict=False):
            each["jurisdiction"] = country
        for each in value["datasets"]:
            each["residency"] = ["DE", "FR"] if each["id"] == "transactions" else ["DE"]

    charter = changed_grocery(located)
    for found in record_of_processing(charter).activities:
        assert "In DE: Retailer" in found.transfers
        assert "does not say" not in found.transfers
        assert "Add where" not in found.transfers
    assert "Stays in DE, FR, results included: transactions" in found.transfers
