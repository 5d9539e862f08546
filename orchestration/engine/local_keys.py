"""The local key service: master keys in one file of this machine, or in the environment.

Belongs here: AES-256-GCM under such a key, and where it is kept. Must not be here: the secrets it wraps
(`keystore`).

The file holds one key a line. The last whole line wraps; earlier ones still open what they wrapped. The file
only grows, and a key is destroyed where it stands: no rewriting leaves a copy of it on the disk.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from orchestration.engine.files import sync, write_durably
from orchestration.errors import ConfigError, Reason, ServiceError
from orchestration.settings import Settings

BAD_MASTER_KEY = Reason(
    "keys.master_key_format",
    "GLASSHOUSE_MASTER_KEY is not the base64 of 32 bytes.",
    "Make one with: python -c 'import base64,os; print(base64.b64encode(os.urandom(32)).decode())'",
)
NO_MASTER_KEY = Reason(
    "keys.no_master_key",
    "There is no master key: neither GLASSHOUSE_MASTER_KEY nor a key file of this house.",
    "Run `glasshouse init`, or set GLASSHOUSE_MASTER_KEY to the key this house was made with.",
)
NOT_OURS_TO_MAKE = Reason(
    "keys.from_environment",
    "The master key comes from GLASSHOUSE_MASTER_KEY, and everything is wrapped by it already.",
    "Set GLASSHOUSE_FORMER_MASTER_KEY to that key and GLASSHOUSE_MASTER_KEY to a new one, then rotate.",
)

_NONCE_BYTES = 12
_LINE = 44  # base64 of 32 bytes
_DESTROYED = b"." * _LINE


class LocalKeys:
    """Master keys of a single machine, named by a check value of each."""

    service: ClassVar = "local"

    def __init__(self, settings: Settings) -> None:
        self._file = settings.root / "master.key"
        self._current = settings.master_key
        self._former = settings.former_master_key

    @property
    def makes_keys(self) -> bool:
        return self._current is None

    def initialize(self, *, known: bool) -> None:
        """Make the key file, unless the environment provides the key or there is one.

        Raises: ServiceError (`keys.no_master_key`) when its keys wrapped something and are gone.
        """
        if self._current is not None or self._in_file():
            return
        if known:
            raise ServiceError(NO_MASTER_KEY)
        if self._file.exists():  # this house moved away from here once, and all its lines are destroyed
            self.add()
        else:
            write_durably(self._file, _new_line(), mode=0o600)

    def versions(self) -> tuple[str, ...]:
        """Which master keys there are, oldest first; the last one wraps.

        Raises: ServiceError (`keys.no_master_key`), ConfigError (`keys.master_key_format`).
        """
        return tuple(self._keys())

    def wrap(self, version: str, secret: bytes, about: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self._keys()[version]).encrypt(nonce, secret, about)

    def unwrap(self, version: str | None, wrapped: bytes, about: bytes) -> bytes | None:
        """The secret; None where it does not open. Without a version every key is tried (old files)."""
        keys = self._keys()
        nonce, ciphertext = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        for key in keys.values() if version is None else filter(None, [keys.get(version)]):
            try:
                return AESGCM(key).decrypt(nonce, ciphertext, about)
            except (InvalidTag, ValueError):
                continue
        return None

    def add(self) -> None:
        """Make a key that wraps from now on.

        Raises: ConfigError (`keys.from_environment`): nobody but the operator can change the environment.
        """
        if self._current is not None:
            raise ConfigError(NOT_OURS_TO_MAKE)
        with self._file.open("ab") as file:
            file.write(b"\n" + _new_line())
            file.flush()
            os.fsync(file.fileno())
        sync(self._file.parent)

    def destroy(self, version: str) -> None:
        """Overwrite a key where it stands; one from the environment is the operator's to destroy."""
        if self._current is not None:
            return
        lines = self._file.read_bytes().split(b"\n")
        with self._file.open("r+b") as file:
            for number, line in enumerate(lines):
                key = _decoded(line)
                if key is not None and _check_value(key) == version:
                    file.seek(sum(len(each) + 1 for each in lines[:number]))
                    file.write(_DESTROYED)
            file.flush()
            os.fsync(file.fileno())

    def _keys(self) -> dict[str, bytes]:
        if self._current is not None:
            given = [each for each in (self._former, self._current) if each is not None]
            keys = [_parsed(each) for each in given]
        else:
            keys = self._in_file()
            if not keys and not self._file.exists():
                raise ServiceError(NO_MASTER_KEY)
            if not keys:
                raise ConfigError(BAD_MASTER_KEY)
        return {_check_value(key): key for key in keys}

    def _in_file(self) -> list[bytes]:
        """A line that a kill cut short was never used to wrap anything, and is skipped."""
        content = self._file.read_bytes() if self._file.exists() else b""
        return [key for line in content.split(b"\n") if (key := _decoded(line)) is not None]


def _new_line() -> bytes:
    return base64.b64encode(secrets.token_bytes(32))


def _parsed(given: SecretStr) -> bytes:
    key = _decoded(given.get_secret_value().strip().encode())
    if key is None:
        raise ConfigError(BAD_MASTER_KEY)
    return key


def _decoded(line: bytes) -> bytes | None:
    try:
        key = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == 32 else None


def _check_value(key: bytes) -> str:
    """Names a key without telling anything of it."""
    return hmac.digest(key, b"glasshouse master key version", "sha256").hex()[:16]
