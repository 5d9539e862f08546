"""A quality clause names what is there and can be measured; it is enforced, and comparable."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML

from orchestration.charter.diff import diff
from orchestration.charter.enforcement import enforcement, unenforced
from orchestration.charter.model import Charter
from orchestration.charter.quality_checks import check_quality
from tests.tiny_charter import CHARTER

FULL = """
      freshness: {days: 10}
      volume: {change: 0.5, severity: critical}
      drift: {limit: 0.2, attributes: [week]}
      references: [{id: known_products, attribute: product, dataset: products, missing: 0.01}]
      bias: [{id: weeks, attribute: product, tolerance: 0.1, segments: [{label: '01', share: 1}]}]
      overlap: [{id: known, dataset: people, at_least: 0.5}]
      keyspace: {population: 1000}
      identifiers: {largest_share: 0.1}"""


def charter(quality: str, dataset: str = "sales", field: str = "") -> Charter:
    text = CHARTER.replace("name: quantity,", f"name: quantity, {field}") if field else CHARTER
    document = YAML(typ="safe", pure=True).load(text)
    clause = YAML(typ="safe", pure=True).load(quality)
    for each in document["datasets"]:
        if each["id"] == dataset and clause:
            each["quality"] = clause
    return Charter.model_validate(document)


def test_a_full_clause_is_right_and_every_part_is_kept_by_the_gate() -> None:
    agreed = charter(FULL)
    assert list(check_quality(agreed)) == []
    assert list(unenforced(agreed)) == []
    kept = {each.path: each for each in enforcement(agreed) if ".quality." in each.path}
    assert len(kept) == 8
    assert {each.stages for each in kept.values()} == {(("gate", "orchestration/scope"),)}
    assert "otherwise it stops" in kept["datasets.sales.quality.volume"].states


@pytest.mark.parametrize(
    ("quality", "dataset", "said"),
    [
        ("freshness: {days: 1}", "products", "no date"),
        ("keyspace: {population: 5}", "products", "about nobody"),
        ("identifiers: {largest_share: 0.1}", "products", "about nobody"),
        ("drift: {attributes: [colour]}", "sales", "no attribute 'colour'"),
        ("drift: {attributes: [unit]}", "sales", "pseudonym"),
        ("references: [{id: a, attribute: week, dataset: products}]", "sales", "no attribute 'week'"),
        ("references: [{id: a, attribute: product, dataset: sales}]", "sales", "no other dataset"),
        ("overlap: [{id: a, dataset: products, at_least: 0.5}]", "sales", "no other personal dataset"),
        ("overlap: [{id: a, dataset: people}]", "sales", "Any overlap"),
        ("overlap: [{id: a, dataset: people, at_least: 0.5, at_most: 0.4}]", "sales", "above"),
        ("bias: [{id: a, attribute: age, tolerance: 0.1, segments: [{label: old, share: 0.4}]}]", "people",
         "come to 0.4"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_a_mistake(quality: str, dataset: str, said: str) -> None:
    assert any(said in finding.message for finding in check_quality(charter(quality, dataset)))


def test_a_required_field_cannot_be_deprecated() -> None:
    found = list(check_quality(charter("", field="deprecated: 2026-01-01,")))
    assert [finding.path[-1] for finding in found] == ["deprecated"]


def test_a_clause_that_comes_or_grows_stricter_says_so() -> None:
    def moves(old: str, new: str) -> list[str]:
        return [change.direction for change in diff(charter(old), charter(new))]

    assert set(moves("", FULL)) == {"stricter"}
    assert moves("drift: {limit: 0.2}", "drift: {limit: 0.3}") == ["looser"]
    assert moves("volume: {change: 0.2}", "volume: {change: 0.2, severity: critical}") == ["stricter"]
