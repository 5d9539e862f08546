"""One entry of the log: the envelope every payload travels in, and its canonical bytes.

Belongs here: the registry of payloads by event type, and what makes a single event well-formed. Must not be
here: what events do to tables (`projections`), or whether the thing may happen at all. An unknown type or an
extra field is refused: a log that is only partly understood is not evidence.
"""

from __future__ import annotations

import hmac
import json
from typing import Annotated, Any, Self

from pydantic import Field, SerializeAsAny, StringConstraints, model_validator

from orchestration.audit import (
    governance_events,
    key_events,
    portal_events,
    stage_events,
    withdrawal_events,
)
from orchestration.audit.vocabulary import Digest, Document, Name, Payload, Time, now
from orchestration.digests import canonical_json

PAYLOADS: dict[str, type[Payload]] = {
    payload.type: payload
    for part in (governance_events, key_events, portal_events, stage_events, withdrawal_events)
    for payload in part.PAYLOADS
}


def commitment(content: bytes, salt: bytes) -> bytes:
    """The Merkle leaf of an event: 32 bytes that bind its content and say nothing without the salt.

    HMAC-SHA256 under a fresh 32-byte salt, so even an event with few possible contents cannot be guessed.
    """
    return hmac.digest(salt, content, "sha256")


class Signature(Document):
    """The actor's signature over the event as a statement (`statement`); the house adds only its clock."""

    key_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}\z")]
    issued: Time
    expires: Time = Field(description="Not to be recorded at or after this moment.")
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}\z")] = Field(
        description="Random: the same statement counts once."
    )
    value: str = Field(description="Ed25519 over the DSSE encoding of the statement, base64.")


class Event(Document):
    """One entry of the log.

    `type` follows from the payload and may be left out in Python; in JSON it says which payload to expect.

    Raises: pydantic's ValidationError for an unknown type, a field nobody declared, a payload of another
    type, or text that is not valid Unicode.
    """

    type: str = ""
    collaboration: Name
    subject: Name
    actor: Name = Field(description="Member or service that acted.")
    justification: str = ""
    time: Time = Field(default_factory=now)
    lineage: Digest | None = Field(
        default=None, description="Digest of the OpenLineage events stored with it; the log fills it in."
    )
    signature: Signature | None = Field(default=None, description="Of a `Signed` payload's actor.")
    payload: SerializeAsAny[Payload]

    @model_validator(mode="before")
    @classmethod
    def _payload_by_type(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        payload = data.get("payload")
        if isinstance(payload, Payload):
            name = str(data.get("type") or getattr(type(payload), "type", ""))
            known = PAYLOADS.get(name)
            if known is not type(payload):
                raise ValueError("the payload is not of the event's type")
            return {**data, "type": name}
        known = PAYLOADS.get(str(data.get("type")))
        if known is None:
            raise ValueError("unknown event type")
        return {**data, "payload": known.model_validate(payload)}

    @model_validator(mode="after")
    def _has_canonical_form(self) -> Self:
        self.content()
        return self

    def content(self) -> bytes:
        """Canonical JSON (RFC 8785): what the leaf of the Merkle tree is a commitment to."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_content(cls, content: bytes) -> Event:
        """Raises: ValueError when these are not exactly the canonical bytes of a known event."""
        event = cls.model_validate(json.loads(content))
        if event.content() != content:
            raise ValueError("not the canonical form of an event")
        return event
