"""Canonical JSON (RFC 8785) and SHA-256 digests: how every document, receipt and event gets its name.

Digests are written `sha256:<64 hex>` wherever people or other programs read them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import rfc8785
from pydantic import JsonValue

_CHUNK = 1 << 20


def canonical_json(value: JsonValue) -> bytes:
    """UTF-8 bytes of `value` in RFC 8785 form: one document, one spelling.

    Raises: ValueError where a value has no such form.
    """
    # The library is exact and slow. The interpreter's own encoder writes the same bytes wherever numbers are
    # small whole ones and names are ASCII, which is nearly always.
    if _is_plain(value):
        try:
            return _plain(value).encode()
        except UnicodeEncodeError:
            pass  # the library says better what is wrong
    return rfc8785.dumps(value)


_plain = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_LARGEST = 2**53 - 1


def _is_plain(document: object) -> bool:
    values = [document]
    for value in values:  # grows on the way
        kind = type(value)
        if kind is str or kind is bool or value is None:
            continue
        if isinstance(value, int) and kind is int:
            if not -_LARGEST <= value <= _LARGEST:
                return False
        elif isinstance(value, dict) and kind is dict:
            for name in value:
                if type(name) is not str or not name.isascii():
                    return False
            values += value.values()
        elif isinstance(value, list | tuple) and kind in (list, tuple):
            values += value
        else:
            return False
    return True


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
