"""The local key service: named secrets of one house, each wrapped by the master key.

A secret lives in one file of mode 0600: nonce and AES-256-GCM ciphertext, with the secret's name as
associated data so that files cannot be swapped. Destroying the file destroys what the secret protects.
The master key comes from `GLASSHOUSE_MASTER_KEY` or, for a single machine, from a file made by `init`.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from filelock import FileLock

from orchestration.engine.files import sync, write_durably
from orchestration.errors import ConfigError, IntegrityError, Reason, ServiceError
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
MISSING_KEY = Reason(
    "keys.missing",
    "The key service holds no key named {name}; what it protected cannot be read.",
    "If it was destroyed on purpose this is final; otherwise restore the keys folder from its backup.",
)
WRONG_KEY = Reason(
    "keys.unwrap_failed",
    "The key named {name} does not open with this master key, or its file was changed.",
    "Use the master key this house was made with, or restore the keys folder from its backup.",
)

_NAME = re.compile(r"^[a-z][a-z0-9_]*(/[a-z0-9][a-z0-9_-]{0,120})?$")
_NONCE_BYTES = 12


class KeyStore:
    """Named secrets under `<home>/keys`, wrapped by the master key."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.root / "keys"
        self._master_file = settings.root / "master.key"
        self._from_environment = settings.master_key
        self._lock = FileLock(self._folder / ".lock", mode=0o600)

    def initialize(self) -> None:
        """Make the key folder, and a master key unless the environment provides one.

        Raises: ServiceError (`keys.no_master_key`) when there are secrets, but not their master key.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock:
            if self._from_environment is None and not self._master_file.exists():
                if any(self._folder.rglob("*.key")):
                    raise ServiceError(NO_MASTER_KEY)
                write_durably(self._master_file, base64.b64encode(secrets.token_bytes(32)), mode=0o600)

    def create(self, name: str, secret: bytes | None = None) -> bytes:
        """The secret called `name`: the existing one, else `secret`, else 32 fresh random bytes."""
        path = self._path(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Two processes may come for the same key; the second must get the first one's.
            with self._lock:
                if not path.exists():
                    value = secret if secret is not None else secrets.token_bytes(32)
                    nonce = secrets.token_bytes(_NONCE_BYTES)
                    sealed = nonce + AESGCM(self._master()).encrypt(nonce, value, name.encode())
                    write_durably(path, sealed, mode=0o600)
        return self.secret(name)

    def secret(self, name: str) -> bytes:
        """The secret called `name`.

        Raises: IntegrityError when it is missing, or was changed, or another master key made it.
        """
        try:
            sealed = self._path(name).read_bytes()
        except FileNotFoundError:
            raise IntegrityError(MISSING_KEY, name=name) from None
        try:
            nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return AESGCM(self._master()).decrypt(nonce, ciphertext, name.encode())
        except (InvalidTag, ValueError):
            raise IntegrityError(WRONG_KEY, name=name) from None

    def holds(self, name: str) -> bool:
        """Whether there is a secret called `name`; nothing is opened."""
        return self._path(name).exists()

    def destroy(self, name: str) -> None:
        """Overwrite and remove the wrapped secret; without it the ciphertext is noise."""
        path = self._path(name)
        gone = path.with_name(f".{path.name}.destroyed")
        if path.exists():
            os.replace(path, gone)  # first: killed half-way, a rerun must not meet a key that never opens
            sync(path.parent)
        if gone.exists():
            with gone.open("r+b") as file:
                file.write(secrets.token_bytes(gone.stat().st_size))
                os.fsync(file.fileno())
            gone.unlink()
            sync(gone.parent)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("key names are lower-case slugs with at most one '/'")
        return self._folder / f"{name}.key"

    def _master(self) -> bytes:
        if self._from_environment is not None:
            encoded = self._from_environment.get_secret_value()
        else:
            try:
                encoded = self._master_file.read_text()
            except FileNotFoundError:
                raise ServiceError(NO_MASTER_KEY) from None
        try:
            master = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise ConfigError(BAD_MASTER_KEY) from None
        if len(master) != 32:
            raise ConfigError(BAD_MASTER_KEY)
        return master
