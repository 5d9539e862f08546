"""One house: its settings, keys, log and stores, opened together and handed to whoever works in it.

Belongs here: wiring and where things lie under the home folder. Must not be here: any rule, any step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pyrage

from orchestration.audit.log import AuditLog
from orchestration.charter import Charter, load_charter
from orchestration.digests import canonical_json
from orchestration.engine.files import write_durably
from orchestration.engine.history import History
from orchestration.engine.key_access import KeyAccess
from orchestration.engine.keystore import KeyStore
from orchestration.engine.room import Room
from orchestration.engine.vault import Vault
from orchestration.errors import ConfigError, Reason
from orchestration.participants import guard
from orchestration.participants.state import State
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
        """Make the folders and the house's own keys; safe to repeat. A charter counts once it is agreed."""
        settings.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        keys = KeyStore(settings)
        keys.initialize()
        keys.create(_OPERATOR_KEY)
        keys.create(_FINGERPRINT_KEY)
        keys.create(_QUARANTINE_KEY, _new_identity())
        house = cls(settings, AuditLog(settings.control_url, admit=guard.admit), keys)
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
        return cls(settings, AuditLog(settings.control_url, admit=guard.admit), KeyStore(settings))

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
        """The charters of this house by collaboration, read once; `serve` reads them again."""
        return served_charters(self.settings)

    def charter(self, collaboration: str) -> Charter:
        """Raises: ConfigError (`house.unknown_collaboration`)."""
        try:
            return self.charters[collaboration]
        except KeyError:
            raise ConfigError(
                UNKNOWN_COLLABORATION, name=collaboration, known=", ".join(self.charters) or "none"
            ) from None

    def serve(self, charter: Charter) -> None:
        """Get ready for a charter that has become the active one; safe to repeat."""
        collaboration = charter.collaboration
        self.keys.create(f"pseudonym/{collaboration}")
        self.keys.create(f"blinding/{collaboration}")
        self.keys.create(f"room/{collaboration}")
        self.keys.create(_package_key(collaboration), _new_identity())
        for participant in charter.participants:
            self.landing(collaboration, participant.id).mkdir(parents=True, exist_ok=True, mode=0o700)
        path = _agreed(self.settings) / f"{collaboration}.json"
        document = canonical_json(charter.document)
        if not path.exists() or path.read_bytes() != document:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(path, document)
            self.__dict__.pop("charters", None)

    @contextmanager
    def state(self, collaboration: str, at: datetime | None = None) -> Iterator[State]:
        """What the log says of a collaboration now, or at the moment `at`, as one consistent view."""
        with self.log.read() as connection:
            yield State(connection, collaboration, at or self.log.present(connection))

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
        """Holds the keys of contributions and no others, and hands out narrower handles."""
        kind = ["vault/"]
        return Vault(self.settings, KeyAccess(self.keys, make=kind, read=kind, destroy=kind))

    @property
    def history(self) -> History:
        kind = ["history/"]
        return History(self.settings, KeyAccess(self.keys, make=kind, read=kind, destroy=kind))

    def room(self, collaboration: str) -> Room:
        """Holds the key of this room and no other."""
        own = Room.key_names(collaboration)
        return Room(self.settings, KeyAccess(self.keys, make=own, read=own, destroy=own), collaboration)

    @property
    def login_key(self) -> bytes:
        """What second factors of portal logins rest under."""
        return self.keys.create("login")

    def shred_keys(self, collaboration: str) -> tuple[str, ...]:
        """Destroy the keys of a collaboration besides those of its contributions and its room."""
        names = (f"pseudonym/{collaboration}", f"blinding/{collaboration}", _package_key(collaboration))
        for name in names:
            self.keys.destroy(name)
        return names

    def pseudonym_key(self, collaboration: str) -> bytes:
        """The collaboration's key: its stewards have it too, to prepare data at their own desks."""
        return self.keys.secret(f"pseudonym/{collaboration}")

    def blinding_key(self, collaboration: str) -> bytes:
        """The key of the second layer of pseudonyms; it never leaves the house."""
        return self.keys.secret(f"blinding/{collaboration}")

    def renew_blinding_key(self, collaboration: str) -> str:
        """Another key for the second layer, in place of the present one; returns its public name."""
        key = self.keys.renew(f"blinding/{collaboration}")
        return f"blinding-{hashlib.sha256(b'glasshouse blinding key' + key).hexdigest()[:16]}"

    def package_identity(self, collaboration: str) -> pyrage.x25519.Identity:
        """What opens packages sealed to the room; for intake alone."""
        return pyrage.x25519.Identity.from_str(self.keys.secret(_package_key(collaboration)).decode())

    def package_recipient(self, collaboration: str) -> pyrage.x25519.Recipient:
        """Whom a contributor's desk seals its packages to (age, X25519): the room's public key."""
        return self.package_identity(collaboration).to_public()

    def landing(self, collaboration: str, participant: str) -> Path:
        """Where a participant's deliveries arrive."""
        return self.settings.root / "landing" / collaboration / participant

    @property
    def quarantine(self) -> Path:
        return self.settings.root / "quarantine"

    @property
    def letters(self) -> Path:
        """What only stewards may read about their contributions, sealed to them."""
        return self.settings.root / "letters"

    @property
    def shelf(self) -> Path:
        return self.settings.root / "shelf"

    @property
    def protected(self) -> Path:
        """Tables that passed output control and wait for their release."""
        return self.settings.root / "protected"

    @property
    def cases(self) -> Path:
        """Evidence packs of disputes."""
        return self.settings.root / "cases"

    @property
    def checkpoints(self) -> Path:
        return self.settings.root / "checkpoints"

    @property
    def member_keys(self) -> Path:
        """Private keys of members who have no place of their own: the demo, or a single machine."""
        return self.settings.root / "members"


def served_charters(settings: Settings) -> dict[str, Charter]:
    """The charters of a house by collaboration: what its folder offers, and over it what was agreed.

    Reads files only, so that it works without the log; what counts is asked of the log at every stage.

    Raises: CharterError when a file of the folder has mistakes.
    """
    offered = [load_charter(path) for path in sorted(settings.charters.glob("*.yaml"))]
    served = {charter.collaboration: charter for charter in offered}
    for path in sorted(_agreed(settings).glob("*.json")):
        charter = Charter.model_validate_json(path.read_bytes())
        served[charter.collaboration] = charter
    return served


def _package_key(collaboration: str) -> str:
    return f"package/{collaboration}"


def _new_identity() -> bytes:
    """A fresh private key of age, as text."""
    return str(pyrage.x25519.Identity.generate()).encode()


def _agreed(settings: Settings) -> Path:
    """Where the active charters lie, one file for each collaboration, as the log has them."""
    return settings.root / "charters"
