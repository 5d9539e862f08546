"""One house: its settings, keys, log and stores, opened together and handed to whoever works in it.

Belongs here: wiring and where things lie under the home folder. Must not be here: any rule, any step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyrage

from orchestration.audit.events import CharterRegistered, Event
from orchestration.audit.log import AuditLog
from orchestration.audit.projections import AlreadyRecordedError
from orchestration.charter import Charter, load_charter
from orchestration.engine.keystore import KeyStore
from orchestration.engine.room import Room
from orchestration.engine.vault import Vault
from orchestration.errors import ConfigError, Reason
from orchestration.settings import Settings
from orchestration.signing import SigningKey

NO_HOUSE = Reason(
    "house.not_initialized",
    "There is no house in {home} yet.",
    "Run `glasshouse init`, or set GLASSHOUSE_HOME to the folder of an existing one.",
)
UNKNOWN_COLLABORATION = Reason(
    "house.unknown_collaboration",
    "This house serves no collaboration called {name}.",
    "Put its charter into the charters folder; it serves: {known}.",
)

OPERATOR = "operator"  # the actor of what the platform does on its own
_OPERATOR_KEY = "operator"
_QUARANTINE_KEY = "quarantine"
_FINGERPRINT_KEY = "fingerprint"


@dataclass(frozen=True)
class House:
    """An opened house."""

    settings: Settings
    log: AuditLog
    keys: KeyStore

    @classmethod
    def initialize(cls, settings: Settings) -> House:
        """Make the folders and the house's own keys, and register the charters; safe to repeat."""
        settings.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        keys = KeyStore(settings)
        keys.initialize()
        keys.create(_OPERATOR_KEY)
        keys.create(_FINGERPRINT_KEY)
        keys.create(_QUARANTINE_KEY, str(pyrage.x25519.Identity.generate()).encode())
        house = cls(settings, AuditLog(settings.control_url), keys)
        for charter in house.charters.values():
            house.register(charter)
            keys.create(f"pseudonym/{charter.collaboration}")
            keys.create(f"room/{charter.collaboration}")
            for participant in charter.participants:
                house.landing(charter.collaboration, participant.id).mkdir(
                    parents=True, exist_ok=True, mode=0o700
                )
        for folder in (house.vault.folder, house.quarantine, house.shelf, house.checkpoints):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return house

    @classmethod
    def open(cls, settings: Settings) -> House:
        """An existing house.

        Raises: ConfigError (`house.not_initialized`).
        """
        if not (settings.root / "keys").is_dir():
            raise ConfigError(NO_HOUSE, home=settings.home)
        return cls(settings, AuditLog(settings.control_url), KeyStore(settings))

    @classmethod
    @contextmanager
    def opened(cls, settings: Settings) -> Iterator[House]:
        """`open`, and close the log afterwards."""
        house = cls.open(settings)
        try:
            yield house
        finally:
            house.log.close()

    @cached_property
    def charters(self) -> dict[str, Charter]:
        """The charters of this house by collaboration, read once."""
        loaded = [load_charter(path) for path in sorted(self.settings.charters.glob("*.yaml"))]
        return {charter.collaboration: charter for charter in loaded}

    def charter(self, collaboration: str) -> Charter:
        """Raises: ConfigError (`house.unknown_collaboration`)."""
        try:
            return self.charters[collaboration]
        except KeyError:
            raise ConfigError(
                UNKNOWN_COLLABORATION, name=collaboration, known=", ".join(self.charters) or "none"
            ) from None

    def register(self, charter: Charter) -> None:
        """Record this version of the charter, once."""
        payload = CharterRegistered(digest=charter.digest, title=charter.title, version=charter.version)
        event = Event(
            collaboration=charter.collaboration,
            subject=charter.collaboration,
            actor=OPERATOR,
            justification="Placed in the charters folder.",
            payload=payload,
        )
        try:
            self.log.append(event)
        except AlreadyRecordedError:
            return

    @cached_property
    def operator(self) -> SigningKey:
        """The key that signs checkpoints and passports."""
        return SigningKey.from_seed(self.keys.secret(_OPERATOR_KEY))

    @cached_property
    def sealing_recipient(self) -> pyrage.x25519.Recipient:
        """Whom a refused delivery is sealed to (age, X25519)."""
        identity = pyrage.x25519.Identity.from_str(self.keys.secret(_QUARANTINE_KEY).decode())
        return identity.to_public()

    @cached_property
    def fingerprint_key(self) -> bytes:
        """The key under which receipts vouch for tables of the room."""
        return self.keys.secret(_FINGERPRINT_KEY)

    @property
    def vault(self) -> Vault:
        return Vault(self.settings, self.keys)

    def room(self, collaboration: str) -> Room:
        return Room(self.settings, self.keys, collaboration)

    def pseudonym_key(self, collaboration: str) -> bytes:
        return self.keys.secret(f"pseudonym/{collaboration}")

    def landing(self, collaboration: str, participant: str) -> Path:
        """Where a participant's deliveries arrive."""
        return self.settings.root / "landing" / collaboration / participant

    @property
    def quarantine(self) -> Path:
        return self.settings.root / "quarantine"

    @property
    def shelf(self) -> Path:
        return self.settings.root / "shelf"

    @property
    def checkpoints(self) -> Path:
        return self.settings.root / "checkpoints"

    @property
    def member_keys(self) -> Path:
        """Private keys of members who have no place of their own: the demo, or a single machine."""
        return self.settings.root / "members"
