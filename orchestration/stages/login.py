"""Who may enter the portal: keeping logins and tokens, and letting their members in.

Belongs here: the way from a password and code, or a token, to a member of a collaboration, on record. Must
not be here: what passwords and codes are (`participants/credentials`), cookies, pages. Arranging a login is a
signed act of the member; the operator can neither make one nor read its secrets.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, insert, select

from orchestration.audit.events import Event
from orchestration.audit.governance_events import LoginChanged, LoginLocked, PortalEntered
from orchestration.audit.statement import sign
from orchestration.audit.vocabulary import now, timestamp
from orchestration.errors import ConfigError, PolicyDeniedError, Reason
from orchestration.house import House
from orchestration.participants import credentials
from orchestration.participants.credentials import Login
from orchestration.participants.login_tables import logins, tokens
from orchestration.participants.state import State, moment, participant_of
from orchestration.signing import SigningKey
from orchestration.stages import governance

NOT_ACTIVE = Reason(
    "login.not_active",
    "{member} has no role in force in {collaboration}.",
    "Ask a steward of the same organization to enrol the member or to renew a grant.",
)
OTHER_KEY = Reason(
    "login.other_key",
    "This is not the key that speaks for {member} now.",
    "Use the member's present key; `glasshouse key list` shows its fingerprint.",
)
NO_SUCH_TOKEN = Reason(
    "login.no_such_token",
    "{member} has no token called {name}.",
    "`glasshouse login list` shows the tokens there are.",
)

_SEALING_KEY = "login"
_NONCE_BYTES = 12
LONGEST_TOKEN = timedelta(days=90)


@dataclass(frozen=True)
class Viewer:
    """Who looks at the portal. Looked up anew for every request, so an ended role shuts the door at once."""

    collaboration: str
    member: str
    participant: str
    roles: frozenset[str]

    @property
    def sees_everything(self) -> bool:
        """An auditor reads the whole log; no payload carries a value of a customer's row."""
        return "auditor" in self.roles


# --- arranging


def enable(house: House, collaboration: str, member: str, password: str, key: SigningKey, why: str) -> str:
    """Give a member a login, or a new one; returns the address for its authenticator app, shown once.

    Raises: PolicyDeniedError (`login.weak_password`, and whatever refuses the signed act).
    """
    login = credentials.new_login(member, password)
    governance.act(house, _signed(collaboration, member, LoginChanged(change="enabled"), key, why))
    with house.log.write() as connection:
        _keep(house, connection, collaboration, member, login)
    return credentials.totp_address(login, member, collaboration)


def disable(house: House, collaboration: str, member: str, key: SigningKey, why: str) -> None:
    """Take the login and all tokens away."""
    governance.act(house, _signed(collaboration, member, LoginChanged(change="disabled"), key, why))
    with house.log.write() as connection:
        for table in (logins, tokens):
            connection.execute(
                delete(table).where(table.c.collaboration == collaboration, table.c.member == member)
            )


def give_token(
    house: House, collaboration: str, member: str, name: str, until: datetime, key: SigningKey, why: str
) -> str:
    """A token for programs, at most 90 days; returned once, kept as a hash."""
    token = credentials.new_token()
    governance.act(
        house, _signed(collaboration, member, LoginChanged(change="token_given", name=name), key, why)
    )
    row = {"token": credentials.token_hash(token), "collaboration": collaboration, "member": member}
    row |= {"name": name, "expires_at": timestamp(min(until, now() + LONGEST_TOKEN))}
    with house.log.write() as connection:
        connection.execute(insert(tokens), row)
    return token


def revoke_token(house: House, collaboration: str, member: str, name: str, key: SigningKey, why: str) -> None:
    """Raises: ConfigError (`login.no_such_token`)."""
    mine = (tokens.c.collaboration == collaboration) & (tokens.c.member == member) & (tokens.c.name == name)
    with house.log.read() as connection:
        if connection.execute(select(tokens.c.token).where(mine)).first() is None:
            raise ConfigError(NO_SUCH_TOKEN, member=member, name=ascii(name[:60]))
    governance.act(
        house, _signed(collaboration, member, LoginChanged(change="token_revoked", name=name), key, why)
    )
    with house.log.write() as connection:
        connection.execute(delete(tokens).where(mine))


def token_names(house: House, collaboration: str, member: str) -> list[tuple[str, str]]:
    """(name, expiry) of a member's tokens."""
    query = select(tokens.c.name, tokens.c.expires_at).where(
        tokens.c.collaboration == collaboration, tokens.c.member == member
    )
    with house.log.read() as connection:
        return [(row.name, row.expires_at) for row in connection.execute(query.order_by(tokens.c.name))]


# --- entering


