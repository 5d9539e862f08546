"""What acts of governance leave in the tables; the order of states is in the test of `lifecycle`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Table, insert, select

from orchestration.audit import governance_events as e
from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.events import PAYLOADS, Event
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.projections import (
    ALL_TABLES,
    PROJECTORS,
    AlreadyRecordedError,
    OutOfOrderError,
)
from orchestration.audit.stage_events import RequestSubmitted
from orchestration.audit.vocabulary import Payload, timestamp
from orchestration.digests import digest_json
from orchestration.signing import SigningKey

NAME = "duo"
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FIRST, SECOND = digest_json("first"), digest_json("second")
MEMBER = "shop.steward"


def key(name: str) -> SigningKey:
    return SigningKey.from_seed(name.encode().ljust(32, b"."))


def document(*participants: str) -> dict[str, Any]:
    members = {
        each: [
            {"id": f"{each}.steward", "roles": ["steward", "owner"]},
            {"id": f"{each}.analyst", "roles": []},
        ]
        for each in participants
    }
    return {
        "effective_until": "2026-12-31",
        "participants": [{"id": each, "members": members[each]} for each in participants],
    }


class Book:
    """A log without a guard: projections alone."""

    def __init__(self, log: AuditLog) -> None:
        self.log, self.at = log, AT
        log.clock = lambda: self.at

    def say(self, payload: Payload, subject: str = NAME, actor: str = MEMBER, days: int = 0) -> LoggedEvent:
        self.at = max(self.at, AT + timedelta(days=days))
        event = Event(collaboration=NAME, subject=subject, actor=actor, time=self.at, payload=payload)
        return self.log.append(event)

    def rows(self, table: Table, **where: object) -> list[Any]:
        query = select(table).order_by(*table.primary_key.columns)
        for column, value in where.items():
            query = query.where(table.c[column] == value)
        with self.log.read() as connection:
            return list(connection.execute(query))

    def one(self, table: Table, **where: object) -> Any:
        (row,) = self.rows(table, **where)
        return row

    def propose(self, digest: str = FIRST, *participants: str, supersedes: str | None = None) -> LoggedEvent:
        named = document(*(participants or ("shop", "panel")))
        return self.say(
            e.CharterProposed(digest=digest, title="x", version=1, document=named, supersedes=supersedes)
        )

    def activate(self) -> None:
        self.propose()
        self.accept("shop")
        self.say(e.CharterActivated(digest=FIRST))

    def accept(self, participant: str, name: str = "first") -> LoggedEvent:
        steward = f"{participant}.steward"
        return self.say(
            e.ParticipantAccepted(
                participant=participant,
                steward=steward,
                public_key=key(name + participant).public,
                evidence={"register": FIRST},
            ),
            participant,
        )

    def enroll(self, member: str, *roles: str, name: str = "enrolled") -> LoggedEvent:
        until = AT + timedelta(days=30)
        return self.say(
            e.MemberEnrolled(
                member=member, roles=roles, public_key=key(name).public, proof="x", expires_at=until
            ),
            member,
        )


@pytest.fixture
def book(control_url: str) -> Iterator[Book]:
    with AuditLog(control_url) as log:
        yield Book(log)


def test_every_payload_has_a_projector() -> None:
    assert set(PROJECTORS) == set(PAYLOADS.values())


def test_a_proposal_invites_whom_nobody_invited_before(book: Book) -> None:
    book.activate()
    book.propose(SECOND, "shop", "panel", "bank", supersedes=FIRST)
    status = {row.participant: row.status for row in book.rows(g.participants)}
    assert status == {"shop": "active", "panel": "invited", "bank": "invited"}
    row = book.one(g.charters, digest=SECOND)
    assert (row.status, row.supersedes, row.activated_at) == ("proposed", FIRST, None)
    assert json.loads(row.document) == document("shop", "panel", "bank")
    with pytest.raises(AlreadyRecordedError):
        book.propose(SECOND)


def test_a_new_charter_supersedes_the_old_one(book: Book) -> None:
    book.activate()
    book.propose(SECOND, supersedes=FIRST)
    for wrong in (None, SECOND):
        with pytest.raises((OutOfOrderError, AlreadyRecordedError)):
            book.say(e.CharterActivated(digest=SECOND, supersedes=wrong))
    book.say(e.CharterActivated(digest=SECOND, supersedes=FIRST), days=1)
    status = {row.digest: (row.status, row.activated_at) for row in book.rows(g.charters)}
    assert status == {
        FIRST: ("superseded", timestamp(AT)),
        SECOND: ("active", timestamp(AT + timedelta(days=1))),
    }
    assert book.one(g.collaborations).charter == SECOND


def test_signing_anew_replaces_the_keys_that_were_compared(book: Book) -> None:
    book.propose()
    signed = e.CharterSigned(digest=FIRST, participant="shop", stewards={MEMBER: "a"})
    book.say(signed)
    with pytest.raises(AlreadyRecordedError):
        book.say(signed, actor="shop.second")
    logged = book.say(signed.model_copy(update={"stewards": {MEMBER: "b"}}), actor="shop.second")
    row = book.one(g.charter_signatures)
    assert (row.member, json.loads(row.stewards), row.seq) == ("shop.second", {MEMBER: "b"}, logged.seq)


def test_who_accepts_comes_with_key_roles_and_evidence(book: Book) -> None:
    book.propose()
    book.accept("shop")
    row = book.one(g.participants, participant="shop")
    assert (row.status, json.loads(row.evidence)) == ("active", {"register": FIRST})
    assert book.one(g.members).member == MEMBER
    assert book.one(g.keys).status == "active"
    grants = {row.grant: (row.not_before, row.expires_at) for row in book.rows(g.grants)}
    until = timestamp(datetime(2027, 1, 1, tzinfo=UTC))  # the charter's last day counts in full
    never = timestamp(datetime(9999, 12, 31, tzinfo=UTC))  # somebody is there to agree on the next charter
    assert grants == {
        f"{MEMBER}/owner": (timestamp(AT), until),
        f"{MEMBER}/steward": (timestamp(AT), never),
    }


def test_a_mere_proposal_gives_nobody_who_comes_back_other_roles(book: Book) -> None:
    book.activate()
    book.say(e.ParticipantSuspended(participant="shop", decision="d-1"), "shop")
    other = document("shop", "panel")
    other["participants"][0]["members"][0]["roles"] = ["executive"]
    other |= {"effective_until": "2026-03-31"}
    book.say(
        e.CharterProposed(digest=SECOND, title="x", version=2, document=other, supersedes=FIRST),
        actor="panel.steward",
    )
    book.say(e.ParticipantReinstated(participant="shop", decision="d-2"), "shop")
    book.accept("shop")
    assert {row.role for row in book.rows(g.grants, member=MEMBER)} == {"steward", "owner"}
    assert book.one(g.grants, role="owner").expires_at == timestamp(datetime(2027, 1, 1, tzinfo=UTC))


def test_a_new_charter_ends_no_freeze(book: Book) -> None:
    book.activate()
    frozen = book.say(e.CollaborationFrozen())
    book.propose(SECOND, supersedes=FIRST)
    book.say(e.CharterActivated(digest=SECOND, supersedes=FIRST))
    row = book.one(g.collaborations)
    assert (row.state, row.charter, row.seq) == ("frozen", SECOND, frozen.seq)


def test_enrolling_again_replaces_key_and_roles_but_not_what_was_given_apart(book: Book) -> None:
    book.activate()
    member = "shop.analyst"
    first = book.enroll(member, "analyst", "owner")
    apart = e.GrantGiven(
        grant="apart", member=member, role="auditor", not_before=AT, expires_at=AT + timedelta(days=1)
    )
    book.say(apart)
    second = book.enroll(member, "analyst", name="second")
    assert {row.grant for row in book.rows(g.grants, member=member)} == {f"{member}/analyst", "apart"}
    keys = {row.status: (row.seq, row.ended_seq) for row in book.rows(g.keys, member=member)}
    assert keys == {"rotated": (first.seq, second.seq), "active": (second.seq, None)}
    book.enroll(member, "owner", name="second")
    assert {row.role for row in book.rows(g.grants, member=member)} == {"owner", "auditor"}
    assert len(book.rows(g.keys, member=member)) == 2


def test_a_key_counts_from_one_event_to_another(book: Book) -> None:
    book.activate()
    new = key("new")
    rotated = book.say(e.KeyRotated(member=MEMBER, public_key=new.public, proof="x"), MEMBER)
    revoked = book.say(e.KeyRevoked(member=MEMBER, key_id=new.key_id, reason="lost"), MEMBER)
    keys = {row.status: (row.seq, row.ended_seq) for row in book.rows(g.keys)}
    assert keys == {"rotated": (1, rotated.seq), "revoked": (rotated.seq, revoked.seq)}
    with pytest.raises(AlreadyRecordedError):
        book.say(e.KeyRevoked(member=MEMBER, key_id=new.key_id, reason="lost"), MEMBER)
    with pytest.raises(OutOfOrderError):
        book.say(e.KeyRotated(member=MEMBER, public_key=key("more").public, proof="x"), MEMBER)


def test_who_retires_keeps_neither_key_nor_role(book: Book) -> None:
    book.activate()
    book.enroll("shop.analyst", "analyst")
    book.say(e.MemberRetired(member="shop.analyst"), "shop.analyst")
    assert [row.status for row in book.rows(g.keys, member="shop.analyst")] == ["revoked"]
    assert [row.revoked for row in book.rows(g.grants, member="shop.analyst")] == [True]
    assert [row.status for row in book.rows(g.keys, member=MEMBER)] == ["active"]


def test_who_is_reinstated_comes_back_with_the_key_it_had(book: Book) -> None:
    book.activate()
    book.say(e.ParticipantSuspended(participant="shop", decision="d-1"), "shop")
    book.say(e.ParticipantReinstated(participant="shop", decision="d-2"), "shop")
    assert book.one(g.participants, participant="shop").status == "invited"
    book.accept("shop")
    assert [row.status for row in book.rows(g.keys, member=MEMBER)] == ["active"]


def test_where_a_new_key_was_agreed_the_old_ones_of_stewards_end(book: Book) -> None:
    book.activate()
    book.enroll("shop.analyst", "analyst")
    book.say(e.ParticipantSuspended(participant="shop", decision="d-1"), "shop")
    content = {"step": "reinstate", "key_id": key("againshop").key_id}
    book.say(e.DecisionOpened(matter="membership", about="shop", content=content), "d-2")
    book.say(e.ParticipantReinstated(participant="shop", decision="d-2"), "shop")
    status = {row.member: row.status for row in book.rows(g.keys)}
    assert status == {MEMBER: "revoked", "shop.analyst": "active"}
    with pytest.raises(AlreadyRecordedError):
        book.accept("shop")  # the old key never comes back
    book.accept("shop", "again")
    assert len(book.rows(g.keys, member=MEMBER, status="active")) == 1


def test_a_request_that_waits_for_people_opens_its_decision(book: Book) -> None:
    asked = RequestSubmitted(
        template="x",
        parameters={},
        purpose="x",
        requester=MEMBER,
        participant="shop",
        datasets=("sales",),
        approval="questions",
    )
    book.say(asked.model_copy(update={"approval": None}), "r-1")
    assert book.rows(g.decisions) == []
    book.say(asked, "r-2")
    row = book.one(g.decisions)
    told = (row.decision, row.matter, row.about, row.right, row.asked_by, row.status, row.opened_at)
    assert told == ("r-2", "request", "r-2", "questions", MEMBER, "pending", timestamp(AT))
    assert json.loads(book.one(t.requests, request="r-2").datasets) == ["sales"]


def test_a_vote_is_replaced_until_the_decision(book: Book) -> None:
    book.say(e.DecisionOpened(matter="thaw", about=NAME, content={"x": 1}), "d-1")
    assert json.loads(book.one(g.decisions).content) == {"x": 1}
    for vote in ("approve", "reject"):
        book.say(e.VoteCast.model_validate({"decision": "d-1", "vote": vote}), "d-1")
    row = book.one(g.votes)
    assert (row.member, row.participant, row.vote) == (MEMBER, "shop", "reject")
    book.say(e.DecisionEscalated(decision="d-1", to=MEMBER), "d-1")
    with pytest.raises(AlreadyRecordedError):
        book.say(e.DecisionEscalated(decision="d-1", to=MEMBER), "d-1")
    book.say(e.DecisionConcluded(decision="d-1", outcome="rejected", rule="x"), "d-1")
    with pytest.raises(OutOfOrderError):
        book.say(e.VoteCast(decision="d-1", vote="approve"), "d-1")


def test_a_dispute_opens_its_decision_and_gets_its_evidence(book: Book) -> None:
    book.say(e.DisputeRaised(about_kind="dataset", about="sales", remedy="warn"), "c-1")
    row = book.one(g.decisions)
    assert (row.decision, row.matter, row.about, row.right) == ("c-1", "dispute", "c-1", None)
    book.say(e.DisputeDocumented(digest=FIRST), "c-1")
    with pytest.raises(AlreadyRecordedError):
        book.say(e.DisputeDocumented(digest=FIRST), "c-1")
    assert book.one(g.disputes).evidence == FIRST


def test_a_review_ends_the_grants_that_it_names(book: Book) -> None:
    book.activate()
    listed = tuple(
        e.ReviewGrant(grant=f"{MEMBER}/{role}", member=MEMBER, role=role) for role in ("owner", "steward")
    )
    book.say(e.ReviewOpened(kind="access", grants=listed, due=AT), "review-1")
    assert [row.keep for row in book.rows(g.attestations)] == [None, None]
    book.say(e.ReviewAttested(grant=f"{MEMBER}/owner", keep=False), "review-1", "panel.steward")
    with pytest.raises(OutOfOrderError):
        book.say(e.ReviewAttested(grant="other", keep=True), "review-1")
    book.say(e.ReviewClosed(lapsed=(f"{MEMBER}/owner",)), "review-1")
    assert {row.role: row.revoked for row in book.rows(g.grants)} == {"owner": True, "steward": False}
    attested = book.one(g.attestations, grant=f"{MEMBER}/owner")
    assert (attested.keep, attested.attested_by) == (False, "panel.steward")


def test_attestations_and_terms(book: Book) -> None:
    for days in (1, 2):
        until = AT + timedelta(days=days)
        book.say(e.DatasetAttested(dataset="sales", evidence={"x": FIRST}, expires_at=until), "sales")
    assert book.one(g.attested_datasets).expires_at == timestamp(AT + timedelta(days=2))
    book.say(e.TermsAcknowledged(terms=FIRST), MEMBER)
    with pytest.raises(AlreadyRecordedError):
        book.say(e.TermsAcknowledged(terms=FIRST), MEMBER)
    book.say(e.TermsAcknowledged(terms=SECOND), MEMBER)
    assert len(book.rows(g.acknowledgements)) == 2


def test_what_was_destroyed_opens_nothing_any_more(book: Book) -> None:
    place = {"collaboration": NAME, "seq": 0}
    with book.log.write() as connection:
        for contribution in ("one", "two"):
            row = {"contribution": contribution, "dataset": contribution, "participant": "shop"}
            row |= {"delivery": "x", "status": "accepted"}
            connection.execute(insert(t.contributions).values(**place, **row, quarantined=0))
            passed = {"dataset": contribution, "contribution": contribution, "table_name": "x"}
            connection.execute(insert(t.datasets).values(**place, **passed))
            proof = {"receipt_id": contribution, "stage": "gate", "subject": contribution}
            connection.execute(insert(t.receipts).values(**place, **proof, revoked=False))
    book.say(e.DataDestroyed(rule="left", contributions=("one",)), "shop")
    assert {row.contribution: row.status for row in book.rows(t.contributions)} == {
        "one": "destroyed",
        "two": "accepted",
    }
    assert [row.dataset for row in book.rows(t.datasets)] == ["two"]
    assert {row.subject: row.revoked for row in book.rows(t.receipts)} == {"one": True, "two": False}


def test_rebuilding_gives_the_same_tables(book: Book) -> None:
    book.activate()
    book.enroll("shop.analyst", "analyst")
    book.enroll("shop.analyst", "owner", name="second")
    book.say(e.DisputeRaised(about_kind="dataset", about="sales", remedy="warn"), "c-1")
    book.say(e.VoteCast(decision="c-1", vote="approve"), "c-1")
    book.say(e.CollaborationFrozen())
    before = {table.name: book.rows(table) for table in ALL_TABLES}
    book.log.rebuild()
    assert {table.name: book.rows(table) for table in ALL_TABLES} == before
