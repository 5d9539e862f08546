"""The one file with which a steward prepares data at the own desk: charter, room, and the shared key.

The collaboration's key is in it sealed (age) to the member's registered key, so the file may travel by mail.
The house signs it. Belongs here: who may get one, making and opening it. Must not be here: what is done with
the key (`scope/preparation`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyrage
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from orchestration.audit.events import Event
from orchestration.audit.key_events import CollaborationKeyShared
from orchestration.charter.model import Charter, Role
from orchestration.digests import canonical_json
from orchestration.engine import sealing
from orchestration.errors import ConfigError, GlasshouseError, PolicyDeniedError, Reason
from orchestration.participants.standing import require_running
from orchestration.participants.state import State, participant_of
from orchestration.signing import SigningKey, unsafe_payload, verify

NOT_INVITED = Reason(
    "room.not_invited",
    "{member} may not give data of {participant}, so the room shares no key with it.",
    "Name an active steward, owner or contributor of a participant that gives data.",
)
BAD_INVITATION = Reason(
    "prepare.bad_invitation",
    "The file is not an invitation of a house, or it was changed.",
    "Ask the operator for a new one: `glasshouse room invite --for MEMBER`.",
)
OTHER_HOUSE = Reason(
    "prepare.other_house",
    "The invitation is signed by another house than the one expected.",
    "Compare the house's key with its operator before sending anything.",
)

PAYLOAD_TYPE = "application/vnd.glasshouse.invitation+json"
_GIVERS: frozenset[Role] = frozenset({"steward", "owner", "contributor"})


class Invitation(BaseModel):
    """What the house signs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    collaboration: str
    member: str
    charter: JsonValue
    charter_digest: str
    room: str
    key_id: str
    sealed_key: str
    house: dict[str, JsonValue]
    created: datetime


@dataclass(frozen=True)
class Desk:
    """An opened invitation: everything a desk needs to prepare data for one room."""

    charter: Charter
    member: str
    recipient: pyrage.x25519.Recipient
    key: bytes
    key_id: str
    house_key_id: str


def shared_key_id(key: bytes) -> str:
    """A name of the collaboration's key that tells nothing about it."""
    return f"collaboration-{hashlib.sha256(b'glasshouse collaboration key' + key).hexdigest()[:16]}"


def require_invitable(state: State, charter: Charter, member: str) -> dict[str, Any]:
    """The public key to seal to.

    Raises: PolicyDeniedError (`room.not_invited`), and as `standing.require_running` does.
    """
    participant, key = participant_of(member), state.active_key(member)
    gives = any(dataset.participant == participant for dataset in charter.datasets)
    if key is None or not gives or not state.roles(member) & _GIVERS:
        raise PolicyDeniedError(NOT_INVITED, member=member, participant=participant)
    require_running(state, charter.digest, participants=[participant])
    return key.public_key


def require_shareable(state: State, event: Event, _: CollaborationKeyShared) -> None:
    """What the guard asks of `key.shared`. Raises: like `require_invitable`; also where no charter runs."""
    if state.charter is None:
        raise PolicyDeniedError(NOT_INVITED, member=event.subject, participant=participant_of(event.subject))
    require_invitable(state, state.charter, event.subject)


def invite(
    charter: Charter,
    member: str,
    public_key: dict[str, Any],
    *,
    shared_key: bytes,
    room: pyrage.x25519.Recipient,
    house: SigningKey,
    created: datetime,
) -> dict[str, Any]:
    """The signed file, as a JSON object, for a member who may have it (`require_invitable`)."""
    sealed = io.BytesIO()
    sealing.seal(io.BytesIO(shared_key), sealed, [sealing.recipient(public_key)])
    said = Invitation(
        collaboration=charter.collaboration,
        member=member,
        charter=charter.document,
        charter_digest=charter.digest,
        room=str(room),
        key_id=shared_key_id(shared_key),
        sealed_key=base64.b64encode(sealed.getvalue()).decode(),
        house=house.public,
        created=created,
    )
    return house.sign(said.model_dump(mode="json"), PAYLOAD_TYPE)


def claimed_member(envelope: Any) -> str:
    """Whom an unchecked invitation is for: only to know whose key opens it.

    Raises: ConfigError (`prepare.bad_invitation`).
    """
    return _claimed(envelope).member


def _claimed(envelope: Any) -> Invitation:
    if not isinstance(envelope, dict):
        raise ConfigError(BAD_INVITATION)
    try:
        return Invitation.model_validate(unsafe_payload(envelope, kind="invitation"))
    except (GlasshouseError, ValidationError, RecursionError):
        raise ConfigError(BAD_INVITATION) from None


def open_invitation(envelope: Any, key: SigningKey, *, house_key_id: str | None = None) -> Desk:
    """Check the house's signature and unseal the key with the member's own.

    Args:
        house_key_id: the house that must have signed it; None: the one it names, which the caller shows.

    Raises: ConfigError (`prepare.bad_invitation`, `prepare.other_house`), IntegrityError
    (`sealed.other_key`).
    """
    said = _claimed(envelope)
    try:
        verify(envelope, said.house, PAYLOAD_TYPE, kind="invitation")
        charter = Charter.model_validate_json(canonical_json(said.charter))
        recipient = pyrage.x25519.Recipient.from_str(said.room)
        sealed = base64.b64decode(said.sealed_key)
    except (GlasshouseError, ValidationError, binascii.Error, pyrage.RecipientError):
        raise ConfigError(BAD_INVITATION) from None
    if house_key_id not in (None, said.house["keyid"]):
        raise ConfigError(OTHER_HOUSE)
    plain = io.BytesIO()
    sealing.unseal(io.BytesIO(sealed), plain, key)
    shared = plain.getvalue()
    if charter.digest != said.charter_digest or shared_key_id(shared) != said.key_id:
        raise ConfigError(BAD_INVITATION)
    return Desk(charter, said.member, recipient, shared, said.key_id, str(said.house["keyid"]))
