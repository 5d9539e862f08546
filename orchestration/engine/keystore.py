"""The key store: named secrets of one house, each wrapped by a master key of the key service.

A secret lives in one file of mode 0600: a line that names the service and the version of its master key that
wrapped it, then nonce and AES-256-GCM ciphertext. That line and the secret's name are associated data, so
files cannot be swapped or relabelled. Destroying the file destroys what the secret protects.

Belongs here: the files, and moving them from one master key to the next. Must not be here: master keys
(`key_service`), or who may have which secret (`key_access`).
"""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock

from orchestration.engine.files import sync, write_durably
from orchestration.engine.key_service import KeyService, key_service, other_services
from orchestration.errors import IntegrityError, Reason
from orchestration.settings import Settings

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
OTHER_SERVICE = Reason(
    "keys.other_service",
    "The key named {name} was wrapped by the {service} key service, which this house no longer uses.",
    "Move all keys with `glasshouse keyring rotate`, or set GLASSHOUSE_KEY_SERVICE back.",
)

_NAME = re.compile(r"^[a-z][a-z0-9_]*(/[a-z0-9][a-z0-9_-]{0,120})?$")
_HEADER = re.compile(rb"^glasshouse-wrapped-key/1 (local|pkcs11) ([0-9a-f]{16})\n")
_ATTEMPTS = 2


@dataclass(frozen=True)
class Rotation:
    """Every secret is wrapped by the master key `current`; those of `former` wrap nothing any more."""

    service: str
    former: tuple[str, ...]
    current: str
    rewrapped: int


