"""Members as the log knows them: which organization, which roles, which key.

Belongs here: reading who a member is. A key counts because a steward's signed act in the log says so, not
because a file lies in some folder. Must not be here: private keys (members keep their own).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestration.audit.log import AuditLog
from orchestration.audit.vocabulary import now
from orchestration.charter.model import Role
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants.state import State, participant_of

UNKNOWN_MEMBER = Reason(
    "member.unknown",
    "{collaboration} knows no member {member}.",
    "Have the charter name the member, and a steward of its organization enrol it.",
)
NOT_ACTIVE = Reason(
    "member.not_active",
    "{member} of {collaboration} is retired, or has no key in force.",
    "Have a steward of its organization enrol it again.",
)


@dataclass(frozen=True)
class RegisteredMember:
    """A member now: the roles in force, and the one key that speaks for it."""

    id: str
    participant: str
    roles: tuple[Role, ...]
    public_key: dict[str, Any]


def registered_member(log: AuditLog, collaboration: str, member_id: str) -> RegisteredMember:
    """The member, by id.

    Raises: PolicyDeniedError (`member.unknown`, `member.not_active`).
    """
    with log.read() as connection:
        state = State(connection, collaboration, now())
        status, key = state.member_status(member_id), state.active_key(member_id)
        roles = tuple(sorted(state.roles(member_id)))
    if status is None:
        raise PolicyDeniedError(UNKNOWN_MEMBER, member=member_id, collaboration=collaboration)
    if status != "active" or key is None:
        raise PolicyDeniedError(NOT_ACTIVE, member=member_id, collaboration=collaboration)
    return RegisteredMember(member_id, participant_of(member_id), roles, key.public_key)
