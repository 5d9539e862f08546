"""Members and their public keys, as the log registered them.

Belongs here: reading who a member is. A key counts because an event of the log says so, not because a file
lies in some folder. Must not be here: private keys (stewards keep their own).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from orchestration.audit import tables
from orchestration.audit.events import Event, MemberRegistered
from orchestration.audit.log import AuditLog
from orchestration.audit.projections import AlreadyRecordedError
from orchestration.charter.model import Charter, Role
from orchestration.errors import PolicyDeniedError, Reason

UNKNOWN_MEMBER = Reason(
    "member.unknown",
    "{member} is not a registered member of {collaboration}.",
    "Register the member's public key first (`glasshouse init`), with an id that the charter names.",
)


@dataclass(frozen=True)
class RegisteredMember:
    """A member with the key that the log knows."""

    id: str
    participant: str
    roles: tuple[str, ...]
    public_key: dict[str, Any]


def register_member(
    log: AuditLog, charter: Charter, member_id: str, public_key: dict[str, Any], *, actor: str
) -> bool:
    """Record the key of a member whom the charter names; False when this very key is recorded already.

    Raises: CharterError (`charter.unknown_name`).
    """
    member = charter.member(member_id)
    payload = MemberRegistered(
        member=member.id,
        participant=member.id.partition(".")[0],
        roles=member.roles,
        public_key=public_key,
    )
    try:
        log.append(
            Event(
                collaboration=charter.collaboration,
                subject=member.id,
                actor=actor,
                justification="Named in the charter.",
                payload=payload,
            )
        )
    except AlreadyRecordedError:
        return False
    return True


def roles_in_force(charter: Charter, member: RegisteredMember) -> tuple[Role, ...]:
    """Roles that both the registration and the charter now in force give."""
    named = {role for each in charter.members if each.id == member.id for role in each.roles}
    return tuple(role for role in named if role in member.roles)


def registered_member(log: AuditLog, collaboration: str, member_id: str) -> RegisteredMember:
    """The member, by id.

    Raises: PolicyDeniedError (`member.unknown`).
    """
    table = tables.members.c
    query = select(tables.members).where(table.collaboration == collaboration, table.member == member_id)
    with log.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        raise PolicyDeniedError(UNKNOWN_MEMBER, member=member_id, collaboration=collaboration)
    return RegisteredMember(
        row.member, row.participant, tuple(json.loads(row.roles)), json.loads(row.public_key)
    )
