"""Constellations that are allowed, and that signers are told about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestration.charter.segregation import conflicts
from tests.unit.charter.charter_text import GROCERY, STARTED, changed_grocery, named


def _right(**changes: object) -> Callable[[Any], object]:
    return lambda value: named(value["decision_rights"], "request_review").update(changes)


def _roles(participant: int, member: int, *roles: str) -> Callable[[Any], object]:
    return lambda value: value["participants"][participant]["members"][member].update(roles=list(roles))


def _alone(value: Any) -> None:
    """Only the agency asks and receives, and one vote is enough."""
    _right(rule="quorum", quorum=1)(value)
    named(value["computations"], "joint_segmentation").update(requesters=["retailer"], receivers=["retailer"])


def _no_abstaining(value: Any) -> None:
    _alone(value)
    _right(beneficiaries_abstain=False)(value)


def _auditor_of_the_host(value: Any) -> None:
    _roles(3, 1, "executive")(value)
    host = {"id": "retailer.auditor", "name": "Auditor", "roles": ["auditor"]}
    value["participants"][0]["members"].append(host)
    named(value["human_duties"], "review")["owner"] = "retailer.auditor"


def _witnesses(participants: list[str], quorum: int) -> Callable[[Any], object]:
    return lambda value: value["audit"]["witnesses"].update(participants=participants, quorum=quorum)


_STEWARD = "participants.brand_agency.members.brand_agency.steward.roles"
_HOST = "participants.retailer.members.retailer.steward.roles"
_REQUESTS = "decision_rights.request_review"
_NOTED: list[tuple[str, Callable[[Any], object], str, str]] = [
    ("steward who asks", _roles(1, 0, "steward", "analyst"), _STEWARD, "asks, and votes"),
    ("operator who signs", _roles(0, 0, "steward", "operator"), _HOST, "runs the house and signs"),
    ("own votes are enough", _right(rule="quorum", quorum=1), _REQUESTS,
     "brand_agency may ask for joint_segm"),
    ("nobody abstains", _no_abstaining, _REQUESTS, "its own votes are enough"),
    ("a panel of one", lambda value: value["review_body"].update(quorum=1), "review_body",
     "of brand_agency reach"),
    ("the accused are needed", lambda value: value["review_body"].update(quorum=3), "review_body",
     "a dispute about media_owner stays undecided"),
    ("ethics of one", lambda value: value["ethics_panel"].update(quorum=1), "ethics_panel",
     "of media_owner reach"),
    ("the host audits", _auditor_of_the_host, "participants", "Every auditor"),
    ("the host is enough", _witnesses(["retailer", "data_provider"], 1), "audit.witnesses",
     "nobody else has to look"),
    ("the host watches too", _witnesses(["retailer", "data_provider"], 2), "audit.witnesses",
     "make the difference"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "path", "says"), [row[1:] for row in _NOTED], ids=[row[0] for row in _NOTED]
)
def test_is_noted(change: Callable[[Any], object], path: str, says: str) -> None:
    found = [note.message for note in conflicts(changed_grocery(change)) if note.path == path]
    assert any(says in message for message in found), found


def test_who_alone_gains_but_abstains_is_no_conflict() -> None:
    assert conflicts(changed_grocery(_alone)) == ()


def test_the_charters_that_come_with_the_house_have_no_notes() -> None:
    assert conflicts(GROCERY) == ()
    assert conflicts(STARTED) == ()