def enter_with_password(house: House, collaboration: str, member: str, password: str, code: str) -> Viewer:
    """Raises: PolicyDeniedError (`login.refused`, `login.locked`, `login.not_active`)."""
    at = now()
    with house.log.write() as connection:
        login = _kept(house, connection, collaboration, member)
        if login is not None:
            _keep(house, connection, collaboration, member, credentials.counted(login, at))
    right = credentials.entered(login, password, code, at)  # slow on purpose, so not inside the transaction
    if right is None or not _keep_entered(house, collaboration, member, right):
        if login is not None and login.failures + 1 >= credentials.ATTEMPTS:
            locked = LoginLocked(failures=credentials.ATTEMPTS)
            _record(house, collaboration, member, locked, "Too many failures in a row.")
        minutes = int(credentials.REST.total_seconds()) // 60
        raise PolicyDeniedError(credentials.REFUSED, attempts=credentials.ATTEMPTS, minutes=minutes)
    viewer = require_viewer(house, collaboration, member)
    _record(house, collaboration, member, PortalEntered(method="password"), "Entered the portal.")
    return viewer


def enter_with_key(house: House, collaboration: str, member: str, key: SigningKey) -> Viewer:
    """For whoever holds the member's private key. Raises: PolicyDeniedError (`login.other_key`, ...)."""
    viewer = require_viewer(house, collaboration, member)
    with house.log.read() as connection:
        active = State(connection, collaboration, now()).active_key(member)
    if active is None or active.id != key.key_id:
        raise PolicyDeniedError(OTHER_KEY, member=member)
    _record(house, collaboration, member, PortalEntered(method="key"), "Entered the portal.")
    return viewer


def viewer_of_token(house: House, token: str) -> Viewer | None:
    """Whose token it is; None for one that is unknown, expired, or whose member has no role any more."""
    query = select(tokens).where(tokens.c.token == credentials.token_hash(token))
    with house.log.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or moment(row.expires_at) <= now():
        return None
    return viewer(house, row.collaboration, row.member)


def viewer(house: House, collaboration: str, member: str) -> Viewer | None:
    """The member as a viewer, with the roles in force now; None without any."""
    with house.log.read() as connection:
        roles = State(connection, collaboration, now()).roles(member)
    return Viewer(collaboration, member, participant_of(member), frozenset(roles)) if roles else None


def require_viewer(house: House, collaboration: str, member: str) -> Viewer:
    """Raises: PolicyDeniedError (`login.not_active`)."""
    found = viewer(house, collaboration, member)
    if found is None:
        raise PolicyDeniedError(NOT_ACTIVE, member=ascii(member[:80])[1:-1], collaboration=collaboration)
    return found


def _signed(collaboration: str, member: str, payload: LoginChanged, key: SigningKey, why: str) -> Event:
    return sign(_event(collaboration, member, payload, why), key)


def _event(
    collaboration: str, member: str, payload: LoginChanged | LoginLocked | PortalEntered, why: str
) -> Event:
    return Event(
        collaboration=collaboration, subject=member, actor=member, justification=why, payload=payload
    )


def _record(
    house: House, collaboration: str, member: str, payload: LoginLocked | PortalEntered, why: str
) -> None:
    house.log.append(_event(collaboration, member, payload, why))


def _kept(house: House, connection: Connection, collaboration: str, member: str) -> Login | None:
    mine = (logins.c.collaboration == collaboration) & (logins.c.member == member)
    row = connection.execute(select(logins).where(mine)).one_or_none()
    if row is None:
        return None
    nonce, sealed = row.totp_secret[:_NONCE_BYTES], row.totp_secret[_NONCE_BYTES:]
    return Login(
        password=row.password,
        totp_secret=_sealing(house).decrypt(nonce, sealed, f"{collaboration}/{member}".encode()),
        failures=row.failures,
        locked_until=moment(row.locked_until) if row.locked_until else None,
        counter=row.counter,
    )


def _keep(house: House, connection: Connection, collaboration: str, member: str, login: Login) -> None:
    mine = (logins.c.collaboration == collaboration) & (logins.c.member == member)
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _sealing(house).encrypt(nonce, login.totp_secret, f"{collaboration}/{member}".encode())
    connection.execute(delete(logins).where(mine))
    row: dict[str, object] = {"collaboration": collaboration, "member": member, "password": login.password}
    row |= {"totp_secret": nonce + sealed, "failures": login.failures, "counter": login.counter}
    row["locked_until"] = timestamp(login.locked_until) if login.locked_until else None
    connection.execute(insert(logins), row)


def _keep_entered(house: House, collaboration: str, member: str, right: Login) -> bool:
    """Whether this attempt was the first to use its code."""
    with house.log.write() as connection:
        kept = _kept(house, connection, collaboration, member)
        first = kept is not None and kept.counter < right.counter
        if first:
            _keep(house, connection, collaboration, member, right)
    return first


def _sealing(house: House) -> AESGCM:
    return AESGCM(house.keys.create(_SEALING_KEY))
