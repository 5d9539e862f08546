"""Making a room's pseudonyms anew, under another key, from what the vault holds.

Belongs here: emptying the room and changing its key. Must not be here: the stages that then run again by
themselves. Desks notice nothing: the key they share stays, and so do the pseudonyms they make.
"""

from __future__ import annotations

from orchestration.audit.events import Event
from orchestration.audit.log import LoggedEvent
from orchestration.audit.withdrawal_events import PseudonymsRotated
from orchestration.house import OPERATOR, House


def rotate_pseudonyms(house: House, collaboration: str, justification: str) -> LoggedEvent:
    """Destroy the room's tables and the key of their pseudonyms; record that everything is to be made anew.

    Killed before the end, it leaves an empty room: run it again.

    Raises: PolicyDeniedError without a charter in force; ServiceError (`vault.busy`, `room.busy`).
    """
    room = house.room(collaboration)
    with house.vault.reserved(), room.reserved():
        room.keep_only(())
        key_id = house.renew_blinding_key(collaboration)
        return house.log.append(
            Event(
                collaboration=collaboration,
                subject=collaboration,
                actor=OPERATOR,
                justification=justification,
                payload=PseudonymsRotated(key_id=key_id),
            )
        )
