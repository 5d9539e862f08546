"""A small founded collaboration with two witnesses, for the tests of checkpoints, cosignatures and views.

The log here has no guard: what members sign is the guard's matter, what stands in the log is this folder's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from orchestration.audit import checkpoint, statement, tiles, witness
from orchestration.audit import governance_events as g
from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog, LoggedEvent
from orchestration.audit.stage_events import OutputAccessed
from orchestration.audit.tile_reader import Folder
from orchestration.audit.vocabulary import Payload, now
from orchestration.audit.withdrawal_events import PeopleWithdrawn
from orchestration.audit.witness import Observation
from orchestration.charter import Charter, load_charter
from orchestration.digests import digest_bytes
from orchestration.settings import PROJECT_ROOT
from orchestration.signing import SigningKey
from tests.unit.audit.audit_story import Desk, exception, submitted

CHARTER = load_charter(PROJECT_ROOT / "charters" / "grocery.yaml")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass
class Room:
    """A log with its operator, the published copy of it, and everybody's keys."""

    folder: Path
    log: AuditLog
    operator: SigningKey = field(default_factory=SigningKey.generate)
    keys: dict[str, SigningKey] = field(default_factory=dict)
    charter: Charter = CHARTER

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def published(self) -> Path:
        return self.folder / "published"

    @property
    def state(self) -> Path:
        return self.folder / "witness"

    def say(self, subject: str, payload: Payload, actor: str = "operator") -> LoggedEvent:
        event = Event(collaboration=self.charter.collaboration, subject=subject, actor=actor, payload=payload)
        return self.log.append(event)

    def found(self, *, only: frozenset[str] = frozenset()) -> None:
        """Everybody is there and the charter is active; what the guard demands is left out.

        `only`: the members, besides stewards, that are enrolled; none named: all.
        """
        name = self.charter.collaboration
        proposed = g.CharterProposed(
            digest=self.charter.digest,
            title=self.charter.title,
            version=self.charter.version,
            document=self.charter.model_dump(mode="json"),
        )
        self.say(name, proposed)
        for member in self.charter.members:
            self.keys.setdefault(member.id, SigningKey.generate())
        for participant in self.charter.participants:
            steward = f"{participant.id}.steward"
            accepted = g.ParticipantAccepted(
                participant=participant.id, steward=steward, public_key=self.keys[steward].public
            )
            self.say(participant.id, accepted, steward)
        for member in self.charter.members:
            if "steward" not in member.roles and (not only or member.id in only):
                enrolled = g.MemberEnrolled(
                    member=member.id,
                    roles=member.roles,
                    public_key=self.keys[member.id].public,
                    proof="proof",
                    expires_at=now() + timedelta(days=300),
                )
                self.say(member.id, enrolled, f"{member.id.partition('.')[0]}.steward")
        self.act(name, g.CharterSigned(digest=self.charter.digest, participant="retailer", stewards={}))
        self.say(name, g.CharterActivated(digest=self.charter.digest))

    def act(self, subject: str, payload: Payload, member: str = "retailer.steward") -> LoggedEvent:
        """What a member does with its own signature."""
        event = Event(
            collaboration=self.charter.collaboration, subject=subject, actor=member, payload=payload
        )
        return self.log.append(statement.sign(event, self.keys[member]))

    def live(self) -> None:
        """Some of everything, so that every table has a row and there are several checkpoints."""
        name = self.charter.collaboration
        desk = Desk(self.log, self.operator, self.folder)
        gate = desk.contribute()[-1]
        self.seal()
        desk.release(gate, {"table.csv": b"a,b\n"})
        opened = OutputAccessed(release="r1-release", member="retailer.steward", detail="full")
        self.act("r1-release", opened)
        self.act("d1", g.DecisionOpened(matter="thaw", about=name))
        self.act("d1", g.VoteCast(decision="d1", vote="approve"))
        self.seal()
        self.act("q1", g.DisputeRaised(about_kind="request", about="r1", remedy="warn"))
        self.say("e1", exception())
        grant = g.ReviewGrant(grant="retailer.steward/steward", member="retailer.steward", role="steward")
        self.say("v1", g.ReviewOpened(kind="access", grants=(grant,), due=now()))
        self.act("v1", g.ReviewAttested(grant=grant.grant, keep=True))
        evidence = {"check": digest_bytes(b"evidence")}
        attested = g.DatasetAttested(dataset="transactions", evidence=evidence, expires_at=now())
        self.act("transactions", attested)
        people = PeopleWithdrawn(
            dataset="transactions", reason="objection", list_digest=digest_bytes(b"people")
        )
        self.act("people-20260101-0123abcd", people)
        self.say("retailer.steward", g.EmergencyUsed(grant="g1", member="a", action="any", act="any"))
        self.act("retailer.steward", g.TermsAcknowledged(terms=digest_bytes(b"terms")))

    def grow(self, count: int = 1) -> None:
        events = [
            Event(
                collaboration=self.charter.collaboration,
                subject=f"request-{uuid4()}",
                actor="brand_agency.analyst",
                payload=submitted(),
            )
            for _ in range(count)
        ]
        self.log.append_many(events)

    def seal(self) -> Checkpoint:
        return checkpoint.make(self.log, self.operator, self.checkpoints)

    def publish(self) -> Checkpoint:
        """Sign the present log and bring the published copy up to it."""
        self.seal()
        return tiles.export(self.log, self.published, self.operator.public)[0]

    def witness(self, member: str = "data_provider.auditor", source: Path | None = None) -> Observation:
        return witness.observe(
            Folder(source or self.published),
            self.state,
            collaboration=self.charter.collaboration,
            participant=member.partition(".")[0],
            key=self.keys[member],
            at=now(),
        )


def rewritten(room: Room, folder: Path, without: int) -> Room:
    """The operator's other history: the same log with one event left out, signed anew from the start."""
    log = AuditLog(f"sqlite:///{folder / 'rewritten.db'}")
    log.append_many([logged.event for logged in room.log.events() if logged.seq != without])
    return Room(folder, log, room.operator, room.keys, room.charter)
