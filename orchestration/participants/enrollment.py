"""Joining, and the keys of members: what the acts say, and the proof that a key is its holder's own.

Belongs here: unsigned events of organizations, members and keys, and the public file that a member hands to
its steward. Must not be here: private keys on disk (`keyfile`), or whether the act may happen (`guard`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestration import signing
from orchestration.audit.events import Event
from orchestration.audit.governance_events import (
    KeyRevoked,
    KeyRotated,
    MemberEnrolled,
    MemberRetired,
    ParticipantAccepted,
    PublicKey,
)
from orchestration.audit.vocabulary import Document, Name, Payload
from orchestration.digests import canonical_json
from orchestration.errors import ConfigError, IntegrityError, Reason
from orchestration.participants.state import participant_of
from orchestration.signing import SigningKey

UNREADABLE_FILE = Reason(
    "key.public_unreadable",
    "This is not the public file of a member's key.",
    "Use the file `<member>.json` exactly as `glasshouse key new` wrote it.",
)

_PURPOSE = "glasshouse key proof v1"


class PublicFile(Document):
    """What a member hands over to be enrolled; the proof shows that it holds the private key."""

    collaboration: Name
    member: Name
    public_key: PublicKey
    proof: Name


def prove(key: SigningKey, collaboration: str, member: str) -> str:
    """The new key's own signature over whom it is for: nobody can enrol a key that somebody else holds."""
    return base64.b64encode(key.sign_bytes(_claim(collaboration, member, key.public))).decode()


def is_proven(proof: str, public_key: Mapping[str, Any], collaboration: str, member: str) -> bool:
    try:
        signature = base64.b64decode(proof, validate=True)
    except ValueError:
        return False
    claim = _claim(collaboration, member, public_key)
    return signing.is_public_key(dict(public_key)) and signing.is_signed(claim, signature, dict(public_key))


def public_file(key: SigningKey, collaboration: str, member: str) -> PublicFile:
    proof = prove(key, collaboration, member)
    return PublicFile(collaboration=collaboration, member=member, public_key=key.public, proof=proof)


def write_public_file(path: Path, file: PublicFile) -> None:
    path.write_bytes(canonical_json(file.model_dump(mode="json")) + b"\n")


def read_public_file(path: Path) -> PublicFile:
    """Raises: ConfigError (`key.public_unreadable`); IntegrityError with it when the proof does not hold."""
    try:
        file = PublicFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigError(UNREADABLE_FILE) from error
    if not is_proven(file.proof, file.public_key, file.collaboration, file.member):
        raise IntegrityError(UNREADABLE_FILE)
    return file


def accept_invitation(
    collaboration: str, steward: str, key: SigningKey, evidence: Mapping[str, str], justification: str
) -> Event:
    """The steward's organization joins, with the steward's key."""
    payload = ParticipantAccepted(
        participant=participant_of(steward), steward=steward, public_key=key.public, evidence=dict(evidence)
    )
    return _event(collaboration, payload.participant, steward, justification, payload)


def enroll_member(
    collaboration: str,
    steward: str,
    file: PublicFile,
    roles: Sequence[str],
    expires_at: datetime,
    justification: str,
) -> Event:
    """The steward vouches for a member's key, and gives it roles until `expires_at`."""
    payload = MemberEnrolled(
        member=file.member,
        roles=tuple(roles),
        public_key=file.public_key,
        proof=file.proof,
        expires_at=expires_at,
    )
    return _event(collaboration, file.member, steward, justification, payload)


def rotate_key(collaboration: str, member: str, new: SigningKey, justification: str) -> Event:
    """To be signed with the old key."""
    proof = prove(new, collaboration, member)
    payload = KeyRotated(member=member, public_key=new.public, proof=proof)
    return _event(collaboration, member, member, justification, payload)


def revoke_key(
    collaboration: str, actor: str, member: str, key_id: str, reason: str, justification: str
) -> Event:
    """By the member itself, or by a steward of its organization."""
    payload = KeyRevoked.model_validate({"member": member, "key_id": key_id, "reason": reason})
    return _event(collaboration, member, actor, justification, payload)


def retire_member(collaboration: str, steward: str, member: str, justification: str) -> Event:
    return _event(collaboration, member, steward, justification, MemberRetired(member=member))


def _claim(collaboration: str, member: str, public_key: Mapping[str, Any]) -> bytes:
    return canonical_json(
        {
            "purpose": _PURPOSE,
            "collaboration": collaboration,
            "member": member,
            "public_key": dict(public_key),
        }
    )


def _event(collaboration: str, subject: str, actor: str, justification: str, payload: Payload) -> Event:
    return Event(
        collaboration=collaboration,
        subject=subject,
        actor=actor,
        justification=justification,
        payload=payload,
    )
