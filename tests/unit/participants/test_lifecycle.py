"""Every lifecycle: its illegal steps, and that tables and projectors say the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, insert, select
from sqlalchemy import exc as sql

from orchestration.audit import governance_events as e
from orchestration.audit import governance_tables as g
from orchestration.audit import stage_events as s
from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.projections import (
    AlreadyRecordedError,
    Entry,
    OutOfOrderError,
    json_text,
    project,
)
from orchestration.audit.vocabulary import Payload, StageReceipt, timestamp
from orchestration.audit.withdrawal_events import OutputOutdated
from orchestration.errors import PolicyDeniedError
from orchestration.participants import lifecycle
from orchestration.participants.lifecycle import TABLES, UNKNOWN, Kind
from orchestration.signing import SigningKey
from tests.unit.participants.founding import agreed

NAME = "tiny"
AT = datetime(2026, 3, 2, tzinfo=UTC)
WHEN = timestamp(AT)
CHARTER = agreed()
KEY, NEW_KEY = (SigningKey.from_seed(each.ljust(32, b".")) for each in (b"old", b"new"))
MEMBER = "shop.steward"
DIGEST = CHARTER.digest


def receipt(stage: s.Stage) -> StageReceipt:
    return StageReceipt(stage=stage, subject="it", charter_digest=DIGEST, run_id="run")


PAYLOADS: dict[str, Payload] = {
    payload.type: payload
    for payload in (
        e.CharterProposed(digest=DIGEST, title="x", version=1, document=CHARTER.document),
        e.CharterSigned(digest=DIGEST, participant="shop", stewards={}),
        e.CharterWithdrawn(digest=DIGEST),
        e.CharterActivated(digest=DIGEST),
        e.CharterClosed(digest=DIGEST, decision="it"),
        e.ParticipantAccepted(participant="shop", steward=MEMBER, public_key=NEW_KEY.public),
        e.ParticipantLeft(participant="shop"),
        e.ParticipantSuspended(participant="shop", decision="it"),
        e.ParticipantReinstated(participant="shop", decision="it"),
        e.ParticipantRemoved(participant="shop", decision="it"),
        e.MemberEnrolled(
            member=MEMBER, roles=("steward",), public_key=NEW_KEY.public, proof="x", expires_at=AT
        ),
        e.MemberRetired(member=MEMBER),
        e.KeyRotated(member=MEMBER, public_key=NEW_KEY.public, proof="x"),
        e.KeyRevoked(member=MEMBER, key_id=KEY.key_id, reason="lost"),
        e.GrantGiven(grant="it", member=MEMBER, role="steward", not_before=AT, expires_at=AT),
        e.GrantRenewed(grant="it", expires_at=AT),
        e.GrantRevoked(grant="it"),
        e.EmergencyOpened(grant="it", member=MEMBER, role="steward", expires_at=AT),
        e.DecisionOpened(matter="thaw", about=NAME),
        e.VoteCast(decision="it", vote="approve"),
        e.DecisionEscalated(decision="it", to=MEMBER),
        e.DecisionConcluded(decision="it", outcome="approved", rule="x"),
        e.CollaborationFrozen(),
        e.CollaborationThawed(decision="it"),
        e.DisputeRaised(about_kind="dataset", about="people", remedy="warn"),
        e.DisputeDocumented(digest=DIGEST),
        e.DisputeResolved(outcome="upheld", decision="it"),
        e.OutputRecalled(release="it", decision="it"),
        OutputOutdated(release="it", by="people_withdrawn", contributions=("it",), effect="recalled"),
        e.ExceptionGranted(what="x", owner="x", residual_risk="x", expires_at=AT, decision="it"),
        e.ExceptionLapsed(),
        e.ReviewOpened(kind="access", grants=(), due=AT),
        e.ReviewAttested(grant="it", keep=True),
        e.ReviewClosed(lapsed=()),
        s.RequestSubmitted(
            template="x", parameters={}, purpose="x", requester="x", participant="x", approval="all"
        ),
        s.RequestDecided(allowed=True, message="x"),
        s.ComputationRun(receipt=receipt("cells"), request="it", template="x", template_digest=DIGEST),
        s.OutputGenerated(
            receipt=receipt("protected"),
            request="it",
            template="x",
            threshold=1,
            cells_shown=1,
            cells_primary=0,
            cells_complementary=0,
        ),
        s.OutputWithheld(request="it", code="x", message="x", next_step="x"),
        s.OutputReleased(
            receipt=receipt("insight"),
            request="it",
            release="it",
            template="x",
            purpose="x",
            receivers=(),
            files={"x": DIGEST},
            expires_at=AT,
        ),
    )
}

# What else an event moves, and the state that needs.
BESIDES: dict[str, dict[Kind, str]] = {
    "charter.activated": {"charter": "proposed", "collaboration": "forming"},
    "charter.closed": {"charter": "active", "collaboration": "active"},
    "charter.signed": {"charter": "proposed"},
    "participant.accepted": {"participant": "invited", "charter": "proposed"},
    "output.released": {"request": "protected"},
}
# Opening a recalled release is refused by the guard alone: the projector adds a row for each opening.
BY_GUARD = {("release", "output.accessed")}

ROWS: dict[Kind, Callable[[str], tuple[Any, dict[str, Any]]]] = {
    "charter": lambda state: (
        g.charters,
        {
            "digest": DIGEST,
            "title": "x",
            "version": 1,
            "status": state,
            "document": json_text(CHARTER.document),
            "proposed_by": "x",
        },
    ),
    "collaboration": lambda state: (
        g.collaborations,
        {"state": state, "charter": DIGEST if state == "closed" else None},
    ),
    "participant": lambda state: (
        g.participants,
        {"participant": "shop", "status": state, "evidence": "{}"},
    ),
    "member": lambda state: (g.members, {"member": MEMBER, "participant": "shop", "status": state}),
    "grant": lambda state: (
        g.grants,
        {
            "grant": "it",
            "member": MEMBER,
            "role": "steward",
            "not_before": WHEN,
            "expires_at": WHEN,
            "revoked": state == "revoked",
            "emergency": False,
        },
    ),
    "decision": lambda state: (
        g.decisions,
        {
            "decision": "it",
            "matter": "thaw",
            "about": NAME,
            "content": "{}",
            "asked_by": "x",
            "status": state,
            "opened_at": WHEN,
            "escalated": False,
        },
    ),
    "dispute": lambda state: (
        g.disputes,
        {
            "dispute": "it",
            "about_kind": "dataset",
            "about": "people",
            "remedy": "warn",
            "status": state,
            "raised_by": "x",
        },
    ),
    "exception": lambda state: (
        g.exceptions,
        {
            "exception": "it",
            "what": "x",
            "owner": "x",
            "residual_risk": "x",
            "expires_at": WHEN,
            "status": state,
            "decision": "it",
        },
    ),
    "review": lambda state: (
        g.reviews,
        {"review": "it", "kind": "access", "status": state, "due": WHEN},
    ),
    "request": lambda state: (
        t.requests,
        {
            "request": "it",
            "template": "x",
            "parameters": "{}",
            "purpose": "x",
            "requester": "x",
            "participant": "x",
            "status": state,
            "datasets": "[]",
            "updated_seq": 0,
        },
    ),
    "release": lambda state: (
        t.releases,
        {
            "release": "it",
            "request": "it",
            "template": "x",
            "purpose": "x",
            "receivers": "[]",
            "expires_at": WHEN,
            "recalled": state == "recalled",
        },
    ),
}


def states(kind: Kind) -> list[str]:
    table = TABLES[kind]
    return sorted({state for state, _ in table} | {after for each in table.values() for after in each})


def cases() -> Iterator[tuple[Kind, str, str]]:
    for kind, table in TABLES.items():
        for event in sorted({event for _, event in table}):
            for state in states(kind):
                if (kind, event) not in BY_GUARD:
                    yield kind, state, event


def world(connection: Connection, present: Mapping[Kind, str]) -> None:
    for kind, state in present.items():
        if state != UNKNOWN:
            table, row = ROWS[kind](state)
            connection.execute(insert(table).values(collaboration=NAME, seq=0, **row))
    if present.get("member", UNKNOWN) != UNKNOWN:
        key = {"member": MEMBER, "key_id": KEY.key_id, "public_key": json_text(KEY.public)}
        status = "active" if present["member"] == "active" else "revoked"
        connection.execute(insert(g.keys).values(collaboration=NAME, seq=0, status=status, **key))
    if present.get("review", UNKNOWN) != UNKNOWN:
        connection.execute(insert(g.attestations).values(collaboration=NAME, review="it", grant="it", seq=0))


def state_of(connection: Connection, kind: Kind) -> str:
    table, _ = ROWS[kind](UNKNOWN)
    row = connection.execute(select(table)).first()
    if row is None:
        return UNKNOWN
    if kind == "grant":
        return "revoked" if row.revoked else "given"
    if kind == "release":
        return "recalled" if row.recalled else "released"
    return str(row.state if kind == "collaboration" else row.status)


@pytest.mark.parametrize(("kind", "state", "event"), list(cases()))
def test_projectors_take_the_legal_steps_and_no_others(kind: Kind, state: str, event: str) -> None:
    engine = create_engine("sqlite://")
    t.metadata.create_all(engine)
    entry = Entry(
        7,
        "0" * 64,
        Event(collaboration=NAME, subject="it", actor=MEMBER, time=AT, payload=PAYLOADS[event]),
    )
    legal = TABLES[kind].get((state, event))
    with engine.begin() as connection:
        world(connection, {**BESIDES.get(event, {}), kind: state})
        if (kind, event) == ("participant", "charter.proposed") and state != UNKNOWN:
            project(connection, entry)  # naming a participant again changes nothing
            assert state_of(connection, kind) == state
        elif legal is None:
            with pytest.raises((AlreadyRecordedError, OutOfOrderError, sql.IntegrityError)):
                project(connection, entry)
        else:
            project(connection, entry)
            assert state_of(connection, kind) in legal
    engine.dispose()


@pytest.mark.parametrize(("kind", "state", "event"), list(cases()))
def test_an_illegal_step_names_the_state_and_the_legal_steps(kind: Kind, state: str, event: str) -> None:
    legal = TABLES[kind].get((state, event))
    if legal is not None:
        assert lifecycle.step(kind, state, event) == legal
        return
    with pytest.raises(PolicyDeniedError) as caught:
        lifecycle.step(kind, state, event)
    assert caught.value.code == "lifecycle.illegal_step"
    assert state in caught.value.message
    known = lifecycle.legal_steps(kind, state)
    assert all(step in caught.value.next_step for step in known)
    assert known or "end" in caught.value.next_step


def test_ends_are_ends() -> None:
    assert lifecycle.legal_steps("collaboration", "closed") == ()
    assert lifecycle.legal_steps("charter", "withdrawn") == ()
    assert lifecycle.legal_steps("participant", "removed") == ()
    assert lifecycle.is_repetition("collaboration", "frozen", "collaboration.frozen")
    assert not lifecycle.is_repetition("collaboration", "closed", "collaboration.frozen")
