"""Where data may be: what a charter may say of it, what it then says in words, and which way it moves."""

from __future__ import annotations

import pytest

from orchestration.charter import Charter, CharterMistakesError, enforcement, parse_charter
from orchestration.charter.diff import diff
from tests.tiny_charter import CHARTER


def text_with(*, shop: str = "", panel: str = "", sales: str = "", people: str = "") -> str:
    """The tiny charter with jurisdictions of both parties, and residencies of two datasets."""
    text = CHARTER
    for place, clause in (("    name: Shop\n", shop), ("    name: Panel\n", panel)):
        if clause:
            text = text.replace(place, f"{place}    jurisdiction: {clause}\n", 1)
    for place, clause in (("    entity: transaction\n", sales), ("    entity: profile\n", people)):
        if clause:
            text = text.replace(place, f"{place}    residency: {clause}\n", 1)
    return text


def charter(**clauses: str) -> Charter:
    return parse_charter(text_with(**clauses).encode())


def mistakes(**clauses: str) -> dict[str, str]:
    with pytest.raises(CharterMistakesError) as caught:
        charter(**clauses)
    return {mistake.path: mistake.message for mistake in caught.value.mistakes}


def test_a_charter_that_says_nothing_of_countries_keeps_its_digest() -> None:
    said = str(charter().document)
    assert "residency" not in said
    assert "jurisdiction" not in said


def test_both_clauses_are_kept_by_code_and_said_in_words() -> None:
    stated = {each.path: each for each in enforcement(charter(shop="DE", panel="FR", sales="[DE, FR]"))}
    residency = stated["datasets.sales.residency"]
    assert [stage for stage, _ in residency.stages] == ["contribution", "request", "opening"]
    assert residency.states == (
        "A house outside DE, FR refuses it, and nobody outside asks of it or opens what it gave."
    )
    assert stated["participants.panel.jurisdiction"].states == (
        "Its members ask of, and open, only what may be in FR."
    )


@pytest.mark.parametrize("written", ["[de]", "[DEU]", "[]", "DE", "[EU]", "[UK]"])
def test_a_country_is_written_with_two_capital_letters(written: str) -> None:
    paths = mistakes(shop="DE", panel="DE", sales=written)
    assert all(path.startswith("datasets.sales.residency") for path in paths)


def test_what_is_often_written_for_a_country_is_told_apart() -> None:
    [message] = mistakes(shop="UK").values()
    assert message.endswith("is no country; write GB.")


def test_who_gives_asks_or_receives_says_where_it_is() -> None:
    found = mistakes(sales="[DE]")
    assert found == {
        "participants.shop.jurisdiction": (
            "Dataset sales stays in DE; 'shop', who gives it, does not say where it is."
        ),
        "participants.panel.jurisdiction": (
            "Dataset sales stays in DE; 'panel', who asks for or receives audience_overlap, does not "
            "say where it is."
        ),
    }
    assert set(mistakes(sales="[DE]", shop="DE")) == {"participants.panel.jurisdiction"}
    assert charter(sales="[DE]", shop="DE", panel="US")  # it may be elsewhere; it then opens nothing of it


def test_what_no_single_house_could_hold_together_is_a_mistake() -> None:
    found = mistakes(shop="DE", panel="DE", sales="[DE, FR]", people="[US]")
    assert set(found) == {"datasets.people.residency"}
    assert charter(shop="DE", panel="DE", sales="[DE, FR]", people="[FR]")


@pytest.mark.parametrize(
    ("old", "new", "direction"),
    [
        ("", "[DE]", "stricter"),
        ("[DE]", "", "looser"),
        ("[DE]", "[DE, FR]", "looser"),
        ("[DE, FR]", "[FR]", "stricter"),
        ("[DE]", "[FR]", "looser"),  # nobody can tell: counts as looser
    ],
)
def test_fewer_countries_are_stricter(old: str, new: str, direction: str) -> None:
    parties = {"shop": "DE", "panel": "DE"}
    [change] = diff(charter(sales=old, **parties), charter(sales=new, **parties))
    assert (change.path, change.direction) == ("datasets.sales.residency", direction)
    assert change.affects == ("shop",)


def test_a_party_that_moves_is_for_people_to_judge() -> None:
    [change] = diff(charter(shop="DE"), charter(shop="US"))
    assert (change.path, change.assumed) == ("participants.shop.jurisdiction", True)
    assert change.words == "Jurisdiction: DE becomes US."
