"""The key service: master keys that wrap data keys, behind one interface.

Belongs here: what a backend must be able to do, and which one a house uses. Must not be here: a backend.
Envelope encryption: a data key is made here on the machine, and rests wrapped by a master key. The master
key itself is only ever asked to wrap and unwrap, so it may live in a token that never gives it away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from orchestration.engine.local_keys import LocalKeys
from orchestration.errors import GlasshouseError
from orchestration.settings import Settings


class KeyService(Protocol):
    """Master keys by version. A version never changes, and one that was destroyed never comes back."""

    @property
    def service(self) -> str:
        """The backend's name; wrapped files carry it."""

    @property
    def makes_keys(self) -> bool:
        """Whether keys are made and destroyed here, or by the operator (in the environment)."""

    def initialize(self, *, known: bool) -> None:
        """Make the first master key, unless there is one.

        Args:
            known: whether this house has wrapped something with this service.
        """

    def versions(self) -> tuple[str, ...]:
        """Names of the master keys, oldest first; the last one wraps."""

    def wrap(self, version: str, secret: bytes, about: bytes) -> bytes:
        """AES-256-GCM under a fresh nonce, with `about` as associated data: nonce, ciphertext, tag."""

    def unwrap(self, version: str | None, wrapped: bytes, about: bytes) -> bytes | None:
        """What was wrapped; None where this service's keys do not open it."""

    def add(self) -> None:
        """Make a master key that wraps from now on. Raises: ConfigError where only the operator can."""

    def destroy(self, version: str) -> None:
        """Destroy a master key for good, where it was made here."""


def key_service(settings: Settings) -> KeyService:
    """The service this house wraps with. Raises: ConfigError where its settings are incomplete."""
    return _BACKENDS[settings.key_service](settings)


def other_services(settings: Settings) -> list[KeyService]:
    """Services that are configured besides: what they wrapped moves to ours when keys are rotated."""
    others = []
    for name in _BACKENDS.keys() - {settings.key_service}:
        try:
            other = _BACKENDS[name](settings)
            other.versions()
        except GlasshouseError:
            continue
        others.append(other)
    return others


def _token_keys(settings: Settings) -> KeyService:
    from orchestration.engine.token_keys import TokenKeys  # loads a native module; few houses need it

    return TokenKeys(settings)


_BACKENDS: dict[str, Callable[[Settings], KeyService]] = {"local": LocalKeys, "pkcs11": _token_keys}
