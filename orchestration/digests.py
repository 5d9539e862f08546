"""Canonical JSON (RFC 8785) and SHA-256 digests: how every document, receipt and event gets its name.

Digests are written `sha256:<64 hex>` wherever people or other programs read them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import rfc8785
from pydantic import JsonValue

_CHUNK = 1 << 20


def canonical_json(value: JsonValue) -> bytes:
    """UTF-8 bytes of `value` in RFC 8785 form: one document, one spelling."""
    return rfc8785.dumps(value)


def digest_bytes(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_json(value: JsonValue) -> str:
    return digest_bytes(canonical_json(value))


def digest_file(path: Path) -> str:
    """Digest of a file of any size, read in chunks of 1 MiB."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return f"sha256:{sha.hexdigest()}"
