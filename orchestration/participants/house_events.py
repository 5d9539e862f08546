"""What the house records without anybody's signature, and in whose name it may.

Belongs here: the rule that the house speaks for itself alone, and its few exceptions. Must not be here:
signed acts (`act_rules`), or what follows from them (`consequences`).
"""

from __future__ import annotations

from orchestration.audit.events import Event
from orchestration.audit.portal_events import LoginLocked, PortalEntered
from orchestration.audit.stage_events import AccessDenied
from orchestration.audit.vocabulary import Payload
from orchestration.errors import PolicyDeniedError, Reason
from orchestration.participants.consequences import ACTOR

NOT_IN_A_NAME = Reason(
    "house.speaks_for_itself",
    "{type} carries no signature and names {actor}; without a signature only the house itself is named.",
    "Have {actor} sign it, or record it as the operator.",
)
OTHER_MEMBER = Reason(
    "house.other_member",
    "{type} tells of another member than the one it names as its actor.",
    "Record whom it is about; the portal and `glasshouse open` do.",
)

# What somebody did at a door where nobody signs: naming the member, or who claimed to be, is their point.
AT_THE_DOOR: tuple[type[Payload], ...] = (AccessDenied, PortalEntered, LoginLocked)


def require_own_name(event: Event) -> None:
    """Refuse an unsigned event that names somebody else than the house.

    Raises: PolicyDeniedError (`house.speaks_for_itself`, `house.other_member`).
    """
    if event.signature is not None:
        return
    if not isinstance(event.payload, AT_THE_DOOR):
        if event.actor != ACTOR:
            raise PolicyDeniedError(NOT_IN_A_NAME, type=event.type, actor=event.actor)
        return
    told = event.payload.member if isinstance(event.payload, AccessDenied) else event.subject
    if told != event.actor:
        raise PolicyDeniedError(OTHER_MEMBER, type=event.type)
