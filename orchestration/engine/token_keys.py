"""The PKCS#11 key service: master keys that never leave a hardware token.

Belongs here: everything that speaks to the token. Must not be here: the secrets its keys wrap (`keystore`).

Each version is one AES-256 object of the token: generated inside, sensitive, never extractable, good for
encryption and decryption only. Data keys are wrapped with CKM_AES_GCM under associated data (PKCS#11 3.0
§2.13.5); why not a wrapping mechanism stands in ADR 12. Versions are ordered by CKA_ID: a counter, then
random bytes. The token is asked by one session per process, one call at a time.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pydantic import SecretStr

from orchestration.errors import ConfigError, Reason, ServiceError
from orchestration.settings import Settings

NOT_CONFIGURED = Reason(
    "keys.token_settings",
    "The key service is a PKCS#11 token, and {missing} is not set.",
    "Set it, and the rest of the GLASSHOUSE_PKCS11_ settings; docs/keys.md shows each.",
)
NO_MODULE = Reason(
    "keys.token_module",
    "The PKCS#11 module of this house cannot be loaded.",
    "Correct GLASSHOUSE_PKCS11_MODULE, and install what the maker of the token says it needs.",
)
NO_TOKEN = Reason(
    "keys.token_missing",
    "The PKCS#11 module has no token called {token}.",
    "Connect the token, or correct GLASSHOUSE_PKCS11_TOKEN.",
)
WRONG_PIN = Reason(
    "keys.token_pin",
    "The token {token} does not accept its PIN, or has locked it.",
    "Correct GLASSHOUSE_PKCS11_PIN and start again; this process does not try that PIN twice.",
)
NO_KEY = Reason(
    "keys.token_no_key",
    "The token {token} holds no master key labelled {label}.",
    "Use the token this house was made with; for a new house, run `glasshouse init`.",
)
IN_USE = Reason(
    "keys.token_in_use",
    "The token {token} holds a key labelled {label} already, and this house has wrapped nothing with it.",
    "Give each house a label of its own, GLASSHOUSE_PKCS11_KEY; this one is free again once its unused key is"
    " deleted with the tools of the token's maker.",
)
FAILED = Reason(
    "keys.token_failed",
    "The token {token} did not do what it was asked ({kind}).",
    "See what its maker's tools say of it, then rerun: nothing was lost.",
)

_T = TypeVar("_T")
_NONCE_BYTES = 12
_COUNTER_BYTES = 4
_ID_BYTES = 8
# What says nothing about the token but that this process has lost touch with it.
_LOST = (
    pkcs11.SessionHandleInvalid,
    pkcs11.SessionClosed,
    pkcs11.UserNotLoggedIn,
    pkcs11.UserAlreadyLoggedIn,
    pkcs11.KeyHandleInvalid,
    pkcs11.ObjectHandleInvalid,
    pkcs11.DeviceRemoved,
    pkcs11.TokenNotPresent,
)
_BAD_PIN = (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked, pkcs11.PinExpired)
# A changed ciphertext: the standard's words for it, and SoftHSM's.
_DOES_NOT_OPEN = (
    pkcs11.EncryptedDataInvalid,
    pkcs11.EncryptedDataLenRange,
    pkcs11.DataInvalid,
    pkcs11.GeneralError,
)


@dataclass(frozen=True)
class _Opened:
    session: pkcs11.Session
    pin: str = field(repr=False)
    process: int


# A login belongs to the process, not to a session: so all houses of a process share one of each.
_one_at_a_time = threading.RLock()
_opened: dict[tuple[str, str], _Opened] = {}
_refused: set[tuple[str, str, str]] = set()


class TokenKeys:
    """Master keys of one label in one token, named by their CKA_ID."""

    service: ClassVar = "pkcs11"
    makes_keys: ClassVar = True

    def __init__(self, settings: Settings) -> None:
        """Raises: ConfigError (`keys.token_settings`); the token is not touched."""
        given = {
            "GLASSHOUSE_PKCS11_MODULE": settings.pkcs11_module,
            "GLASSHOUSE_PKCS11_TOKEN": settings.pkcs11_token,
            "GLASSHOUSE_PKCS11_PIN": settings.pkcs11_pin,
        }
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise ConfigError(NOT_CONFIGURED, missing=missing[0])
        self._module = str(settings.pkcs11_module)
        self._token = str(settings.pkcs11_token)
        self._pin = settings.pkcs11_pin or SecretStr("")
        self._label = settings.pkcs11_key

    def initialize(self, *, known: bool) -> None:
        """Make the first master key, unless the token holds one of ours.

        Raises: ServiceError (`keys.token_in_use`): rotating would destroy what another house needs.
        """
        if known:
            self.versions()
        elif self._do(self._ids):
            raise ServiceError(IN_USE, token=self._token, label=self._label)
        else:
            self.add()

    def versions(self) -> tuple[str, ...]:
        """Which master keys there are, oldest first; the last one wraps.

        Raises: ServiceError (`keys.token_no_key` and the other `keys.token_` reasons).
        """
        ids = self._do(self._ids)
        if not ids:
            raise ServiceError(NO_KEY, token=self._token, label=self._label)
        return tuple(each.hex() for each in ids)

    def wrap(self, version: str, secret: bytes, about: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)

        def encrypt(session: pkcs11.Session) -> bytes:
            key = self._key(session, version)
            if key is None:
                raise ServiceError(NO_KEY, token=self._token, label=self._label)
            parameters = pkcs11.GCMParams(nonce, about)
            return bytes(key.encrypt(secret, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))

        return nonce + self._do(encrypt)

    def unwrap(self, version: str | None, wrapped: bytes, about: bytes) -> bytes | None:
        """The secret; None where it does not open."""
        nonce, ciphertext = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        if version is None or len(nonce) < _NONCE_BYTES:
            return None

        def decrypt(session: pkcs11.Session) -> bytes | None:
            key = self._key(session, version)
            if key is None:
                return None
            parameters = pkcs11.GCMParams(nonce, about)
            try:
                return bytes(key.decrypt(ciphertext, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))
            except _DOES_NOT_OPEN:
                return None

        return self._do(decrypt)

    def add(self) -> None:
        """Make a key that wraps from now on, inside the token."""

        def generate(session: pkcs11.Session) -> None:
            ids = self._ids(session)
            counter = int.from_bytes(ids[-1][:_COUNTER_BYTES]) + 1 if ids else 1
            session.generate_key(
                KeyType.AES,
                256,
                id=counter.to_bytes(_COUNTER_BYTES) + secrets.token_bytes(_ID_BYTES - _COUNTER_BYTES),
                label=self._label,
                store=True,
                capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
                template={
                    Attribute.SENSITIVE: True,
                    Attribute.EXTRACTABLE: False,
                    Attribute.PRIVATE: True,
                    Attribute.MODIFIABLE: False,
                    Attribute.WRAP: False,
                    Attribute.UNWRAP: False,
                    Attribute.SIGN: False,
                    Attribute.VERIFY: False,
                },
            )

        self._do(generate)

    def destroy(self, version: str) -> None:
        """Have the token forget a key."""

        def forget(session: pkcs11.Session) -> None:
            key = self._key(session, version)
            if key is not None:
                key.destroy()

        self._do(forget)

    def _ids(self, session: pkcs11.Session) -> list[bytes]:
        found = session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: self._label})
        # Another length is a key that somebody else keeps under this label.
        return sorted(each for each in (bytes(key[Attribute.ID]) for key in found) if len(each) == _ID_BYTES)

    def _key(self, session: pkcs11.Session, version: str) -> pkcs11.SecretKey | None:
        wanted = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.LABEL: self._label,
            Attribute.ID: bytes.fromhex(version),
        }
        return next(iter(list(session.get_objects(wanted))), None)

    def _do(self, work: Callable[[pkcs11.Session], _T]) -> _T:
        """Ask the token; once more from the beginning where this process had lost touch with it.

        Raises: ServiceError with a `keys.token_` reason. What the token or its module says stays here.
        """
        with _one_at_a_time:
            try:
                with self._told():
                    return work(self._session())
            except _LOST:
                pass
            with self._told():
                self._forget()
            try:
                with self._told():
                    return work(self._session())
            except _LOST as error:
                raise ServiceError(FAILED, token=self._token, kind=type(error).__name__) from None

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except _LOST:
            raise
        except pkcs11.NoSuchToken:
            raise ServiceError(NO_TOKEN, token=self._token) from None
        except pkcs11.PKCS11Error as error:
            raise ServiceError(FAILED, token=self._token, kind=type(error).__name__) from None

    def _session(self) -> pkcs11.Session:
        place, pin = (self._module, self._token), self._pin.get_secret_value()
        known = _opened.get(place)
        if known is not None and known.process != os.getpid():
            self._forget()  # the standard: a forked child begins anew
        elif known is not None and known.pin == pin:
            return known.session
        elif known is not None:
            del _opened[place]
            known.session.close()  # logs out, so the other PIN is really asked for
        if (*place, pin) in _refused:  # a token locks itself after a few of these
            raise ServiceError(WRONG_PIN, token=self._token)
        try:
            session = self._find().open(rw=True, user_pin=pin)
        except _BAD_PIN:
            _refused.add((*place, pin))
            raise ServiceError(WRONG_PIN, token=self._token) from None
        _opened[place] = _Opened(session, pin, os.getpid())
        return session

    def _find(self) -> pkcs11.Token:
        try:
            return self._library().get_token(token_label=self._token)
        except pkcs11.NoSuchToken:
            self._forget()  # it may have been connected since this process first looked
            return self._library().get_token(token_label=self._token)

    def _library(self) -> pkcs11.lib:
        try:
            return pkcs11.lib(self._module)
        except pkcs11.PKCS11Error:
            raise ServiceError(NO_MODULE) from None

    def _forget(self) -> None:
        for place in [each for each in _opened if each[0] == self._module]:
            del _opened[place]
        self._library().reinitialize()
