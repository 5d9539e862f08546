"""Rotating the keys of the house: the master key that wraps all others, or the one key of a room.

Belongs here: the order of steps, and saying so in the log. Must not be here: wrapping (`engine/keystore`), or
members' keys (`participants/`). A rotation that was killed is finished by the next one, and told once.
"""

from __future__ import annotations

from orchestration.audit.events import Event
from orchestration.audit.key_events import HouseKeysRotated
from orchestration.engine.keystore import Rotation
from orchestration.house import OPERATOR, House
from orchestration.stages.governance import collaborations


def rotate(house: House) -> Rotation:
    """Wrap every key of the house by a new master key, record it, then destroy the former one.

    Raises: as `KeyStore.rotate`.
    """
    rotation = house.keys.rotate()
    payload = HouseKeysRotated(
        service=rotation.service,
        former=rotation.former,
        current=rotation.current,
        secrets=sum(house.keys.kinds().values()),
    )
    for collaboration in collaborations(house):
        with house.state(collaboration) as state:
            told = state.phase == "closed" or house.log.events(
                payload.type, rotation.current, collaboration, limit=1
            )
        if not told:
            house.log.append(_event(collaboration, payload))
    house.keys.forget(rotation)
    return rotation


def _event(collaboration: str, payload: HouseKeysRotated) -> Event:
    return Event(
        collaboration=collaboration,
        subject=payload.current,
        actor=OPERATOR,
        justification="The operator had the master key rotated.",
        payload=payload,
    )
