"""Which witnesses cosigned a checkpoint, and whether they are enough for the charter.

Belongs here: keeping cosignatures and counting them. Must not be here: the format of a line (`cosignature`),
or the witness itself (`witness`). Every line is verified again whenever it counts, so a row put into the
table by hand adds nobody.

Cosignatures stand beside the log, not in it, so nothing proves that one was made before its key ended but
the time it says, and that is the word of whoever held the key. So a line must be of a time when its key was
in force and its organization took part; and once a key was lost or compromised, or replaced by somebody else,
what it cosigned counts no more. Nothing is missing then: a later checkpoint, cosigned by a good key, covers
all events before it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select

from orchestration.audit import checkpoint, cosignature
from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.checkpoint import Checkpoint
from orchestration.audit.chronology import DRIFT
from orchestration.audit.cosignature import Cosignature
from orchestration.audit.governance_events import (
    KeyRevoked,
    MemberEnrolled,
    ParticipantAccepted,
    ParticipantLeft,
    ParticipantReinstated,
    ParticipantRemoved,
    ParticipantSuspended,
)
from orchestration.audit.log import AuditLog, LoggedEvent, logged_event
from orchestration.audit.trace import charter_at
from orchestration.audit.vocabulary import timestamp
from orchestration.charter.model import Charter, Role
from orchestration.errors import IntegrityError, PolicyDeniedError, Reason
from orchestration.participants.state import State

UNKNOWN_WITNESS = Reason(
    "cosignature.unknown_witness",
    "The charter of {collaboration} names no witness {participant}.",
    "A charter amendment can name it under `audit.witnesses`.",
)
NO_RIGHT = Reason(
    "cosignature.no_role",
    "The member of {participant} whose key cosigned is neither steward nor auditor now.",
    "Cosign with the active key of a steward or auditor of {participant}.",
)
BAD_SIGNATURE = Reason(
    "cosignature.bad_signature",
    "No active key of a member of {participant} made this cosignature of the checkpoint of {size} events.",
    "Cosign again with the member's active key; if that fails too, treat it as tampering.",
)
NO_CHECKPOINT = Reason(
    "cosignature.no_checkpoint",
    "This log has no such checkpoint of {size} events.",
    "If this log's operator signed it, there are two histories: keep the file as evidence.",
)
WRONG_CLOCK = Reason(
    "cosignature.clock",
    "The cosignature of the checkpoint of {size} events says {at}, which cannot be when it was made.",
    "Set the clock of the machine where the witness runs, then let it cosign again.",
)

_MAY_WITNESS: frozenset[Role] = frozenset({"steward", "auditor"})
_IN_OTHER_HANDS = ("lost", "compromised")
_REPLACED_BY_OTHERS = (MemberEnrolled, ParticipantReinstated)
_COMES = (ParticipantAccepted,)
_GOES = (ParticipantLeft, ParticipantRemoved, ParticipantSuspended)


@dataclass(frozen=True)
class Cosigner:
    """Whose witness cosigned which checkpoint: by the key of which member, and when by its own clock."""

    size: int
    collaboration: str
    participant: str
    member: str
    key_id: str
    at: datetime


@dataclass(frozen=True)
class Witnessed:
    """Participants whose cosignature counts under the charter, and whether they are the quorum."""

    size: int
    participants: tuple[str, ...]
    quorum: int
    met: bool


def add_cosignatures(log: AuditLog, folder: Path, note: str, at: datetime) -> list[Cosigner]:
    """Keep the cosignatures below a checkpoint that came back from a witness.

    A participant's first cosignature of a checkpoint stays; the same again changes nothing.

    Args:
        log: the log whose checkpoint it is.
        folder: with the checkpoint files.
        note: the checkpoint with the witness's line below it.
        at: the present moment: whose key and role must be in force.

    Raises: IntegrityError `cosignature.unreadable`, `cosignature.no_checkpoint`, `cosignature.bad_signature`;
    PolicyDeniedError `cosignature.unknown_witness`, `cosignature.no_role`, `cosignature.clock`.
    """
    head = _readable(note)
    lines = [cosignature.parse(line) for line in head.lines if cosignature.is_cosignature(line)]
    if not lines:
        raise IntegrityError(cosignature.UNREADABLE)
    with log.write() as connection:
        known = checkpoint.stored(connection, head.size)
        if known is None or known.body != head.body:
            raise IntegrityError(NO_CHECKPOINT, size=head.size)
        found = [_add(connection, known, line, at) for line in lines]
        checkpoint.put_waiting(folder / known.filename, checkpoint.whole_note(connection, known))
    checkpoint.finish(log, folder, head.size)
    return found


def witnessed(log: AuditLog, charter: Charter, size: int) -> Witnessed:
    """Who of the charter's witnesses cosigned the checkpoint of `size` events.

    A charter without witnesses has a quorum of none, which is met.
    """
    with log.read() as connection:
        head = checkpoint.stored(connection, size)
        lines = checkpoint.stored_lines(connection, size, charter.collaboration)
        counted = [] if head is None else _counted(connection, head, lines)
    return _judge(charter, size, counted)


def newest_witnessed(log: AuditLog, charter: Charter) -> int:
    """Size of the newest checkpoint that met the charter's quorum; 0 when there is none."""
    with log.read() as connection:
        table = t.checkpoints.c
        for row in connection.execute(select(t.checkpoints).order_by(table.size.desc())):
            lines = checkpoint.stored_lines(connection, row.size, charter.collaboration)
            if _judge(charter, row.size, _counted(connection, checkpoint.parse(row.note), lines)).met:
                return int(row.size)
    return 0


