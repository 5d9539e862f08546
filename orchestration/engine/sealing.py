"""Letters that only certain members can open: age, to the Ed25519 keys they sign with.

age (https://age-encryption.org/v1) converts an `ssh-ed25519` key into an X25519 recipient, so a member needs
no second key. Must not be here: who may read what.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyrage
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from orchestration.errors import IntegrityError, Reason
from orchestration.signing import SigningKey

NOT_FOR_YOU = Reason(
    "letter.not_for_this_key",
    "This {kind} is not sealed to the key given, or it was changed.",
    "Open it with the key that was registered when it was written.",
)


def seal(data: bytes, readers: Iterable[Mapping[str, Any]]) -> bytes:
    """Encrypt to every reader, each a public key as `SigningKey.public` gives it; at least one."""
    recipients = [pyrage.ssh.Recipient.from_str(_openssh(each)) for each in readers]
    sealed: bytes = pyrage.encrypt(data, recipients)
    return sealed


def unseal(sealed: bytes, key: SigningKey, *, kind: str) -> bytes:
    """Raises: IntegrityError (`letter.not_for_this_key`); `kind` is what people call the letter."""
    identity = pyrage.ssh.Identity.from_buffer(key.openssh())
    try:
        opened: bytes = pyrage.decrypt(sealed, [identity])
    except pyrage.DecryptError:
        raise IntegrityError(NOT_FOR_YOU, kind=kind) from None
    return opened


def _openssh(public: Mapping[str, Any]) -> str:
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public["keyval"]["public"]))
    line = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode()
