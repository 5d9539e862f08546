"""Handing the collaboration's key, sealed, to a member who prepares data at the own desk; it is on record."""

from __future__ import annotations

from typing import Any

from orchestration.audit.events import Event
from orchestration.audit.key_events import CollaborationKeyShared
from orchestration.charter.model import Charter
from orchestration.house import OPERATOR, House
from orchestration.participants.invitation import invite, require_invitable, shared_key_id
from orchestration.participants.state import participant_of


def invitation(house: House, charter: Charter, member: str) -> tuple[dict[str, Any], str]:
    """The signed file for this member, as a JSON object, and the name of the key in it.

    Raises: PolicyDeniedError (`room.not_invited`), and as `standing.require_running` does.
    """
    with house.state(charter.collaboration) as state:
        public_key = require_invitable(state, charter, member)
        created = state.at
    shared_key = house.pseudonym_key(charter.collaboration)
    house.log.append(
        Event(
            collaboration=charter.collaboration,
            subject=member,
            actor=OPERATOR,
            justification=f"Invited to prepare data at the desk of {participant_of(member)}.",
            payload=CollaborationKeyShared(key_id=shared_key_id(shared_key)),
        )
    )
    envelope = invite(
        charter,
        member,
        public_key,
        shared_key=shared_key,
        room=house.package_recipient(charter.collaboration),
        house=house.operator,
        created=created,
    )
    return envelope, shared_key_id(shared_key)
