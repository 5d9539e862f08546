"""Envelopes that carry no statement are refused in words, whatever is in them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from orchestration.audit.events import Event
from orchestration.audit.governance_events import CollaborationFrozen
from orchestration.audit.statement import from_envelope, sign, to_envelope
from orchestration.errors import IntegrityError
from orchestration.signing import SigningKey

DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def envelope() -> dict[str, Any]:
    event = Event(collaboration="tiny", subject="tiny", actor="m.s", payload=CollaborationFrozen())
    return to_envelope(sign(event, SigningKey.generate()))


def carrying(body: bytes) -> dict[str, Any]:
    return envelope() | {"payload": base64.b64encode(body).decode()}


def changed(**fields: Any) -> dict[str, Any]:
    body = json.loads(base64.b64decode(envelope()["payload"]))
    return carrying(json.dumps(body | fields).encode())


MALFORMED: dict[str, Any] = {
    "nothing": {},
    "no bottom": carrying(DEEP),
    "a list": carrying(b"[]"),
    "no time": changed(issued="0001-01-01T00:00:00+23:00"),
    "no text": changed(justification="\ud800"),
    "a long number": carrying(b'{"issued": ' + b"9" * 5000 + b"}"),
    "a list for a payload": changed(payload=[1]),
    "a text for signatures": envelope() | {"signatures": "abc"},
    "an empty signature": envelope() | {"signatures": [{}]},
}


def test_what_an_envelope_carries_is_read() -> None:
    assert from_envelope(envelope()).type == "collaboration.frozen"


@pytest.mark.parametrize("document", MALFORMED.values(), ids=MALFORMED)
def test_anything_else_is_unreadable(document: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError) as caught:
        from_envelope(document)
    assert caught.value.code == "statement.unreadable"
