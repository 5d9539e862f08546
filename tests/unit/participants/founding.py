"""A collaboration of three on a bare log with the guard at its door, every act signed by its own member.

Belongs here: founding it, short words for acts, and for their refusal. Must not be here: the stages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.governance_events import (
    CharterProposed,
    CharterSigned,
    DecisionOpened,
    ParticipantAccepted,
    TermsAcknowledged,
    VoteCast,
)
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.stage_events import RequestSubmitted
from orchestration.audit.statement import sign
from orchestration.audit.vocabulary import Payload, timestamp
from orchestration.charter.loader import parse_charter
from orchestration.charter.model import Charter
from orchestration.digests import canonical_json, digest_json
from orchestration.errors import GlasshouseError
from orchestration.participants import enrollment, guard
from orchestration.participants.consequences import closing_due, due, steward_roster
from orchestration.participants.state import State
from orchestration.signing import SigningKey
from tests.governed_charter import governed

TINY = "tiny"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
EVIDENCE = digest_json("a document")

_MEDIA = {
    "id": "media",
    "name": "Media",
    "description": "Shows adverts.",
    "responsibilities": ["Watches the log."],
    "members": [
        {"id": "media.steward", "name": "Steward", "roles": ["steward"]},
        {"id": "media.second", "name": "Second", "roles": ["steward", "auditor"]},
        {"id": "media.analyst", "name": "Analyst", "roles": ["analyst"]},
    ],
}
_NEWCOMER = {
    "id": "bank",
    "name": "Bank",
    "description": "Comes later.",
    "responsibilities": ["Nothing yet."],
    "members": [{"id": "bank.steward", "name": "Steward", "roles": ["steward"]}],
}


def agreed(**clauses: Any) -> Charter:
    """The charter of the three; `clauses` replace sections."""
    document: Any = json.loads(canonical_json(parse_charter(governed().encode()).document))
    document["participants"].append(_MEDIA)
    document["eligibility"] = [
        {"id": "register", "text": "Registered.", "required": True},
        {"id": "insurance", "text": "Insured.", "required": False},
    ]
    document["terms"] = [{"id": "secrecy", "title": "Secrecy", "text": "Nobody tells."}]
    return Charter.model_validate_json(canonical_json(document | clauses))


def amended(charter: Charter, *, newcomer: bool = False, **clauses: Any) -> Charter:
    """The next version."""
    document: Any = json.loads(canonical_json(charter.document))
    document["version"] += 1
    if newcomer:
        document["participants"].append(_NEWCOMER)
    return Charter.model_validate_json(canonical_json(document | clauses))


@dataclass
class Trio:
    """The log, everybody's keys, and a clock that tests move."""

    log: AuditLog
    charter: Charter = field(default_factory=agreed)
    at: datetime = START
    keys: dict[str, SigningKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log.clock = lambda: self.at

    def key(self, member: str) -> SigningKey:
        return self.keys.setdefault(member, SigningKey.from_seed(member.encode().ljust(32, b".")))

    def later(self, **time: float) -> Trio:
        self.at += timedelta(**time)
        return self

    @contextmanager
    def state(self) -> Iterator[State]:
        with self.log.read() as connection:
            yield State(connection, self.charter.collaboration, self.at)

    def event(self, actor: str, subject: str, payload: Payload, why: str = "test") -> Event:
        return Event(
            collaboration=self.charter.collaboration,
            subject=subject,
            actor=actor,
            justification=why,
            time=self.at,
            payload=payload,
        )

    def signed(self, actor: str, subject: str, payload: Payload, key: SigningKey | None = None) -> Event:
        return sign(self.event(actor, subject, payload), key or self.key(actor), issued=self.at)

    def act(self, actor: str, subject: str, payload: Payload, key: SigningKey | None = None) -> LoggedEvent:
        """Record a signed act, then what follows from it."""
        logged = self.log.append(self.signed(actor, subject, payload, key))
        self.settle()
        return logged

    def operator(self, subject: str, payload: Payload) -> LoggedEvent:
        """What the house records itself; nobody signs it."""
        return self.log.append(self.event("operator", subject, payload))

    def settle(self) -> None:
        while True:
            with self.state() as state:
                events = due(state)
            if not events:
                return
            self.log.append(events[0])

    def close(self) -> None:
        with self.state() as state:
            events = closing_due(state)
        self.log.append_many(events)

    # --- acts

    def propose(self, charter: Charter | None = None, actor: str = "operator") -> Event:
        charter = charter or self.charter
        with self.state() as state:
            active = state.charter
        payload = CharterProposed(
            digest=charter.digest,
            title=charter.title,
            version=charter.version,
            document=charter.document,
            supersedes=active.digest if active is not None else None,
        )
        make = self.event if active is None else self.signed
        event = make(actor, charter.collaboration, payload)
        self.log.append(event)
        return event

    def accepted(self, steward: str, key: SigningKey | None = None, **changes: Any) -> ParticipantAccepted:
        payload = ParticipantAccepted(
            participant=steward.partition(".")[0],
            steward=steward,
            public_key=(key or self.key(steward)).public,
            evidence={"register": EVIDENCE},
        )
        return payload.model_copy(update=changes)

    def accept(self, steward: str, key: SigningKey | None = None) -> LoggedEvent:
        return self.act(steward, steward.partition(".")[0], self.accepted(steward, key), key)

    def enrolled(self, steward: str, member: str, *roles: str, key: SigningKey | None = None) -> Event:
        file = enrollment.public_file(key or self.key(member), self.charter.collaboration, member)
        given = roles or self.charter.member(member).roles
        until = self.at + timedelta(days=300)
        event = enrollment.enroll_member(
            self.charter.collaboration, steward, file, given, until, "Works here."
        )
        return sign(event.model_copy(update={"time": self.at}), self.key(steward), issued=self.at)

    def enroll(self, steward: str, member: str, *roles: str, key: SigningKey | None = None) -> LoggedEvent:
        return self.log.append(self.enrolled(steward, member, *roles, key=key))

    def roster(self, charter: Charter | None = None) -> dict[str, str]:
        with self.state() as state:
            return steward_roster(state, charter or self.charter)

    def sign_charter(self, steward: str, charter: Charter | None = None) -> LoggedEvent:
        charter = charter or self.charter
        payload = CharterSigned(
            digest=charter.digest,
            participant=steward.partition(".")[0],
            stewards=self.roster(charter),
        )
        return self.act(steward, charter.collaboration, payload)

    def ask(self, actor: str, decision: str, matter: str, about: str, **content: Any) -> LoggedEvent:
        payload = {"matter": matter, "about": about, "content": content}
        return self.act(actor, decision, DecisionOpened.model_validate(payload))

    def vote(self, member: str, decision: str, vote: str = "approve") -> LoggedEvent:
        payload = VoteCast.model_validate({"decision": decision, "vote": vote})
        return self.act(member, decision, payload)

    def request(self, subject: str = "r-1", **changes: Any) -> RequestSubmitted:
        payload = RequestSubmitted(
            template="joint_segmentation",
            parameters={},
            purpose="insight",
            requester="shop.analyst",
            participant="shop",
            charter=self.charter.digest,
            datasets=("sales", "people"),
            approval="questions",
        )
        return payload.model_copy(update=changes)


STEWARDS = ("shop.steward", "panel.steward", "media.steward")


def forming(log: AuditLog, charter: Charter | None = None, keys: dict[str, SigningKey] | None = None) -> Trio:
    """Proposed; everybody accepted and enrolled its members; nobody signed yet."""
    trio = Trio(log, charter or agreed(), keys=keys or {})
    trio.propose()
    for steward in STEWARDS:
        trio.accept(steward)
        for member in trio.charter.participant_of(steward).members:
            if member.id != steward:
                trio.enroll(steward, member.id)
    return trio


def found(log: AuditLog, charter: Charter | None = None) -> Trio:
    """Active: everybody signed, and read the terms."""
    trio = forming(log, charter)
    for steward in STEWARDS:
        trio.sign_charter(steward)
    return trio


def guarded(url: str) -> AuditLog:
    return AuditLog(url, admit=guard.admit)


def refused(code: str, act: Callable[[], Any]) -> GlasshouseError:
    with pytest.raises(GlasshouseError) as caught:
        act()
    assert caught.value.code == code, caught.value
    assert caught.value.message
    assert caught.value.next_step
    return caught.value


def refused_event(trio: Trio, code: str, event: Event) -> None:
    """Refused, and not a trace is left."""
    before = trio.log.size
    refused(code, lambda: trio.log.append(event))
    assert trio.log.size == before


def read_terms(trio: Trio, member: str) -> None:
    terms = trio.charter.terms_digest
    assert terms is not None
    trio.act(member, member, TermsAcknowledged(terms=terms))


def shelve(trio: Trio, release: str, receivers: str) -> None:
    """A release and its request in the tables; how one comes about is `test_handovers`' business."""
    question = {"collaboration": TINY, "template": "joint_segmentation", "purpose": "insight", "seq": 0}
    asked = {"requester": "shop.analyst", "participant": "shop", "status": "released", "updated_seq": 0}
    asked |= {"parameters": "{}", "datasets": '["people"]', "charter_digest": trio.charter.digest}
    until = timestamp(trio.at + timedelta(days=30))
    shelved = {"release": release, "receivers": receivers, "expires_at": until, "recalled": False}
    with trio.log.write() as connection:
        connection.execute(insert(t.requests).values(question | asked | {"request": f"r-{release}"}))
        connection.execute(insert(t.releases).values(question | shelved | {"request": f"r-{release}"}))