class KeyStore:
    """Named secrets under `<home>/keys`, wrapped by the key service."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.root / "keys"
        self._settings = settings
        self._lock = FileLock(self._folder / ".lock", mode=0o600)

    @cached_property
    def _service(self) -> KeyService:
        return key_service(self._settings)

    def initialize(self) -> None:
        """Make the key folder, and the first master key unless there is one.

        Raises: ServiceError (`keys.no_master_key` or `keys.token_…`) when there are secrets, but not their
        master key, or no token.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock:
            used = {self._wrapped_by(name)[0] for name in self._names()}
            # Where another service wrapped all there is, this house is about to move: that is `rotate`.
            if not used or self._service.service in used:
                self._service.initialize(known=bool(used))

    def create(self, name: str, secret: bytes | None = None) -> bytes:
        """The secret called `name`: the existing one, else `secret`, else 32 fresh random bytes."""
        path = self._path(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Two processes may come for the same key; the second must get the first one's.
            with self._lock:
                if not path.exists():
                    self._write(name, secret if secret is not None else secrets.token_bytes(32))
        return self.secret(name)

    def renew(self, name: str) -> bytes:
        """32 fresh random bytes, in place of whatever secret had this name."""
        secret = secrets.token_bytes(32)
        self.destroy(name)
        return self.create(name, secret)

    def secret(self, name: str) -> bytes:
        """The secret called `name`.

        Raises: IntegrityError when it is missing, or was changed, or another master key made it.
        """
        for left in reversed(range(_ATTEMPTS)):
            wrapped = self._read(name)
            opened = self._open(name, wrapped, self._service)
            if opened is not None:
                return opened
            if left == 0 or wrapped == self._read(name):
                break  # otherwise it was being moved to the next master key just now
        raise IntegrityError(WRONG_KEY, name=name)

    def holds(self, name: str) -> bool:
        """Whether there is a secret called `name`; nothing is opened."""
        return self._path(name).exists()

    def destroy(self, name: str) -> None:
        """Overwrite and remove the wrapped secret; without it the ciphertext is noise."""
        path = self._path(name)
        gone = path.with_name(f".{path.name}.destroyed")
        if not path.exists() and not gone.exists():
            return
        with self._lock:  # while keys are rotated, nobody may bring this one back
            if path.exists():
                os.replace(path, gone)  # first: killed half-way, a rerun must not meet a key that never opens
                sync(path.parent)
            if gone.exists():
                with gone.open("r+b") as file:
                    file.write(secrets.token_bytes(gone.stat().st_size))
                    os.fsync(file.fileno())
                gone.unlink()
                sync(gone.parent)

    # --- the master keys

    @property
    def service(self) -> str:
        return self._service.service

    def versions(self) -> tuple[str, ...]:
        """The master keys of this house, oldest first; the last one wraps."""
        return tuple(f"{self.service}-{version}" for version in self._service.versions())

    def kinds(self) -> dict[str, int]:
        """How many secrets there are of each kind; nothing is opened."""
        return dict(sorted(Counter(name.split("/")[0] for name in self._names()).items()))

    def wrapped_by(self) -> dict[str, int]:
        """How many secrets each master key wraps; nothing is opened."""
        used = Counter("-".join(filter(None, self._wrapped_by(name))) for name in self._names())
        return dict(sorted(used.items()))

    def rotate(self) -> Rotation:
        """Wrap every secret by a new master key, or finish a rotation that was cut short.

        Until `forget` both keys open what they wrapped, so it may be killed anywhere. Secrets that another
        configured service wrapped move to this one.

        Raises: ConfigError (`keys.from_environment`) where a new key is the operator's to make;
        IntegrityError for a secret that does not open: then nothing is destroyed.
        """
        with self._lock:
            used = {name: self._wrapped_by(name) for name in self._names()}
            here = self._service.service
            self._service.initialize(known=any(service == here for service, _ in used.values()))
            others = other_services(self._settings)
            if not self._is_pending(used, others):
                self._service.add()
            current = self._service.versions()[-1]
            services = {each.service: each for each in (self._service, *others)}
            rewrapped = 0
            for name, wrapped_by in used.items():
                if wrapped_by != (here, current):
                    self._rewrap(name, services)
                    rewrapped += 1
            former = [(here, version) for version in self._service.versions()[:-1]]
            former += [(each.service, version) for each in others for version in self._left(each, used)]
        return Rotation(here, tuple("-".join(each) for each in former), f"{here}-{current}", rewrapped)

    def forget(self, rotation: Rotation) -> None:
        """Destroy the former master keys. What they wrapped elsewhere, in backups, opens no more."""
        with self._lock:
            services = {each.service: each for each in (self._service, *other_services(self._settings))}
            for each in rotation.former:
                service, version = each.split("-")
                services[service].destroy(version)

    def _is_pending(self, used: dict[str, tuple[str, str]], others: list[KeyService]) -> bool:
        """Whether master keys are there that should not be; then a rerun makes no further one."""
        versions = self._service.versions()
        current = (self._service.service, versions[-1])
        unfinished = len(versions) > 1 and (
            self._service.makes_keys or any(each != current for each in used.values())
        )
        return unfinished or any(self._left(each, used) for each in others)

    @staticmethod
    def _left(other: KeyService, used: dict[str, tuple[str, str]]) -> list[str]:
        """Master keys of a service this house moves away from. A token may hold keys of other houses."""
        named = {version for service, version in used.values() if service == other.service}
        ours = other.service == "local" and other.makes_keys
        return [version for version in other.versions() if ours or version in named]

    def _rewrap(self, name: str, services: dict[str, KeyService]) -> None:
        wrapped, service = self._read(name), self._wrapped_by(name)[0]
        if service not in services:
            raise IntegrityError(OTHER_SERVICE, name=name, service=service)
        secret = self._open(name, wrapped, services[service])
        if secret is None:
            raise IntegrityError(WRONG_KEY, name=name)
        self._write(name, secret)

    # --- the files

    def _write(self, name: str, secret: bytes) -> None:
        version = self._service.versions()[-1]
        header = f"glasshouse-wrapped-key/1 {self._service.service} {version}\n".encode()
        wrapped = self._service.wrap(version, secret, header + name.encode())
        write_durably(self._path(name), header + wrapped, mode=0o600)

    def _open(self, name: str, wrapped: bytes, service: KeyService) -> bytes | None:
        header = _HEADER.match(wrapped)
        if header is None:  # as houses wrapped before master keys had versions
            return service.unwrap(None, wrapped, name.encode())
        if header[1].decode() != service.service:
            raise IntegrityError(OTHER_SERVICE, name=name, service=header[1].decode())
        return service.unwrap(header[2].decode(), wrapped[header.end() :], header[0] + name.encode())

    def _wrapped_by(self, name: str) -> tuple[str, str]:
        """Service and version; an empty version for a file of the time before there were any."""
        header = _HEADER.match(self._read(name))
        return (header[1].decode(), header[2].decode()) if header else ("local", "")

    def _read(self, name: str) -> bytes:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            raise IntegrityError(MISSING_KEY, name=name) from None

    def _names(self) -> Iterator[str]:
        for path in sorted(self._folder.rglob("*.key")):
            name = path.relative_to(self._folder).with_suffix("").as_posix()
            if _NAME.fullmatch(name):  # and not the unfinished file of a killed process
                yield name

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("key names are lower-case slugs with at most one '/'")
        return self._folder / f"{name}.key"
