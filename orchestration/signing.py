"""Signed statements: Ed25519 over DSSE envelopes, one form for manifests, passports and approvals.

DSSE (https://github.com/secure-systems-lab/dsse) signs the payload together with its type, so a statement
of one kind can never be passed off as another. Keys are `securesystemslib` keys; a key id is the SHA-256
of the canonical public key. Must not be here: who may sign what (that is `participants/`).
"""

from __future__ import annotations

import base64
import copy
import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import JsonValue
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from orchestration.digests import canonical_json
from orchestration.errors import IntegrityError, Reason

BAD_SIGNATURE = Reason(
    "signature.invalid",
    "The signature of this {kind} does not verify with the expected key.",
    "Ask the signer for a freshly signed {kind}; if it fails again, treat it as tampering.",
)
UNREADABLE_ENVELOPE = Reason(
    "signature.unreadable",
    "This file is not a signed {kind} (a DSSE envelope in JSON).",
    "Send the file exactly as `glasshouse` wrote it.",
)


class SigningKey:
    """A member's private key. Its public half is `public`, a JSON object that may be shown to anybody."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self._signer = CryptoSigner(private_key)

    @classmethod
    def generate(cls) -> SigningKey:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """From the 32 bytes that the key service keeps."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def load(cls, path: Path, passphrase: bytes | None = None) -> SigningKey:
        """Read a PKCS#8 PEM file, encrypted when there is a passphrase.

        Raises: OSError when it cannot be read, TypeError when it is encrypted and there is no passphrase (or
        the other way round), ValueError when the passphrase is wrong or it holds no Ed25519 key.
        """
        key = serialization.load_pem_private_key(path.read_bytes(), password=passphrase)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("not an Ed25519 private key")
        return cls(key)

    def save(self, path: Path, passphrase: bytes | None = None) -> None:
        """Write a PKCS#8 PEM file of mode 0600, encrypted under the passphrase; refuses to overwrite."""
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            encryption = serialization.BestAvailableEncryption(passphrase)
        pem = self._private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            encryption,
        )
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)

    def openssh(self) -> bytes:
        """The private key as OpenSSH writes it, unencrypted: what age opens a sealed file with."""
        return self._private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )

    @property
    def key_id(self) -> str:
        return str(self._signer.public_key.keyid)

    @property
    def public(self) -> dict[str, Any]:
        """`{"keyid": …, "keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": hex}}`."""
        return {"keyid": self.key_id, **self._signer.public_key.to_dict()}

    def sign_bytes(self, message: bytes) -> bytes:
        """A bare Ed25519 signature (64 bytes), for formats that are not DSSE, such as checkpoints."""
        return self._private_key.sign(message)

    def sign(self, payload: JsonValue, payload_type: str) -> dict[str, Any]:
        """A DSSE envelope, as a JSON object, over the canonical JSON of `payload`."""
        envelope = Envelope(canonical_json(payload), payload_type, {})
        envelope.sign(self._signer)
        return dict(envelope.to_dict())


def verify(
    envelope: dict[str, Any], public_key: dict[str, Any], payload_type: str, *, kind: str
) -> JsonValue:
    """The payload, after its signature and its type were checked.

    Args:
        envelope: a DSSE envelope as a JSON object.
        public_key: the key that must have signed it, as `SigningKey.public` gives it.
        payload_type: the type it must have.
        kind: what people call it, for messages ("manifest").

    Raises: IntegrityError (`signature.unreadable`, `signature.invalid`).
    """
    try:
        parsed = Envelope.from_dict(copy.deepcopy(envelope))
        parts = {name: value for name, value in public_key.items() if name != "keyid"}
        key = SSlibKey.from_dict(str(public_key["keyid"]), dict(parts))
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(UNREADABLE_ENVELOPE, kind=kind) from error
    if parsed.payload_type != payload_type or not _is_bare(envelope) or not _spelled_once(envelope):
        raise IntegrityError(BAD_SIGNATURE, kind=kind)
    try:
        parsed.verify([key], threshold=1)
    except (VerificationError, ValueError) as error:
        raise IntegrityError(BAD_SIGNATURE, kind=kind) from error
    payload: JsonValue = json.loads(parsed.payload)
    return payload


def _is_bare(envelope: dict[str, Any]) -> bool:
    """Whether it holds a payload, one signature, and nothing that nobody signed: it is kept as evidence."""
    if set(envelope) != {"payload", "payloadType", "signatures"} or len(envelope["signatures"]) != 1:
        return False
    return set(envelope["signatures"][0]) == {"keyid", "sig"}


def _spelled_once(envelope: dict[str, Any]) -> bool:
    """Whether its base64 is the only spelling of its bytes: unused bits that nobody signed must be zero."""
    texts = [envelope["payload"], *(signature["sig"] for signature in envelope["signatures"])]
    try:
        return all(base64.b64encode(base64.b64decode(text)).decode() == text for text in texts)
    except ValueError:
        return False


def is_public_key(public_key: dict[str, Any]) -> bool:
    """Whether this is an Ed25519 key as `SigningKey.public` gives it, and its id is its own."""
    try:
        point = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key["keyval"]["public"]))
    except (KeyError, ValueError, TypeError):
        return False
    key = SSlibKey.from_crypto(point)
    return public_key == {"keyid": key.keyid, **key.to_dict()}


def openssh_public(public_key: dict[str, Any]) -> str:
    """`ssh-ed25519 …`: the same key as OpenSSH writes it. Raises: KeyError, ValueError when it is no key."""
    point = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key["keyval"]["public"]))
    return point.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def is_signed(message: bytes, signature: bytes, public_key: dict[str, Any]) -> bool:
    """Whether a bare signature (`SigningKey.sign_bytes`) verifies with this key."""
    try:
        point = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key["keyval"]["public"]))
        point.verify(signature, message)
    except (InvalidSignature, KeyError, ValueError, TypeError):
        return False
    return True


def unsafe_payload(envelope: dict[str, Any], *, kind: str) -> JsonValue:
    """The payload of an envelope whose signature nobody has checked.

    Only to find out whose key to check it with; never act on it.
    """
    try:
        payload: JsonValue = json.loads(Envelope.from_dict(copy.deepcopy(envelope)).payload)
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise IntegrityError(UNREADABLE_ENVELOPE, kind=kind) from error
    return payload
