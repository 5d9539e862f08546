"""A signed act: the statement a member signs, derived from the event that will stand in the log.

Belongs here: making, carrying and checking one signature. Must not be here: whether the key may sign, or the
act may happen (`participants/guard`). What is signed is the event without the house's own clock: a DSSE
envelope over canonical JSON, so an approval can be given where the key is and recorded anywhere.
"""

from __future__ import annotations

import base64
import secrets
from datetime import datetime, timedelta
from typing import Any

from pydantic import JsonValue

from orchestration import signing
from orchestration.audit.events import Event, Signature
from orchestration.audit.vocabulary import now, timestamp
from orchestration.digests import canonical_json, digest_json
from orchestration.errors import IntegrityError, Reason
from orchestration.signing import SigningKey

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError)

PAYLOAD_TYPE = "application/vnd.glasshouse.statement+json"
VALID_FOR = timedelta(hours=1)

UNREADABLE = Reason(
    "statement.unreadable",
    "This file is not a signed statement of a member.",
    "Use the file exactly as the command that signed it wrote it.",
)


def sign(
    event: Event, key: SigningKey, *, valid_for: timedelta = VALID_FOR, issued: datetime | None = None
) -> Event:
    """The same event with its actor's signature."""
    start = issued or now()
    unsigned = Signature(
        key_id=key.key_id, issued=start, expires=start + valid_for, nonce=secrets.token_hex(16), value=""
    )
    body = _statement(event, unsigned)
    envelope = key.sign(body, PAYLOAD_TYPE)
    signature = unsigned.model_copy(update={"value": envelope["signatures"][0]["sig"]})
    return event.model_copy(update={"signature": signature})


def statement_id(event: Event) -> str:
    """`sha256:…` of what was signed. Raises: ValueError when nothing was."""
    return digest_json(_statement(event, _signature(event)))


def verify(event: Event, public_key: dict[str, Any]) -> None:
    """Check the signature against a key that the caller trusts.

    Raises: IntegrityError `signature.invalid`, `signature.unreadable`.
    """
    signing.verify(to_envelope(event), public_key, PAYLOAD_TYPE, kind="statement")


def to_envelope(event: Event) -> dict[str, Any]:
    """The DSSE envelope that carries a signed act to the house."""
    signature = _signature(event)
    body = canonical_json(_statement(event, signature))
    return {
        "payload": base64.b64encode(body).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": signature.key_id, "sig": signature.value}],
    }


def from_envelope(envelope: dict[str, Any]) -> Event:
    """The event that an envelope carries; nobody has checked its signature yet.

    Raises: IntegrityError `statement.unreadable`.
    """
    try:
        body = signing.unsafe_payload(envelope, kind="statement")
        assert isinstance(body, dict)  # noqa: S101  anything else is unreadable, as below
        signature = {name: body.pop(name) for name in ("issued", "expires", "nonce")}
        first = envelope["signatures"][0]
        signature |= {"key_id": first["keyid"], "value": first["sig"]}
        return Event.model_validate({**body, "signature": signature})
    except (*_UNREADABLE, IntegrityError) as error:
        raise IntegrityError(UNREADABLE) from error


def _signature(event: Event) -> Signature:
    if event.signature is None:
        raise ValueError("nobody signed this event")
    return event.signature


def _statement(event: Event, signature: Signature) -> dict[str, JsonValue]:
    return {
        "collaboration": event.collaboration,
        "type": event.type,
        "subject": event.subject,
        "actor": event.actor,
        "justification": event.justification,
        "payload": event.payload.model_dump(mode="json"),
        "issued": timestamp(signature.issued),
        "expires": timestamp(signature.expires),
        "nonce": signature.nonce,
    }
