"""What happens to the keys of the house itself, and to the one it shares with desks.

Belongs here: payloads of that. Must not be here: members' keys (`governance_events`), or keys that were
destroyed with the data they protected (`data.destroyed`).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestration.audit.vocabulary import Count, Name, Payload


class HouseKeysRotated(Payload):
    """Every data key of the house is wrapped by another master key now; the subject is that key.

    It tells of the whole house, so each of its collaborations is told.
    """

    type: ClassVar = "keys.rotated"
    service: Name
    former: tuple[Name, ...] = Field(description="Master keys that wrap nothing any more, to be destroyed.")
    current: Name
    secrets: Count = Field(description="How many data keys the house has.")


class CollaborationKeyShared(Payload):
    """The key that desks pseudonymize with was sealed to a member's own key; the subject is the member.

    Whoever holds it can tell whose pseudonym one is, at a desk, though not in the room.
    """

    type: ClassVar = "key.shared"
    key_id: Name = Field(description="Of the collaboration's key.")


PAYLOADS: tuple[type[Payload], ...] = (HouseKeysRotated, CollaborationKeyShared)