def cosigner(connection: Connection, head: Checkpoint, line: Cosignature) -> Cosigner | None:
    """Who made this line, if it is one that could be taken: of a witness that the charter of that time names,
    by a steward or auditor of that charter, with a key in force both at the checkpoint and then.

    A key or role that ended later does not take back what was cosigned before.
    """
    state = State(connection, line.collaboration, line.at)
    charter = charter_at(state, line.at + DRIFT)  # the witness's clock may be slightly behind the house's
    if charter is None or line.participant not in _witnesses(charter) or not _took_part(connection, line):
        return None
    row = _key_of(connection, head, line)
    if row is None or not _roles(charter, row.member) & _MAY_WITNESS:
        return None
    ended = _ended(connection, row)
    if ended is not None and line.at > ended.event.time:
        return None
    return Cosigner(head.size, line.collaboration, line.participant, row.member, row.key_id, line.at)


def is_early(connection: Connection, head: Checkpoint, line: Cosignature) -> bool:
    """Whether an event below the checkpoint is dated later than the witness saw it.

    Raises: IntegrityError `log.broken_event`.
    """
    newest = _event(connection, head.size - 1)
    return newest is not None and newest.event.time > line.at + DRIFT


def _key_of(connection: Connection, head: Checkpoint, line: Cosignature) -> Row[Any] | None:
    """The key that made the line: of any member of the participant, in force at the checkpoint or later."""
    keys = g.keys.c
    query = (
        select(g.keys)
        .join(
            g.members,
            (g.members.c.collaboration == keys.collaboration) & (g.members.c.member == keys.member),
        )
        .where(
            keys.collaboration == line.collaboration,
            g.members.c.participant == line.participant,
            or_(keys.ended_seq.is_(None), keys.ended_seq >= head.size),
        )
        .order_by(keys.seq, keys.key_id)
    )
    rows = connection.execute(query)
    return next((row for row in rows if cosignature.verify(line, head, json.loads(row.public_key))), None)


