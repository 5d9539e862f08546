"""Handles on the key store: what a stage is given can do what that stage has to do with keys, no more.

Belongs here: narrowing. Must not be here: which stage is given what (`house`, `vault`). A handle is for code
that keeps to what it was handed; it is no wall against code that reaches around it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, Protocol

from orchestration.errors import PolicyDeniedError, Reason

NOT_PERMITTED = Reason(
    "keys.not_permitted",
    "This step may not {action} the key named {name}.",
    "Each step has the keys it needs; docs/keys.md says which. Report it: a step asked for too much.",
)

Right = Literal["make", "read", "destroy"]


class Keys(Protocol):
    """Named secrets, or some of them."""

    def create(self, name: str, secret: bytes | None = None) -> bytes:
        """The existing secret, else a new one."""

    def renew(self, name: str) -> bytes:
        """A new secret in place of any there is."""

    def secret(self, name: str) -> bytes:
        """The existing secret. Raises: IntegrityError."""

    def holds(self, name: str) -> bool:
        """Whether there is one."""

    def destroy(self, name: str) -> None:
        """Have it gone for good."""


class KeyAccess:
    """Some rights on some keys. A name that ends in a slash stands for every key of that kind."""

    def __init__(
        self,
        keys: Keys,
        *,
        make: Collection[str] = (),
        read: Collection[str] = (),
        destroy: Collection[str] = (),
    ) -> None:
        self._keys = keys
        self._rights: dict[Right, frozenset[str]] = {
            "make": frozenset(make),
            "read": frozenset(read),
            "destroy": frozenset(destroy),
        }

    def create(self, name: str, secret: bytes | None = None) -> bytes:
        """Raises: PolicyDeniedError without the rights to make and to read it."""
        self._require("make", name)
        self._require("read", name)
        return self._keys.create(name, secret)

    def renew(self, name: str) -> bytes:
        """Raises: PolicyDeniedError without the rights to make and to destroy it."""
        self._require("make", name)
        self._require("destroy", name)
        return self._keys.renew(name)

    def secret(self, name: str) -> bytes:
        """Raises: PolicyDeniedError without the right to read it."""
        self._require("read", name)
        return self._keys.secret(name)

    def holds(self, name: str) -> bool:
        """Raises: PolicyDeniedError without any right on it."""
        if not any(self._has(right, name) for right in self._rights):
            raise PolicyDeniedError(NOT_PERMITTED, action="look for", name=name)
        return self._keys.holds(name)

    def destroy(self, name: str) -> None:
        """Raises: PolicyDeniedError without the right to destroy it."""
        self._require("destroy", name)
        self._keys.destroy(name)

    def _require(self, right: Right, name: str) -> None:
        if not self._has(right, name):
            raise PolicyDeniedError(NOT_PERMITTED, action=right, name=name)

    def _has(self, right: Right, name: str) -> bool:
        kind = name.split("/")[0]
        return name in self._rights[right] or ("/" in name and f"{kind}/" in self._rights[right])
