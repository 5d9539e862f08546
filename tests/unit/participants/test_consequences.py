"""What follows from acts, votes and time: each consequence when it is due, and not a moment before."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from orchestration.audit import governance_events as e
from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.vocabulary import Payload, timestamp
from orchestration.charter.model import Charter
from orchestration.digests import canonical_json
from orchestration.participants.consequences import closing_due, due, is_due, steward_roster
from tests.unit.participants.facts import NAME, Facts, charter, facts, right

SECOND = charter(version=2, title="Four again")
WITHOUT_PANEL = canonical_json(
    charter(
        version=2,
        participants=[each for each in SECOND.document["participants"] if each["id"] != "panel"],  # type: ignore[index,call-overload,union-attr]
    ).document
).decode()
STEWARDS = {f"{each}.steward": f"key of {each}.steward" for each in ("shop", "brand", "media", "panel")}


def follows(here: Facts) -> list[tuple[str, Payload]]:
    return [(event.subject, event.payload) for event in due(here.state)]


def first(here: Facts) -> Any:
    """The payload of the one thing that is due."""
    ((_, payload),) = follows(here)
    return payload


def sign(here: Facts, agreed: Charter, roster: dict[str, str], *participants: str) -> None:
    for participant in participants:
        here.add(
            g.charter_signatures,
            digest=agreed.digest,
            participant=participant,
            member=f"{participant}.steward",
            stewards=json.dumps(roster),
        )


def test_nothing_follows_from_an_active_charter_alone() -> None:
    with facts() as here:
        assert follows(here) == []


# --- activation


@pytest.mark.parametrize(
    ("change", "activated"),
    {
        "all have signed": (lambda here: sign(here, SECOND, STEWARDS, "panel"), True),
        "one is missing": (lambda here: None, False),
        "one saw another key": (
            lambda here: sign(here, SECOND, STEWARDS | {"shop.steward": "key of the operator"}, "panel"),
            False,
        ),
        "one saw a steward less": (
            lambda here: sign(
                here, SECOND, {k: v for k, v in STEWARDS.items() if k != "shop.steward"}, "panel"
            ),
            False,
        ),
        "a key was replaced since": (
            lambda here: (
                sign(here, SECOND, STEWARDS, "panel"),
                here.change(g.keys, {"member": "shop.steward"}, key_id="another"),
            ),
            False,
        ),
        "who left need not sign": (
            lambda here: (
                here.change(g.charter_signatures, {}, stewards=roster_text(here, "panel")),
                here.status("panel", "left"),
            ),
            True,
        ),
        "who takes part signs though the new text leaves it out": (
            lambda here: (
                here.change(g.charters, {"digest": SECOND.digest}, document=WITHOUT_PANEL),
                here.change(g.charter_signatures, {}, stewards=roster_text(here, "panel")),
            ),
            False,
        ),
        "who left is left out": (
            lambda here: (
                here.change(g.charters, {"digest": SECOND.digest}, document=WITHOUT_PANEL),
                here.change(g.charter_signatures, {}, stewards=roster_text(here, "panel")),
                here.status("panel", "left"),
            ),
            True,
        ),
        "who is suspended must": (lambda here: here.status("panel", "suspended"), False),
        "frozen": (lambda here: (sign(here, SECOND, STEWARDS, "panel"), here.phase("frozen")), True),
        "closed": (lambda here: (sign(here, SECOND, STEWARDS, "panel"), here.phase("closed")), False),
        "withdrawn": (
            lambda here: (
                sign(here, SECOND, STEWARDS, "panel"),
                here.change(g.charters, {"digest": SECOND.digest}, status="withdrawn"),
            ),
            False,
        ),
        "it replaces another": (
            lambda here: (
                sign(here, SECOND, STEWARDS, "panel"),
                here.change(g.charters, {"digest": SECOND.digest}, supersedes="sha256:" + "0" * 64),
            ),
            False,
        ),
    }.items(),
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_charter_is_active_when_all_signed_the_same_keys(change: str, activated: Any) -> None:
    act, expected = activated
    with facts() as here:
        agreed = here.state.charter
        assert agreed is not None
        here.proposed(SECOND, supersedes=agreed.digest)
        sign(here, SECOND, STEWARDS, "shop", "brand", "media")
        act(here)
        wanted = [(NAME, e.CharterActivated(digest=SECOND.digest, supersedes=agreed.digest))]
        assert follows(here) == (wanted if expected else [])


def roster_text(here: Facts, without: str) -> str:
    return json.dumps({member: key for member, key in STEWARDS.items() if not member.startswith(without)})


def test_of_two_complete_proposals_the_first_becomes_active() -> None:
    third = charter(version=3)
    with facts() as here:
        agreed = here.state.charter
        assert agreed is not None
        for each in (third, SECOND):
            here.proposed(each, supersedes=agreed.digest)
            sign(here, each, STEWARDS, "shop", "brand", "media", "panel")
        assert first(here).digest == third.digest


def test_the_roster_holds_the_stewards_whose_keys_count() -> None:
    with facts() as here:
        assert steward_roster(here.state, charter()) == STEWARDS
        here.change(g.members, {"member": "shop.steward"}, status="retired")
        here.change(g.keys, {"member": "brand.steward"}, status="revoked")
        here.status("media", "removed")
        assert list(steward_roster(here.state, charter())) == ["panel.steward"]


# --- decisions


def test_a_decision_is_concluded_once_with_its_voices() -> None:
    with facts(charter(decision_rights=[right(matters=["thaw"], quorum=2)])) as here:
        here.phase("frozen").decision()
        assert follows(here) == []
        here.votes(shop_steward="approve", media_steward="approve", panel_steward="reject")
        assert first(here) == e.DecisionConcluded(
            decision="d-1",
            outcome="approved",
            approvals=("media", "shop"),
            rejections=("panel",),
            rule="2 of brand, media, panel, shop",
        )
        here.change(g.decisions, {}, status="approved")
        assert first(here) == e.CollaborationThawed(decision="d-1")


@pytest.mark.parametrize(
    ("hours", "escalated", "expected"),
    [
        (23.9, False, None),
        (24, False, "decision.escalated"),
        (24, True, None),
        (48, False, "decision.concluded"),
    ],
    ids=["too early", "waits too long", "only once", "expired instead"],
)
def test_a_decision_that_waits_is_escalated_then_expires(
    hours: float, escalated: bool, expected: str | None
) -> None:
    rule = right(matters=["thaw"], escalate_hours=24, escalate_to="shop.steward", expires_hours=48)
    with facts(charter(decision_rights=[rule])) as here:
        here.phase("frozen").decision(escalated=escalated)
        here.later(hours=hours)
        assert [payload.type for _, payload in follows(here)] == ([expected] if expected else [])


# --- effects


def test_a_freeze_ends_only_by_a_decision_made_after_it() -> None:
    with facts() as here:
        here.decision(status="approved")
        here.phase("frozen")
        assert follows(here) == []
        here.decision("d-2", status="approved")
        assert first(here) == e.CollaborationThawed(decision="d-2")
        here.phase("active")
        assert follows(here) == []


@pytest.mark.parametrize(
    ("step", "status", "payload"),
    [
        ("suspend", "active", e.ParticipantSuspended),
        ("reinstate", "suspended", e.ParticipantReinstated),
        ("remove", "active", e.ParticipantRemoved),
        ("remove", "invited", e.ParticipantRemoved),
        ("suspend", "left", None),
        ("reinstate", "active", None),
        ("remove", "left", None),
        ("remove", "removed", None),
    ],
)
def test_membership_changes_once_from_the_state_it_starts_from(
    step: str, status: str, payload: Callable[..., Payload] | None
) -> None:
    with facts() as here:
        here.status("media", status)
        here.decision(matter="membership", about="media", content={"step": step}, status="approved")
        wanted = [("media", payload(participant="media", decision="d-1"))] if payload else []
        assert follows(here) == wanted
        here.status("media", status)  # whatever happened since
        assert follows(here) == []


EXCEPTION = {
    "what": "Ten extra rows",
    "owner": "shop.steward",
    "residual_risk": "Small",
    "expires_at": "2026-03-09T09:00:00.000Z",
}


def test_an_exception_is_granted_once_and_lapses() -> None:
    with facts() as here:
        here.decision(matter="exception", about="x-1", content=EXCEPTION, status="approved")
        granted = first(here)
        assert granted == e.ExceptionGranted.model_validate(EXCEPTION | {"decision": "d-1"})
        row = granted.model_dump(exclude={"expires_at"}) | {"expires_at": EXCEPTION["expires_at"]}
        here.add(g.exceptions, exception="x-1", status="granted", **row)
        assert follows(here) == []
        here.later(days=7)
        assert follows(here) == [("x-1", e.ExceptionLapsed())]
        here.change(g.exceptions, {}, status="lapsed")
        assert follows(here) == []


@pytest.mark.parametrize(
    ("status", "outcome", "remedy"),
    [
        ("approved", "upheld", "warn"),
        ("rejected", "dismissed", None),
        ("expired", "dismissed", None),
    ],
)
def test_a_dispute_ends_with_its_decision(status: str, outcome: Any, remedy: Any) -> None:
    with facts() as here:
        here.dispute(remedy="warn")
        here.decision("s-1", "dispute", "s-1", asked_by="media.steward", status="pending")
        assert follows(here) == []
        here.change(g.decisions, {}, status=status)
        assert first(here) == e.DisputeResolved(outcome=outcome, remedy=remedy, decision="s-1")
        here.change(g.disputes, {}, status=outcome)
        assert follows(here) == []


@pytest.mark.parametrize(("kind", "about"), [("release", "i-r-1"), ("request", "r-1")])
def test_the_remedy_recall_takes_the_release_back(kind: str, about: str) -> None:
    with facts() as here:
        here.request(status="released")
        here.release("r-1")
        here.dispute(kind=kind, about=about, status="upheld")
        assert follows(here) == [("i-r-1", e.OutputRecalled(release="i-r-1", decision="s-1"))]
        here.connection.execute(update(t.releases).values(recalled=True))
        assert follows(here) == []


def test_the_remedy_suspend_suspends_the_participant_it_is_about() -> None:
    with facts() as here:
        here.dispute(kind="participant", about="shop", remedy="suspend", status="upheld")
        assert first(here) == e.ParticipantSuspended(participant="shop", decision="s-1")
        here.status("shop", "suspended")
        here.status("shop", "active")
        assert follows(here) == []


def test_closing_waits_for_the_keys_to_be_shredded() -> None:
    with facts() as here:
        here.decision(matter="closing", status="approved")
        assert follows(here) == []
        (event,) = closing_due(here.state)
        payload = event.payload
        assert isinstance(payload, e.CharterClosed)
        shredded = payload.model_copy(update={"destroyed": ("room", "vault")})
        assert is_due(here.state, event.model_copy(update={"payload": shredded}))
        other = payload.model_copy(update={"decision": "d-9"})
        assert not is_due(here.state, event.model_copy(update={"payload": other}))
        here.phase("closed")
        assert closing_due(here.state) == []


# --- reviews


def test_an_access_review_asks_about_every_grant_that_stands() -> None:
    with facts() as here:
        here.change(g.grants, {"grant": "shop.analyst/analyst"}, revoked=True)
        here.change(g.grants, {"grant": "brand.analyst/analyst"}, expires_at=timestamp(here.at))
        here.later(days=89, hours=23)
        assert follows(here) == []
        here.later(hours=1)
        opened = first(here)
        assert (opened.kind, opened.due) == ("access", here.at + timedelta(days=14))
        assert [each.grant for each in opened.grants] == [
            "brand.owner/owner",
            "brand.steward/steward",
            "media.auditor/auditor",
            "media.steward/steward",
            "panel.reviewer/reviewer",
            "panel.steward/steward",
            "shop.reviewer/reviewer",
            "shop.steward/steward",
        ]
        assert due(here.state)[0].subject == "review-1"


def test_the_next_review_counts_from_the_last_one() -> None:
    with facts() as here:
        here.later(days=90)
        here.review("review-1", (), here.at + timedelta(days=14))
        here.change(g.reviews, {}, status="closed")
        here.later(days=89)
        assert follows(here) == []
        here.later(days=1)
        assert due(here.state)[0].subject == "review-2"


def attest(here: Facts, **answers: bool) -> None:
    for name, keep in answers.items():
        grant = name.replace("__", "/").replace("_", ".")
        here.change(g.attestations, {"grant": grant}, keep=keep, attested_by="panel.reviewer")


ASKED = ("shop.steward/steward", "shop.reviewer/reviewer", "brand.analyst/analyst")


@pytest.mark.parametrize(
    ("days", "answers", "lapsed"),
    [
        (1, {}, None),
        (1, {"shop_steward__steward": True, "shop_reviewer__reviewer": True}, None),
        (
            1,
            dict.fromkeys(
                ("shop_steward__steward", "shop_reviewer__reviewer", "brand_analyst__analyst"), True
            ),
            (),
        ),
        (
            1,
            {"shop_steward__steward": True, "shop_reviewer__reviewer": False, "brand_analyst__analyst": True},
            ("shop.reviewer/reviewer",),
        ),
        (14, {"brand_analyst__analyst": True}, ("shop.reviewer/reviewer",)),
        (14, {}, ("brand.analyst/analyst", "shop.reviewer/reviewer")),
        (14, {"shop_steward__steward": False}, ("brand.analyst/analyst", "shop.reviewer/reviewer")),
    ],
    ids=["waits", "one missing", "all kept", "one not kept", "silence", "nobody", "the last steward stays"],
)
def test_a_review_ends_what_nobody_attested(
    days: int, answers: dict[str, bool], lapsed: tuple[str, ...] | None
) -> None:
    with facts() as here:
        here.review("review-1", ASKED, here.at + timedelta(days=14))
        attest(here, **answers)
        here.later(days=days)
        wanted = [] if lapsed is None else [("review-1", e.ReviewClosed(lapsed=lapsed))]
        assert follows(here) == wanted


def test_a_steward_lapses_where_another_stays() -> None:
    members = [{"id": f"shop.{name}", "name": name, "roles": ["steward"]} for name in ("steward", "second")]
    document: Any = charter().document
    document["participants"][0]["members"] = members
    with facts(charter(participants=document["participants"])) as here:
        here.review("review-1", ("shop.steward/steward", "shop.second/steward"), here.at + timedelta(days=14))
        attest(here, shop_second__steward=True)
        here.later(days=14)
        assert first(here) == e.ReviewClosed(lapsed=("shop.steward/steward",))
        attest(here, shop_second__steward=False)
        assert first(here) == e.ReviewClosed(lapsed=())


def test_what_ended_before_does_not_lapse_again() -> None:
    with facts() as here:
        here.review("review-1", ASKED, here.at + timedelta(days=14))
        here.change(g.grants, {"grant": "shop.reviewer/reviewer"}, revoked=True)
        here.change(g.grants, {"grant": "brand.analyst/analyst"}, expires_at=timestamp(here.at))
        here.later(days=14)
        assert first(here) == e.ReviewClosed(lapsed=())


@pytest.mark.parametrize("end", ["expires", "is revoked"])
def test_an_emergency_is_reviewed_after_it_ended(end: str) -> None:
    with facts() as here:
        here.grant(
            "shop.analyst",
            "steward",
            "e-1",
            emergency=True,
            expires_at=timestamp(here.at + timedelta(hours=4)),
        )
        assert follows(here) == []
        if end == "expires":
            here.later(hours=4)
        else:
            here.change(g.grants, {"grant": "e-1"}, revoked=True)
        opened = first(here)
        assert opened.kind == "emergency"
        assert opened.grants == (e.ReviewGrant(grant="e-1", member="shop.analyst", role="steward"),)
        assert opened.due == here.at + timedelta(days=7)
        here.review("review-1", ("e-1",), opened.due, kind="emergency")
        assert follows(here) == []
        here.later(days=7)
        assert follows(here) == []  # silence ends no review of an emergency
        here.change(g.attestations, {"review": "review-1"}, keep=False)
        assert first(here) == e.ReviewClosed(lapsed=())


# --- all together


def test_a_closed_collaboration_has_no_consequences() -> None:
    with facts() as here:
        here.decision(matter="membership", about="media", content={"step": "remove"}, status="approved")
        here.decision("d-2", "purpose", "p-2")
        here.phase("closed").later(days=400)
        assert follows(here) == []


def test_only_what_is_due_is_due() -> None:
    with facts() as here:
        here.decision(matter="membership", about="media", content={"step": "suspend"}, status="approved")
        (event,) = due(here.state)
        assert (event.actor, event.time) == ("operator", here.at)
        assert is_due(here.state, event)
        assert not is_due(here.state, event.model_copy(update={"subject": "shop"}))
        other = e.ParticipantSuspended(participant="shop", decision="d-1")
        assert not is_due(here.state, event.model_copy(update={"payload": other}))
        assert not is_due(here.state, event.model_copy(update={"payload": e.ExceptionLapsed()}))
