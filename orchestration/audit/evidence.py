"""Proof that one event stands in the signed log, complete in itself: it verifies offline with the public key.

Belongs here: making and checking that proof. Used alone (`glasshouse audit proof`) and inside passports.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue

from orchestration.audit import checkpoint, merkle
from orchestration.audit.events import Event, commitment
from orchestration.audit.log import SALT_BYTES, AuditLog
from orchestration.audit.vocabulary import Count, Document
from orchestration.digests import canonical_json
from orchestration.errors import IntegrityError, Reason
from orchestration.signing import SigningKey

UNREADABLE = Reason(
    "evidence.unreadable",
    "This is not a proof that an event stands in a log.",
    "Use the file exactly as `glasshouse audit proof --json` printed it.",
)
NOT_INCLUDED = Reason(
    "evidence.not_included",
    "The proof does not lead from event {seq} to the signed checkpoint of {size} events.",
    "Ask the operator for a fresh proof; if it fails again, treat it as tampering.",
)


class Evidence(Document):
    """Event `seq`, its inclusion proof (base64, lowest sibling first) and a checkpoint of `size` events.

    The leaf's entry is HMAC-SHA256, under the salt, of the event's canonical JSON (RFC 8785).
    """

    event: dict[str, JsonValue]
    salt: str = Field(description="32 bytes, base64.")
    seq: Count
    size: Count
    root: str = Field(description="Tree head over `size` events, base64.")
    proof: tuple[str, ...]
    checkpoint: str = Field(description="Signed note, C2SP tlog-checkpoint.")


def make_evidence(log: AuditLog, key: SigningKey, checkpoints: Path, seq: int) -> Evidence:
    """Prove event `seq` against a checkpoint that covers it, signing a new one if there is none yet.

    Raises: ConfigError `log.no_such_event`; IntegrityError when the log itself is broken.
    """
    logged = log.event(seq)
    head = checkpoint.covering(log, key, checkpoints, seq)
    proof = log.inclusion_proof(seq, head.size)
    evidence = Evidence(
        event=logged.event.model_dump(mode="json"),
        salt=text_of(logged.salt),
        seq=seq,
        size=head.size,
        root=text_of(head.root),
        proof=tuple(text_of(value) for value in proof),
        checkpoint=head.note,
    )
    verify_evidence(evidence, key.public)  # a proof that does not hold is never handed out
    return evidence


def verify_evidence(evidence: Evidence, public_key: Mapping[str, Any]) -> Event:
    """The proven event. Needs nothing but its arguments.

    Raises: IntegrityError `evidence.unreadable`, `evidence.not_included`, `checkpoint.*`.
    """
    head = checkpoint.verify(evidence.checkpoint, public_key)
    try:
        proof = [base64.b64decode(text, validate=True) for text in evidence.proof]
        content = canonical_json(evidence.event)
        salt = base64.b64decode(evidence.salt, validate=True)
        event = Event.from_content(content)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(UNREADABLE) from error
    if len(salt) != SALT_BYTES:
        raise IntegrityError(UNREADABLE)
    if (evidence.size, evidence.root) != (head.size, text_of(head.root)):
        raise IntegrityError(NOT_INCLUDED, seq=evidence.seq, size=evidence.size)
    leaf = merkle.leaf_hash(commitment(content, salt))
    if not merkle.verify_inclusion(leaf, evidence.seq, head.size, proof, head.root):
        raise IntegrityError(NOT_INCLUDED, seq=evidence.seq, size=evidence.size)
    return event


def read_evidence(text: str) -> Evidence:
    """Raises: IntegrityError `evidence.unreadable`."""
    try:
        return Evidence.model_validate_json(text)
    except ValueError as error:
        raise IntegrityError(UNREADABLE) from error


def text_of(value: bytes) -> str:
    """Bytes as base64, as proofs spell salts and hashes."""
    return base64.b64encode(value).decode()
