"""Handing the collaboration's key, sealed, to a member who prepares data at the own desk."""

from __future__ import annotations

from typing import Any

from orchestration.charter.model import Charter
from orchestration.house import House
from orchestration.participants.invitation import invite, require_invitable


def invitation(house: House, charter: Charter, member: str) -> dict[str, Any]:
    """The signed file for this member, as a JSON object.

    Raises: PolicyDeniedError (`room.not_invited`), and as `standing.require_running` does.
    """
    with house.state(charter.collaboration) as state:
        public_key = require_invitable(state, charter, member)
        created = state.at
    return invite(
        charter,
        member,
        public_key,
        shared_key=house.pseudonym_key(charter.collaboration),
        room=house.package_recipient(charter.collaboration),
        house=house.operator,
        created=created,
    )
