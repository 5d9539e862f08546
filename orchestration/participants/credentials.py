"""How a member proves to the portal who is there: a password with a second factor, or a token of a service.

Belongs here: making and checking secrets, and the rule of the lockout; pure functions of values and of the
moment given. Must not be here: where they are kept (`stages/login`), cookies, pages. Passwords are Argon2id
hashes (RFC 9106, its second recommended option), codes are TOTP (RFC 6238), all from `cryptography`.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.twofactor import InvalidToken
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from orchestration.errors import PolicyDeniedError, Reason

WEAK_PASSWORD = Reason(
    "login.weak_password",
    "A password has at least {shortest} characters and does not repeat the member's name.",
    "Take four or five unrelated words, or let a password manager choose.",
)
REFUSED = Reason(
    "login.refused",
    "Name, password and code do not belong together.",
    "Check all three; after {attempts} failures the login rests for {minutes} minutes.",
)
LOCKED = Reason(
    "login.locked",
    "This login rests after {attempts} failures.",
    "Wait {minutes} minutes, or enter with the member's key: `glasshouse serve --as MEMBER`.",
)

SHORTEST = 12
ATTEMPTS = 5
REST = timedelta(minutes=15)
TOKEN_PREFIX = "glasshouse_"  # noqa: S105  not a secret: it makes leaked tokens easy to search for

_STEP_SECONDS = 30
_DIGITS = 6
_SECRET_BYTES = 20
_TOKEN_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Login:
    """What is kept about one member's login. `counter`: the last time step whose code was used."""

    password: str
    totp_secret: bytes
    failures: int = 0
    locked_until: datetime | None = None
    counter: int = -1


def new_login(member: str, password: str) -> Login:
    """Raises: PolicyDeniedError (`login.weak_password`)."""
    if len(password) < SHORTEST or member.partition(".")[2] in password.lower():
        raise PolicyDeniedError(WEAK_PASSWORD, shortest=SHORTEST)
    return Login(_hash(password), secrets.token_bytes(_SECRET_BYTES))


def totp_address(login: Login, member: str, collaboration: str) -> str:
    """The `otpauth://` address that an authenticator app reads."""
    return _totp(login).get_provisioning_uri(member, f"Glasshouse {collaboration}")


def counted(login: Login, at: datetime) -> Login:
    """The login with one more attempt against it, to be kept *before* the attempt is looked at.

    So many attempts at the same moment count as many. A right one takes it back (`entered`).

    Raises: PolicyDeniedError (`login.locked`): while a login rests, even the right password is refused.
    """
    if login.locked_until is not None and at < login.locked_until:
        left = login.locked_until - at
        raise PolicyDeniedError(LOCKED, attempts=ATTEMPTS, minutes=-(-int(left.total_seconds()) // 60))
    failures = login.failures + 1
    if failures >= ATTEMPTS:
        return replace(login, failures=0, locked_until=at + REST)
    return replace(login, failures=failures, locked_until=None)


def entered(login: Login | None, password: str, code: str, at: datetime) -> Login | None:
    """The login to keep after a right attempt; None for a wrong one. A code counts once.

    Nobody learns which part was wrong, nor from the time it takes whether the member has a login at all.
    """
    known = _matches(login.password if login else _decoy(), password)
    counter = _counter(login, code, at) if login else None
    if login is None or not known or counter is None:
        return None
    return replace(login, failures=0, locked_until=None, counter=counter)


def new_token() -> str:
    """A random token (238 bits); only its hash is kept."""
    return TOKEN_PREFIX + "".join(secrets.choice(_TOKEN_ALPHABET) for _ in range(40))


def token_hash(token: str) -> str:
    """SHA-256: a random token needs no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def _hash(password: str) -> str:
    return _argon2(secrets.token_bytes(16)).derive_phc_encoded(password.encode())


def _argon2(salt: bytes) -> Argon2id:
    return Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=64 * 1024)


def _matches(phc: str, password: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(password.encode(), phc)
    except InvalidKey:
        return False
    return True


def _totp(login: Login) -> TOTP:
    return TOTP(login.totp_secret, _DIGITS, SHA1(), _STEP_SECONDS)  # noqa: S303  what authenticator apps speak


def _counter(login: Login, code: str, at: datetime) -> int | None:
    """The time step that `code` belongs to: this one or a neighbour, and later than the last one used."""
    now = int(at.timestamp())
    for moment in (now, now - _STEP_SECONDS, now + _STEP_SECONDS):
        step = moment // _STEP_SECONDS
        if step > login.counter and _is_code(login, code, moment):
            return step
    return None


def _is_code(login: Login, code: str, moment: int) -> bool:
    try:
        _totp(login).verify(code.encode("ascii", "replace"), moment)
    except InvalidToken:
        return False
    return True


@cache
def _decoy() -> str:
    """Checked in place of a login that is not there; made of nothing anybody knows."""
    return _hash(secrets.token_urlsafe(32))
