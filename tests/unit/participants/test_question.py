"""What each signed act asks permission for: the verb, what it is about, and what it says besides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from orchestration.audit import governance_events as e
from orchestration.audit.events import PAYLOADS, Event
from orchestration.audit.portal_events import LoginChanged
from orchestration.audit.stage_events import OutputAccessed, RequestSubmitted
from orchestration.audit.vocabulary import Payload, Signed
from orchestration.audit.withdrawal_events import ContributionWithdrawn, PeopleWithdrawn
from orchestration.participants.permissions import ACTIONS
from orchestration.participants.question import question_of

DIGEST = "sha256:" + "0" * 64
UNTIL = datetime(2026, 12, 31, tzinfo=UTC)
KEY: dict[str, Any] = {"keyid": "k"}
ACTS: list[tuple[Payload, str, str, dict[str, object]]] = [
    (e.CharterProposed(digest=DIGEST, title="T", version=1, document={}), "propose_charter", "tiny", {}),
    (
        e.CharterSigned(digest=DIGEST, participant="shop", stewards={}),
        "sign_charter",
        DIGEST,
        {"participant": "shop"},
    ),
    (e.CharterWithdrawn(digest=DIGEST), "withdraw_charter", DIGEST, {}),
    (
        e.ParticipantAccepted(participant="shop", steward="shop.steward", public_key=KEY),
        "accept_invitation",
        "shop",
        {"steward": "shop.steward"},
    ),
    (e.ParticipantLeft(participant="shop"), "leave", "shop", {}),
    (
        e.MemberEnrolled(member="shop.a", roles=("analyst",), public_key=KEY, proof="p", expires_at=UNTIL),
        "enroll_member",
        "shop.a",
        {"roles": ("analyst",), "expires_at": UNTIL},
    ),
    (e.MemberRetired(member="shop.a"), "retire_member", "shop.a", {}),
    (e.KeyRotated(member="shop.a", public_key=KEY, proof="p"), "rotate_key", "shop.a", {}),
    (e.KeyRevoked(member="shop.a", key_id="k", reason="lost"), "revoke_key", "shop.a", {}),
    (
        e.GrantGiven(grant="g", member="shop.a", role="analyst", not_before=UNTIL, expires_at=UNTIL),
        "give_grant",
        "shop.a",
        {"role": "analyst", "expires_at": UNTIL},
    ),
    (e.GrantRenewed(grant="g", expires_at=UNTIL), "renew_grant", "g", {"expires_at": UNTIL}),
    (e.GrantRevoked(grant="g"), "revoke_grant", "g", {}),
    (
        e.EmergencyOpened(grant="g", member="shop.a", role="steward", expires_at=UNTIL),
        "open_emergency",
        "shop.a",
        {"role": "steward", "expires_at": UNTIL},
    ),
    (e.DecisionOpened(matter="thaw", about="tiny"), "open_decision", "thaw", {"about": "tiny"}),
    (e.VoteCast(decision="d", vote="approve"), "vote", "d", {}),
    (e.CollaborationFrozen(), "freeze", "tiny", {}),
    (
        e.DisputeRaised(about_kind="release", about="i-1", remedy="recall"),
        "raise_dispute",
        "i-1",
        {"kind": "release"},
    ),
    (e.ReviewAttested(grant="g", keep=True), "attest_review", "g", {"review": "subject", "keep": True}),
    (e.DatasetAttested(dataset="sales", evidence={}, expires_at=UNTIL), "attest_dataset", "sales", {}),
    (e.TermsAcknowledged(terms=DIGEST), "acknowledge_terms", "subject", {"terms": DIGEST}),
    (LoginChanged(change="enabled"), "arrange_login", "subject", {}),
    (
        RequestSubmitted(
            template="overlap",
            parameters={},
            purpose="insight",
            requester="shop.a",
            participant="shop",
            datasets=("sales",),
        ),
        "submit_request",
        "overlap",
        {"purpose": "insight", "datasets": ("sales",)},
    ),
    (
        OutputAccessed(release="i-1", member="shop.a", detail="full"),
        "open_insight",
        "i-1",
        {"justification": "because"},
    ),
    (
        ContributionWithdrawn(contribution="sales-1", dataset="sales", reason="error"),
        "withdraw_contribution",
        "sales",
        {},
    ),
    (
        PeopleWithdrawn(dataset="sales", reason="objection", list_digest="sha256:" + 64 * "0"),
        "withdraw_people",
        "sales",
        {},
    ),
]


def event(payload: Payload) -> Event:
    return Event(
        collaboration="tiny", subject="subject", actor="shop.a", justification="because", payload=payload
    )


@pytest.mark.parametrize(("payload", "action", "subject", "facts"), ACTS, ids=lambda each: str(each)[:30])
def test_an_act_asks_for_its_verb(
    payload: Payload, action: str, subject: str, facts: dict[str, object]
) -> None:
    question = question_of(event(payload))
    assert (question.member, question.action, question.subject) == ("shop.a", action, subject)
    assert dict(question.facts) == facts
    assert ACTIONS[action].event is type(payload)


def test_every_signed_act_is_read() -> None:
    read = {type(payload) for payload, *_ in ACTS}
    assert read == {e.CharterProposed, *(each for each in PAYLOADS.values() if issubclass(each, Signed))}


def test_what_is_no_act_asks_for_nothing() -> None:
    with pytest.raises(ValueError, match="asks for nothing"):
        question_of(event(e.CollaborationThawed(decision="d")))
