"""Floors of anonymity: what a charter may say, what it then says in words, and which way it moves."""

from __future__ import annotations

import pytest

from orchestration.charter import Charter, CharterMistakesError, enforcement, parse_charter
from orchestration.charter.diff import diff
from tests.tiny_charter import CHARTER

FLOOR = "{k: 5, average_risk: 0.1, suppress: 0.02, sensitive: [{attribute: income, distinct_l: 2, t: 0.4}]}"


def text_with(dataset: str = "", joined: str = "", start: str = "entity: profile") -> str:
    at = CHARTER.index(start)
    at = CHARTER.index("    fields:\n", at)
    floor = f"    anonymity: {dataset}\n" if dataset else ""
    text = CHARTER[:at] + floor + CHARTER[at:]
    return text.replace("\npurposes:\n", f"\njoined_anonymity: {joined}\npurposes:\n", 1) if joined else text


def charter(dataset: str = "", joined: str = "") -> Charter:
    return parse_charter(text_with(dataset, joined).encode())


def mistakes(text: str) -> dict[str, str]:
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter(text.encode())
    return {mistake.path: mistake.message for mistake in caught.value.mistakes}


def test_a_charter_without_floors_keeps_its_digest() -> None:
    assert "anonymity" not in str(charter().document)


def test_what_may_identify_is_what_stays_readable_in_the_room() -> None:
    tiny = charter()
    assert tiny.dataset("people").quasi_identifiers == ("age",)
    assert tiny.dataset("people").sensitive_attributes == ("income",)
    # A receipt's number is a pseudonym there, and a dropped reason is not there at all.
    assert tiny.dataset("sales").quasi_identifiers == ("occurred_on",)
    assert tiny.dataset("sales").sensitive_attributes == ()


def test_every_limit_is_kept_by_code_and_said_in_words() -> None:
    stated = {each.path: each for each in enforcement(charter(FLOOR, "{uniqueness: 0.05}"))}
    assert stated["datasets.people.anonymity"].stages == (("deidentified", "orchestration/scope"),)
    assert stated["datasets.people.anonymity"].states == (
        "Refused unless at least 5 units look alike, the average risk is at most 10 %, income has at least 2 "
        "values in each class and classes at a distance of at most 0.4; at most 2 % of rows are suppressed "
        "for it."
    )
    assert stated["joined_anonymity"].states == "Refused unless at most 5 % of units are unique."


@pytest.mark.parametrize(
    ("floor", "path", "says"),
    [
        ("{}", "", "no limit"),
        ("{suppress: 0.1}", "", "no limit"),
        ("{k: 5, uniqueness: 0.1}", ".uniqueness", "nobody is unique"),
        ("{k: 5, average_risk: 0.2}", ".average_risk", "never above 1/5"),
        ("{sensitive: [{attribute: income}]}", ".sensitive.income", "no limit"),
        ("{sensitive: [{attribute: age, t: 0.1}]}", ".sensitive.age.attribute", "classification sensitive"),
        ("{k: 1}", ".k", ""),
        ("{uniqueness: 1.5}", ".uniqueness", ""),
        ("{k: 2, sensitive: [{attribute: income, entropy_l: 1}]}", ".sensitive.income.entropy_l", ""),
    ],
)
def test_a_limit_that_cannot_work_is_a_mistake(floor: str, path: str, says: str) -> None:
    found = mistakes(text_with(floor))
    assert f"datasets.people.anonymity{path}" in found
    assert says in found[f"datasets.people.anonymity{path}"]
    if "suppress" not in floor:
        assert f"joined_anonymity{path}" in mistakes(text_with(joined=floor))


def test_a_floor_needs_somebody_and_something_to_find_them_by() -> None:
    assert (
        "about nobody"
        in mistakes(text_with("{k: 5}", start="entity: product"))["datasets.products.anonymity"]
    )
    without = text_with("{k: 5}").replace(
        "classification: quasi_identifier, technique: pass}", "classification: behavioural, technique: pass}"
    )
    assert "quasi_identifier" in mistakes(without)["datasets.people.anonymity"]


def test_suppressing_may_not_empty_a_key() -> None:
    text = text_with("{k: 5, suppress: 0.1}", start="entity: transaction").replace(
        "    anonymity:", "    unique_key: [unit, occurred_on]\n    anonymity:"
    )
    assert "unique_key" in mistakes(text)["datasets.sales.anonymity.suppress"]


@pytest.mark.parametrize(
    ("old", "new", "direction"),
    [
        ("{k: 5}", "{k: 10}", "stricter"),
        ("{k: 5, average_risk: 0.1}", "{k: 5}", "looser"),
        ("{uniqueness: 0.1}", "{uniqueness: 0.2}", "looser"),
        ("{k: 5}", "{k: 5, suppress: 0.1}", "neutral"),
        ("{k: 5}", "{k: 5, sensitive: [{attribute: income, t: 0.4}]}", "stricter"),
        (
            "{sensitive: [{attribute: income, t: 0.4}]}",
            "{sensitive: [{attribute: income, t: 0.5}]}",
            "looser",
        ),
        ("", "{k: 5}", "stricter"),
    ],
)
def test_a_change_of_a_floor_has_a_direction(old: str, new: str, direction: str) -> None:
    (change,) = diff(charter(old), charter(new))
    assert change.direction == direction
    assert not change.assumed
    if "suppress" not in new:
        (change,) = diff(charter(joined=old), charter(joined=new))
        assert change.direction == direction
