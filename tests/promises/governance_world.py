"""The house's side: the same acts as signed events against the real log, guard and consequences.

Belongs here: turning acts into events, keys, ways to cheat, and reading the tables. Must not be here: any
expectation about what is allowed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from orchestration.audit import governance_events as e
from orchestration.audit import governance_tables as g
from orchestration.audit import stage_events as s
from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog
from orchestration.audit.portal_events import LoginChanged
from orchestration.audit.projections import AlreadyRecordedError, OutOfOrderError
from orchestration.audit.statement import sign, statement_id
from orchestration.audit.vocabulary import Payload
from orchestration.charter.model import Charter
from orchestration.digests import canonical_json, digest_bytes
from orchestration.errors import (
    CharterError,
    ContributionError,
    IntegrityError,
    PolicyDeniedError,
    ReceiptError,
)
from orchestration.participants import policy, verdict
from orchestration.participants.consequences import closing_due, due
from orchestration.participants.enrollment import prove
from orchestration.participants.question import Question
from orchestration.participants.state import State, participant_of
from orchestration.signing import SigningKey
from tests.data_path import DataPath
from tests.promises.governance_cast import Document

REFUSALS = (PolicyDeniedError, IntegrityError, CharterError, AlreadyRecordedError, OutOfOrderError)
FLAWS = (
    "unsigned",
    "stranger",
    "colleague",
    "ended",
    "replayed",
    "expired",
    "future",
    "changed",
    "elsewhere",
)

# Acts that say themselves whose they are.
_SPEAKER = {"accept": "steward", "acknowledge": "member", "request": "requester", "open": "member"}


class World:
    """One collaboration in a log that holds others too."""

    def __init__(self, log: AuditLog, name: str) -> None:
        self.log, self.name = log, name
        self.keys: dict[str, SigningKey] = {}
        self.ended: dict[str, SigningKey] = {}
        self.recorded: list[Event] = []
        self.refusals: dict[str, int] = {}

    # --- acts

    def new_key(self, member: str) -> SigningKey:
        seed = hashlib.sha256(f"{self.name} {member} {len(self.keys)}".encode()).digest()
        key = SigningKey.from_seed(seed)
        self.keys[key.key_id] = key
        return key

    def event(
        self, verb: str, actor: str, at: datetime, act: dict[str, Any], speaks_for: str | None = None
    ) -> Event:
        """`speaks_for`: whom the act claims to be of; the actor, if it is honest."""
        told = {_SPEAKER[verb]: speaks_for or actor} if verb in _SPEAKER else {}
        subject, payload = getattr(self, f"_{verb}")(**act, **told)
        return Event(
            collaboration=self.name,
            subject=subject,
            actor=actor,
            justification=act.get("why", "test"),
            time=at,
            payload=payload,
        )

    def signed(self, event: Event, key: SigningKey | None) -> Event:
        """By the key that the act brings, or the actor's; whoever has none signs with any."""
        if isinstance(event.payload, e.ParticipantAccepted):
            key = self.keys[str(event.payload.public_key["keyid"])]
        return sign(event, key or SigningKey.generate(), issued=event.time)

    def records(self, event: Event, lent: str | None = None) -> bool:
        """Whether the log took it; `lent`: the emergency grant whose use is told with it."""
        events = [event]
        if lent is not None:
            act = statement_id(event)
            told = e.EmergencyUsed(grant=lent, member=event.actor, action=event.type, act=act)
            events.insert(0, self.forged(event.time, told, event.actor))
        try:
            self.log.append_many(events)
        except REFUSALS as error:
            self.refusals[error.code] = self.refusals.get(error.code, 0) + 1
            return False
        if event.signature is not None:
            self.recorded.append(event)
        return True

    def cheat(
        self, flaw: str, event: Event, key: SigningKey | None, others: Iterable[SigningKey]
    ) -> Event | None:
        """The act, but signed wrongly; None where this is not possible."""
        at, colleague = event.time, next(iter(others), None)
        match flaw:
            case "unsigned":
                return event
            case "stranger":
                return sign(event, SigningKey.generate(), issued=at)
            case "colleague":
                return sign(event, colleague, issued=at) if colleague else None
            case "ended":
                ended = self.ended.get(event.actor)
                return sign(event, ended, issued=at) if ended and ended is not key else None
            case "replayed":
                return self.recorded[-1].model_copy(update={"time": at}) if self.recorded else None
        if key is None:
            return None
        match flaw:
            case "expired":
                return sign(event, key, issued=at - timedelta(hours=1))
            case "future":
                return sign(event, key, issued=at + timedelta(minutes=5, milliseconds=1))
            case "changed":
                return sign(event, key, issued=at).model_copy(update={"justification": "Another."})
            case "elsewhere":
                there = sign(event.model_copy(update={"collaboration": "elsewhere"}), key, issued=at)
                return there.model_copy(update={"collaboration": self.name})
        raise ValueError(flaw)

    def forged(self, at: datetime, payload: Payload, subject: str) -> Event:
        return Event(collaboration=self.name, subject=subject, actor="operator", time=at, payload=payload)

    def settle(self, at: datetime) -> None:
        """Record what is due, one event after the other; then the end, if that was decided."""
        while (following := self._asks(at, due)) is not None:
            self.log.append(following)
        ending = self._asks(at, closing_due)
        if ending is not None:
            closed = ending.payload.model_copy(update={"destroyed": ("room",)})
            self.log.append(ending.model_copy(update={"payload": closed}))

    def _asks(self, at: datetime, what: Callable[[State], list[Event]]) -> Event | None:
        with self.log.read() as connection:
            return next(iter(what(State(connection, self.name, at))), None)

    # --- each act as subject and payload

    def _propose(self, digest: str, document: Document, supersedes: str | None) -> tuple[str, Payload]:
        charter = charter_of(document)
        payload = e.CharterProposed(
            digest=digest,
            title=charter.title,
            version=charter.version,
            document=charter.document,
            supersedes=supersedes,
        )
        return self.name, payload

    def _sign(self, digest: str, organization: str, roster: dict[str, str]) -> tuple[str, Payload]:
        return self.name, e.CharterSigned(digest=digest, participant=organization, stewards=roster)

    def _withdraw(self, digest: str) -> tuple[str, Payload]:
        return self.name, e.CharterWithdrawn(digest=digest)

    def _accept(self, organization: str, key: str, evidence: list[str], steward: str) -> tuple[str, Payload]:
        payload = e.ParticipantAccepted(
            participant=organization,
            steward=steward,
            public_key=self.keys[key].public,
            evidence={each: digest_bytes(b"shown") for each in evidence},
        )
        return organization, payload

    def _leave(self, organization: str) -> tuple[str, Payload]:
        return organization, e.ParticipantLeft(participant=organization)

    def _enroll(self, member: str, key: str, roles: list[str], end: datetime) -> tuple[str, Payload]:
        payload = e.MemberEnrolled(
            member=member,
            roles=tuple(roles),
            public_key=self.keys[key].public,
            proof=prove(self.keys[key], self.name, member),
            expires_at=end,
        )
        return member, payload

    def _retire(self, member: str) -> tuple[str, Payload]:
        return member, e.MemberRetired(member=member)

    def _rotate(self, member: str, key: str) -> tuple[str, Payload]:
        public, proof = self.keys[key].public, prove(self.keys[key], self.name, member)
        return member, e.KeyRotated(member=member, public_key=public, proof=proof)

    def _revoke_key(self, member: str, key: str) -> tuple[str, Payload]:
        return member, e.KeyRevoked(member=member, key_id=key, reason="lost")

    def _give(
        self, grant: str, member: str, role: str, start: datetime, end: datetime
    ) -> tuple[str, Payload]:
        payload = e.GrantGiven(grant=grant, member=member, role=role, not_before=start, expires_at=end)
        return grant, payload

    def _renew(self, grant: str, end: datetime) -> tuple[str, Payload]:
        return grant, e.GrantRenewed(grant=grant, expires_at=end)

    def _revoke(self, grant: str) -> tuple[str, Payload]:
        return grant, e.GrantRevoked(grant=grant)

    def _lend(self, grant: str, member: str, role: str, end: datetime) -> tuple[str, Payload]:
        return grant, e.EmergencyOpened(grant=grant, member=member, role=role, expires_at=end)

    def _attest(self, review: str, grant: str, keep: bool) -> tuple[str, Payload]:
        return review, e.ReviewAttested(grant=grant, keep=keep)

    def _freeze(self) -> tuple[str, Payload]:
        return self.name, e.CollaborationFrozen()

    def _dispute(self, dispute: str, kind: Any, about: str, remedy: Any) -> tuple[str, Payload]:
        return dispute, e.DisputeRaised(about_kind=kind, about=about, remedy=remedy)

    def _ask(
        self, question: str, matter: Any, about: str, content: dict[str, Any], here: str
    ) -> tuple[str, Payload]:
        return question, e.DecisionOpened(matter=matter, about=about, content=content)

    def _vote(self, question: str, vote: Any) -> tuple[str, Payload]:
        return question, e.VoteCast(decision=question, vote=vote)

    def _login(self, member: str) -> tuple[str, Payload]:
        return member, LoginChanged(change="enabled")

    def _vouch(self, dataset: str, evidence: list[str], end: datetime) -> tuple[str, Payload]:
        shown = {each: digest_bytes(b"shown") for each in evidence}
        return dataset, e.DatasetAttested(dataset=dataset, evidence=shown, expires_at=end)

    def may_contribute(self, at: datetime, actor: str, dataset: str, purpose: str) -> bool:
        """Whether the policies let it; the delivery itself is another promise's."""
        with self.log.read() as connection:
            state = State(connection, self.name, at)
            return policy.allows(state, Question(actor, "contribute", dataset, {"purpose": purpose}))

    def _acknowledge(self, terms: str, member: str) -> tuple[str, Payload]:
        digest = charter_of({**self.document, "collaboration": self.name}).terms_digest
        return member, e.TermsAcknowledged(
            terms=str(digest) if terms == "the terms" else digest_bytes(b"other")
        )

    document: Document  # any version: all have the same terms

    def _request(
        self,
        request: str,
        template: str,
        audiences: tuple[str, ...],
        purpose: str,
        datasets: tuple[str, ...],
        approval: str | None,
        charter: str | None,
        requester: str,
    ) -> tuple[str, Payload]:
        payload = s.RequestSubmitted(
            template=template,
            parameters=dict(zip(("left", "right"), audiences, strict=False)),
            purpose=purpose,
            requester=requester,
            participant=participant_of(requester),
            datasets=datasets,
            approval=approval,
            charter=charter,
        )
        return request, payload

    def _open(self, release: str, detail: Any, why: str, member: str) -> tuple[str, Payload]:
        return release, s.OutputAccessed(release=release, member=member, detail=detail)

    # --- what the house does on its own

    def decides(self, request: str, allowed: bool, at: datetime) -> bool:
        """In the house's own words where it has any; in made-up ones where it says something else."""
        payload: Payload = s.RequestDecided(allowed=allowed, message="Decided.")
        with self.log.read() as connection:
            state = State(connection, self.name, at)
            row = state.request(request)
            said = verdict.verdict(state, state.charter, row) if row is not None and state.charter else None
        if (
            said is not None
            and isinstance(said.payload, s.RequestDecided)
            and said.payload.allowed is allowed
        ):
            payload = said.payload
        return self.records(self.forged(at, payload, request))

    def answers(
        self, request: str, template: str, purpose: str, givers: Mapping[str, str], at: datetime
    ) -> bool:
        """Give what the answer reads, by these members; run, protect and release."""
        with self.log.read() as connection:
            state = State(connection, self.name, at)
            charter, keys = state.charter, {each: state.active_key(each) for each in givers.values()}
        if charter is None:
            return False
        path = DataPath(self.log, charter, at)
        try:
            gates = []
            for dataset, giver in givers.items():
                key = keys[giver]
                signing = self.keys[key.id] if key is not None else SigningKey.generate()
                gates.append(path.contribute(dataset, giver, signing, file=request))
            path.answer(request, template, purpose, path.record(path.refreshed(*gates)))
        except (*REFUSALS, ContributionError, ReceiptError) as error:
            self.refusals[error.code] = self.refusals.get(error.code, 0) + 1
            return False
        return True

    # --- what the tables say

    def tells(self, at: datetime) -> dict[str, Any]:
        with self.log.read() as connection:
            state = State(connection, self.name, at)
            charter = state.charter
            return {
                "phase": state.phase,
                "active": charter.digest if charter else None,
                "charters": {row.digest: row.status for row in state.rows(g.charters)},
                "organizations": {row.participant: row.status for row in state.rows(g.participants)},
                "members": {row.member: row.status for row in state.rows(g.members)},
                "keys": {row.member: row.key_id for row in state.rows(g.keys, status="active")},
                "grants": {
                    each.id: (
                        each.member,
                        each.role,
                        each.not_before,
                        each.expires_at,
                        each.emergency,
                        each.revoked,
                    )
                    for each in state.grants()
                },
                "questions": {
                    row.decision: (row.matter, row.about, row.asked_by, row.status, row.escalated)
                    for row in state.rows(g.decisions)
                },
                "votes": {(row.decision, row.member): row.vote for row in state.rows(g.votes)},
                "disputes": {row.dispute: row.status for row in state.rows(g.disputes)},
                "exceptions": {row.exception: row.status for row in state.rows(g.exceptions)},
                "reviews": {row.review: (row.kind, row.status) for row in state.rows(g.reviews)},
                "attested": {(row.review, row.grant): row.keep for row in state.rows(g.attestations)},
                "requests": {row.request: row.status for row in state.rows(t.requests)},
                "releases": {row.release: row.recalled for row in state.rows(t.releases)},
                "vouched": {
                    row.dataset: datetime.fromisoformat(row.expires_at)
                    for row in state.rows(g.attested_datasets)
                },
                "acknowledged": {row.member for row in state.rows(g.acknowledgements)},
            }


def charter_of(document: Document) -> Charter:
    return Charter.model_validate_json(canonical_json(document))