def _counts(connection: Connection, by: Cosigner) -> bool:
    """Whether the line still adds to a quorum: the key fell into no other hands, the role was not taken."""
    state = State(connection, by.collaboration, by.at)
    row = next(iter(state.rows(g.keys, member=by.member, key_id=by.key_id)), None)
    ended = None if row is None else _ended(connection, row)
    if ended is not None:
        said = ended.event.payload
        if isinstance(said, _REPLACED_BY_OTHERS):
            return False
        return not (isinstance(said, KeyRevoked) and said.reason in _IN_OTHER_HANDS)
    return any(
        grant.role in _MAY_WITNESS and not grant.emergency and not grant.revoked and by.at < grant.expires_at
        for grant in state.grants(by.member)
    )


def _took_part(connection: Connection, line: Cosignature) -> bool:
    """Whether the witness's organization had joined, and was not suspended or gone, when it cosigned."""
    events = t.events.c
    moved = (
        select(events.type)
        .where(
            events.collaboration == line.collaboration,
            events.subject == line.participant,
            events.type.in_([each.type for each in (*_COMES, *_GOES)]),
            events.time <= timestamp(line.at + DRIFT),
        )
        .order_by(events.seq.desc())
        .limit(1)
    )
    return connection.execute(moved).scalar() in {each.type for each in _COMES}


def _roles(charter: Charter, member: str) -> set[Role]:
    """What the charter gives; never what was lent."""
    return {role for each in charter.members if each.id == member for role in each.roles}


def _ended(connection: Connection, key: Row[Any]) -> LoggedEvent | None:
    """The event that ended a key."""
    return None if key.ended_seq is None else _event(connection, key.ended_seq)


def _event(connection: Connection, seq: int) -> LoggedEvent | None:
    row = connection.execute(select(t.events).where(t.events.c.seq == seq)).one_or_none()
    return None if row is None else logged_event(row)


def _readable(note: str) -> Checkpoint:
    try:
        return checkpoint.parse(note)
    except IntegrityError as error:
        raise IntegrityError(cosignature.UNREADABLE) from error


def _add(connection: Connection, head: Checkpoint, line: Cosignature, at: datetime) -> Cosigner:
    state = State(connection, line.collaboration, at)
    charter = state.charter
    if charter is None or line.participant not in _witnesses(charter):
        raise PolicyDeniedError(
            UNKNOWN_WITNESS, collaboration=line.collaboration, participant=line.participant
        )
    key = _key_of(connection, head, line)
    active = None if key is None else state.active_key(key.member)
    if key is None or active is None or active.id != key.key_id:
        raise IntegrityError(BAD_SIGNATURE, participant=line.participant, size=head.size)
    if not state.roles(key.member, emergency=False) & _MAY_WITNESS:
        raise PolicyDeniedError(NO_RIGHT, participant=line.participant)
    found = cosigner(connection, head, line)
    if found is None or line.at > at + DRIFT or is_early(connection, head, line):
        raise PolicyDeniedError(WRONG_CLOCK, size=head.size, at=timestamp(line.at))
    row = {
        "size": head.size,
        "participant": line.participant,
        "collaboration": line.collaboration,
        "line": line.line,
    }
    table = t.cosignatures.c
    mine = (table.size == head.size) & (table.participant == line.participant)
    mine &= table.collaboration == line.collaboration
    if connection.execute(select(table.line).where(mine)).first() is None:
        connection.execute(insert(t.cosignatures), row)
    return found


def _counted(connection: Connection, head: Checkpoint, lines: Sequence[str]) -> list[Cosigner]:
    found = []
    for line in lines:
        try:
            by = cosigner(connection, head, cosignature.parse(line))
        except IntegrityError:
            continue  # `glasshouse audit verify` says where it stands; here it only counts for nothing
        if by is not None and _counts(connection, by):
            found.append(by)
    return found


def _judge(charter: Charter, size: int, counted: Sequence[Cosigner]) -> Witnessed:
    named = _witnesses(charter)
    participants = tuple(sorted({by.participant for by in counted} & set(named)))
    quorum = charter.audit.witnesses.quorum if charter.audit.witnesses else 0
    return Witnessed(size, participants, quorum, len(participants) >= quorum)


def _witnesses(charter: Charter) -> tuple[str, ...]:
    return charter.audit.witnesses.participants if charter.audit.witnesses else ()
