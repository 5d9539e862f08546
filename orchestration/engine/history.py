"""What the house remembers of contributions that passed, each in an encrypted file under a key of its own.

Beside the room and not in it: dbt holds the room's key, so what lies in the room is within reach of every
model. Here a model reaches nothing, a room written anew loses nothing, and destroying one contribution's key
makes noise of its file. Must not be here: what is remembered (`scope/statistics`).
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from orchestration.engine.files import write_durably
from orchestration.engine.key_access import Keys
from orchestration.errors import IntegrityError, Reason
from orchestration.settings import Settings

CHANGED = Reason(
    "history.changed",
    "What is remembered of contribution {contribution} was changed, or its key is gone.",
    "Restore the history folder and the keys from one backup; then run the gate again.",
)

_NONCE_BYTES = 12


class History:
    """Small documents under `<home>/history`, one per contribution (AES-256-GCM)."""

    def __init__(self, settings: Settings, keys: Keys) -> None:
        self.folder = settings.root / "history"
        self._keys = keys

    @staticmethod
    def key_id(contribution: str) -> str:
        return f"history/{contribution}"

    def path(self, contribution: str) -> Path:
        return self.folder / f"{contribution}.aes"

    def write(self, contribution: str, document: bytes) -> None:
        """Remember, in place of what was remembered before."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = self._keys.create(self.key_id(contribution))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + AESGCM(key).encrypt(nonce, document, contribution.encode())
        write_durably(self.path(contribution), sealed, mode=0o600)

    def read(self, contribution: str) -> bytes | None:
        """What is remembered; None: nothing.

        Raises: IntegrityError (`history.changed`, and the key service's own).
        """
        try:
            sealed = self.path(contribution).read_bytes()
        except FileNotFoundError:
            return None
        key = self._keys.secret(self.key_id(contribution))
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], contribution.encode())
        except (InvalidTag, ValueError):
            raise IntegrityError(CHANGED, contribution=contribution) from None

    def forget(self, contribution: str) -> None:
        """Shred the key, then remove the file."""
        self._keys.destroy(self.key_id(contribution))
        self.path(contribution).unlink(missing_ok=True)
