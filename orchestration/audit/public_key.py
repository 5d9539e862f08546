"""A public key from a file or a website, as `SigningKey.public` writes it.

Belongs here: reading one. Must not be here: whose it is, or whether it still counts (`participants/`).
"""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import SSlibKey


def read_public_key(text: str) -> dict[str, Any]:
    """The key in `text`, whose id was computed again: nobody can give one key the name of another.

    Raises: ValueError when it is not an Ed25519 public key in the form `SigningKey.public` has.
    """
    try:
        told = json.loads(text)
        raw = bytes.fromhex(told["keyval"]["public"])
        key = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(raw))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("not an Ed25519 public key") from error
    known: dict[str, Any] = {"keyid": key.keyid, **key.to_dict()}
    if told != known:
        raise ValueError("not a public key as it is written here")
    return known
