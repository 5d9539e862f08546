"""Bad charters (`mistakes.yaml`): every mistake is found, with its line, its path and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from orchestration.charter import CharterMistakesError, Mistake, parse_charter
from orchestration.charter.loader import STARTER

GOOD = STARTER.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Bad:
    """The first `old` behind `after` becomes `new`; the mistake is on that line, or on that of `marker`."""

    id: str
    old: str
    new: str
    path: str
    allowed: tuple[str, ...] = ()
    says: str = ""
    marker: str = ""
    after: str = ""


def mistakes_of(text: str | bytes) -> tuple[Mistake, ...]:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter(data, "bad.yaml")
    return caught.value.mistakes


def spoiled(bad: Bad) -> tuple[str, int]:
    """The bad text and the 1-based line that the mistake must name."""
    at = GOOD.index(bad.old, GOOD.index(bad.after))
    text = GOOD[:at] + bad.new + GOOD[at + len(bad.old) :]
    there = text.index(bad.marker) if bad.marker else at
    return text, text.count("\n", 0, there) + 1


def table() -> list[Bad]:
    entries = YAML(typ="safe", pure=True).load(Path(__file__).with_name("mistakes.yaml"))
    return [Bad(**{**entry, "allowed": tuple(entry.get("allowed", ()))}) for entry in entries]


@pytest.mark.parametrize("bad", table(), ids=lambda bad: bad.id)
def test_a_mistake_names_its_line_its_path_and_what_is_allowed(bad: Bad) -> None:
    text, line = spoiled(bad)
    found = [mistake for mistake in mistakes_of(text) if mistake.path == bad.path]
    assert len(found) == 1, mistakes_of(text)
    assert found[0].line == line
    assert bad.says in found[0].message
    shown = " | ".join(found[0].allowed)
    assert all(each in shown for each in bad.allowed), shown


def test_the_message_of_the_error_lists_every_mistake() -> None:
    with pytest.raises(CharterMistakesError) as caught:
        parse_charter(GOOD.replace("entity: transaction", "entity: sale").encode(), "mine.yaml")
    assert caught.value.code == "charter.invalid"
    assert caught.value.exit_code == 2
    assert "mine.yaml has 1 mistake" in caught.value.message
    assert "datasets.receipts.entity" in caught.value.message


def test_mistakes_of_shape_and_of_rules_come_together() -> None:
    text = GOOD
    for old, new in (
        ("version: 1 ", "version: one "),  # shape, in the head
        ("requesters: [shop]", "requesters: [agency]"),  # rule
        ("type: decimal", "type: float"),  # shape, deep
        ("quorum: 1", "quorum: 3"),  # rule
        ("checkpoint_minutes: 60", "checkpoint_minute: 60"),  # unknown and missing
    ):
        text = text.replace(old, new, 1)
    assert {mistake.path for mistake in mistakes_of(text)} == {
        "version",
        "computations.audience_overlap.requesters",
        "datasets.receipts.fields.price.type",
        "decision_rights.thaw.quorum",
        "audit.checkpoint_minute",
        "audit.checkpoint_minutes",
    }


@pytest.mark.parametrize(
    ("old", "new", "only"),
    [
        ("    name: Shop\n", "    name: 5\n", "participants.shop.name"),
        ("    name: Shop\n", "    colour: red\n    name: Shop\n", "participants.shop.colour"),
        (", required: true, ", ", required: maybe, ", "datasets.receipts.fields.customer_number.required"),
        ("  - id: campaign_effectiveness\n", "  - id: Campaign\n", "purposes.Campaign.id"),
        ("privacy_unit: customer", "privacy_unit: 7", "privacy_unit"),
        ("    owner: brand.auditor\n", "    owner: 1\n", "human_duties.review.owner"),
        ("  releases_days: 365\n", "  releases_days: 1.5\n", "retention.releases_days"),
    ],
    ids=["participant", "key of a participant", "unit field", "purpose", "privacy unit", "duty", "retention"],
)
def test_what_follows_from_an_unreadable_part_is_not_reported_as_well(old: str, new: str, only: str) -> None:
    assert {mistake.path for mistake in mistakes_of(GOOD.replace(old, new, 1))} == {only}
