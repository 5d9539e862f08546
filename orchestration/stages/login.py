"""Who may enter the portal: keeping logins and tokens, and letting their members in.

Belongs here: the way from a password and code, or a token, to a member of a collaboration, on record. Must
not be here: what passwords and codes are (`participants/credentials`), cookies, pages. Arranging a login is a
signed act of the member; the operator can neither make one nor read its secrets. What was taken away is gone
before the log says so: a step that is cut short leaves a door shut, never open.

In a closed collaboration members still enter and read the past; nobody is given a new way in. One that is
taken away then goes without an event, because a closed record takes no acts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import ColumnElement, Connection, Row, Table, delete, insert, select, update

from orchestration.audit import governance_tables as g
from orchestration.audit import tables as t
from orchestration.audit.events import Event
from orchestration.audit.governance_events import KeyRotated
from orchestration.audit.log import current_size, logged_event
from orchestration.audit.portal_events import LoginChanged, LoginLocked, PortalEntered
from orchestration.audit.statement import sign
from orchestration.audit.vocabulary import now, timestamp
from orchestration.charter.model import Role
from orchestration.errors import ConfigError, PolicyDeniedError, Reason
from orchestration.house import House
from orchestration.participants import credentials
from orchestration.participants.credentials import Login
from orchestration.participants.login_tables import logins, tokens
from orchestration.participants.state import State, moment, participant_of
from orchestration.participants.statements import require_signature
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
CLOSED = Reason(
    "login.closed",
    "{collaboration} is closed: its record can be read, and nobody is given a new way in.",
    "Enter with the login, token or key you have; a login or token can still be taken away.",
)

_NONCE_BYTES = 12
_ENDS_SESSIONS = ("enabled", "disabled")
LONGEST_TOKEN = timedelta(days=90)


@dataclass(frozen=True)
class Viewer:
    """Who looks at the portal. Looked up anew for every request, so an ended role shuts the door at once.

    `roles` are those given to last: a role that was lent in an emergency opens no page.
    """

    collaboration: str
    member: str
    participant: str
    roles: frozenset[Role]

    @property
    def sees_everything(self) -> bool:
        """An auditor reads the whole log; no payload carries a value of a customer's row."""
        return "auditor" in self.roles


@dataclass(frozen=True)
class Entered:
    """How a member came in: by password when the log had `since` events, or by the key `key_id`."""

    collaboration: str
    member: str
    since: int = 0
    key_id: str | None = None


# --- arranging


def enable(house: House, collaboration: str, member: str, password: str, key: SigningKey, why: str) -> str:
    """Give a member a login, or a new one; returns the address for its authenticator app, shown once.

    Raises: PolicyDeniedError (`login.weak_password`, `login.closed`, and whatever refuses the signed act).
    """
    login = credentials.new_login(member, password)
    event = _signed(collaboration, member, LoginChanged(change="enabled"), key, why)
    _require_open(house, collaboration)
    _take_away(house, event, (logins, _of(logins, collaboration, member)))
    governance.act(house, event)
    with house.log.write() as connection:
        _keep(house, connection, collaboration, member, login)
    return credentials.totp_address(login, member, collaboration)


def disable(house: House, collaboration: str, member: str, key: SigningKey, why: str) -> None:
    """Take the login and all tokens away."""
    event = _signed(collaboration, member, LoginChanged(change="disabled"), key, why)
    _take_away(house, event, *((table, _of(table, collaboration, member)) for table in (logins, tokens)))
    _record_unless_closed(house, event)


def give_token(
    house: House, collaboration: str, member: str, name: str, until: datetime, key: SigningKey, why: str
) -> str:
    """A token for programs, at most 90 days; returned once, kept as a hash.

    Raises: PolicyDeniedError (`login.closed`, and whatever refuses the signed act).
    """
    token = credentials.new_token()
    _require_open(house, collaboration)
    governance.act(
        house, _signed(collaboration, member, LoginChanged(change="token_given", name=name), key, why)
    )
    row = {"token": credentials.token_hash(token), "collaboration": collaboration, "member": member}
    row |= {"name": name, "expires_at": timestamp(min(until, now() + LONGEST_TOKEN))}
    with house.log.write() as connection:
        # One token of a name: the newest act speaks for this one alone.
        connection.execute(delete(tokens).where(_of(tokens, collaboration, member) & (tokens.c.name == name)))
        connection.execute(insert(tokens), row)
    return token


def revoke_token(house: House, collaboration: str, member: str, name: str, key: SigningKey, why: str) -> None:
    """Raises: ConfigError (`login.no_such_token`)."""
    mine = _of(tokens, collaboration, member) & (tokens.c.name == name)
    with house.log.read() as connection:
        if connection.execute(select(tokens.c.token).where(mine)).first() is None:
            raise ConfigError(NO_SUCH_TOKEN, member=member, name=ascii(name[:60]))
    event = _signed(collaboration, member, LoginChanged(change="token_revoked", name=name), key, why)
    _take_away(house, event, (tokens, mine))
    _record_unless_closed(house, event)


def token_names(house: House, collaboration: str, member: str) -> list[tuple[str, str]]:
    """(name, expiry) of a member's tokens."""
    query = select(tokens.c.name, tokens.c.expires_at).where(
        tokens.c.collaboration == collaboration, tokens.c.member == member
    )
    with house.log.read() as connection:
        return [(row.name, row.expires_at) for row in connection.execute(query.order_by(tokens.c.name))]


def is_any_enabled(house: House) -> bool:
    """Whether anybody at all can sign in with a password."""
    with house.log.read() as connection:
        return connection.execute(select(logins.c.member).limit(1)).first() is not None


# --- entering


def enter_with_password(house: House, collaboration: str, member: str, password: str, code: str) -> Entered:
    """Raises: PolicyDeniedError (`login.refused`, `login.locked`, `login.not_active`)."""
    at = now()
    with house.log.write() as connection:
        since = current_size(connection)
        row = _kept(connection, collaboration, member)
        login = None if row is None else _login_of(house, row)
        if row is not None and login is not None:
            _update(connection, row, credentials.counted(login, at))
    right = credentials.entered(login, password, code, at)  # slow on purpose, so not inside the transaction
    if row is None or right is None or not _is_first_use(house, row, right):
        if login is not None and login.failures + 1 >= credentials.ATTEMPTS:
            locked = LoginLocked(failures=credentials.ATTEMPTS)
            _record(house, collaboration, member, locked, "Too many failures in a row.")
        raise refused()
    require_viewer(house, collaboration, member)
    with house.state(collaboration) as state:
        arranged = _is_arranged(state, member, "enabled")
    if not arranged:
        raise refused()
    _record(house, collaboration, member, PortalEntered(method="password"), "Entered the portal.")
    return Entered(collaboration, member, since)


def refused() -> PolicyDeniedError:
    """The one answer to a wrong name, password or code."""
    minutes = int(credentials.REST.total_seconds()) // 60
    return PolicyDeniedError(credentials.REFUSED, attempts=credentials.ATTEMPTS, minutes=minutes)


def enter_with_key(house: House, collaboration: str, member: str, key: SigningKey) -> Entered:
    """For whoever holds the member's private key. Raises: PolicyDeniedError (`login.other_key`, ...)."""
    require_viewer(house, collaboration, member)
    with house.state(collaboration) as state:
        active = state.active_key(member)
    if active is None or active.id != key.key_id:
        raise PolicyDeniedError(OTHER_KEY, member=member)
    _record(house, collaboration, member, PortalEntered(method="key"), "Entered the portal.")
    return Entered(collaboration, member, key_id=key.key_id)


def viewer_of_token(house: House, token: str) -> Viewer | None:
    """Whose token it is; None for one that is unknown, expired, or whose member or key counts no more."""
    query = select(tokens).where(tokens.c.token == credentials.token_hash(token))
    with house.log.read() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or moment(row.expires_at) <= now():
        return None
    with house.state(row.collaboration) as state:
        arranged = _is_arranged(state, row.member, "token_given", row.name)
        return _viewer(state, row.member) if arranged else None


def viewer_of(house: House, entered: Entered) -> Viewer | None:
    """Who came in, while that way in still counts: a new password or a new key ends it."""
    with house.state(entered.collaboration) as state:
        counts = _still_counts(state, entered)
        return _viewer(state, entered.member) if counts else None


def viewer(house: House, collaboration: str, member: str) -> Viewer | None:
    """The member as a viewer, with the roles in force now; None without any."""
    with house.state(collaboration) as state:
        return _viewer(state, member)


def require_viewer(house: House, collaboration: str, member: str) -> Viewer:
    """Raises: PolicyDeniedError (`login.not_active`)."""
    found = viewer(house, collaboration, member)
    if found is None:
        raise PolicyDeniedError(NOT_ACTIVE, member=ascii(member[:80])[1:-1], collaboration=collaboration)
    return found


def _viewer(state: State, member: str) -> Viewer | None:
    """Nobody becomes a viewer by a text on the table: the charter in force has to name the organization."""
    participant = participant_of(member)
    if state.charter is not None and all(each.id != participant for each in state.charter.participants):
        return None
    roles = state.roles(member, emergency=False)
    return Viewer(state.collaboration, member, participant, roles) if roles else None


def _still_counts(state: State, entered: Entered) -> bool:
    if entered.key_id is not None:
        active = state.active_key(entered.member)
        return active is not None and active.id == entered.key_id
    later = (seq for seq, _, said in _changes(state, entered.member) if said.change in _ENDS_SESSIONS)
    if next(later, -1) >= entered.since:
        return False
    return _is_arranged(state, entered.member, "enabled")


def _changes(state: State, member: str) -> Iterator[tuple[int, str, LoginChanged]]:
    """What the member arranged: (place in the log, id of the key that signed it, what), newest first."""
    events = t.events.c
    query = (
        select(t.events)
        .where(
            events.subject == member,
            events.collaboration == state.collaboration,
            events.type == LoginChanged.type,
        )
        .order_by(events.seq.desc())
    )
    for row in state.connection.execute(query):
        event = logged_event(row).event
        if isinstance(event.payload, LoginChanged) and event.signature is not None:
            yield row.seq, event.signature.key_id, event.payload


def _is_arranged(state: State, member: str, change: str, name: str | None = None) -> bool:
    """Whether the key that arranged this way in still counts, or the member itself replaced it.

    A key that was revoked, or that a steward put another one in place of, takes its ways in with it: the
    name may belong to somebody else by now.
    """
    signed = (key for _, key, said in _changes(state, member) if (said.change, said.name) == (change, name))
    key = next(iter(state.rows(g.keys, member=member, key_id=next(signed, ""))), None)
    if key is None or key.status == "revoked":
        return False
    if key.ended_seq is None:
        return True
    ended = select(t.events.c.type).where(t.events.c.seq == key.ended_seq)
    return state.connection.execute(ended).scalar() == KeyRotated.type


# --- keeping


def _require_open(house: House, collaboration: str) -> None:
    with house.state(collaboration) as state:
        if state.phase == "closed":
            raise PolicyDeniedError(CLOSED, collaboration=collaboration)


def _take_away(house: House, event: Event, *ways: tuple[Table, ColumnElement[bool]]) -> None:
    """Delete rows of the member whose own signature asks for it. Raises: whatever refuses the signature."""
    with house.state(event.collaboration, event.time) as state:
        require_signature(state, event)
    with house.log.write() as connection:
        for table, mine in ways:
            connection.execute(delete(table).where(mine))


def _record_unless_closed(house: House, event: Event) -> None:
    with house.state(event.collaboration) as state:
        closed = state.phase == "closed"
    if not closed:
        governance.act(house, event)


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


def _of(table: Table, collaboration: str, member: str) -> ColumnElement[bool]:
    return (table.c.collaboration == collaboration) & (table.c.member == member)


def _kept(connection: Connection, collaboration: str, member: str) -> Row[Any] | None:
    return connection.execute(select(logins).where(_of(logins, collaboration, member))).one_or_none()


def _login_of(house: House, row: Row[Any]) -> Login:
    nonce, sealed = row.totp_secret[:_NONCE_BYTES], row.totp_secret[_NONCE_BYTES:]
    return Login(
        password=row.password,
        totp_secret=_sealing(house).decrypt(nonce, sealed, f"{row.collaboration}/{row.member}".encode()),
        failures=row.failures,
        locked_until=moment(row.locked_until) if row.locked_until else None,
        counter=row.counter,
    )


def _keep(house: House, connection: Connection, collaboration: str, member: str, login: Login) -> None:
    nonce = os.urandom(_NONCE_BYTES)
    sealed = _sealing(house).encrypt(nonce, login.totp_secret, f"{collaboration}/{member}".encode())
    connection.execute(delete(logins).where(_of(logins, collaboration, member)))
    row: dict[str, object] = {"collaboration": collaboration, "member": member, "password": login.password}
    row |= {"totp_secret": nonce + sealed, **_counts_of(login)}
    connection.execute(insert(logins), row)


def _update(connection: Connection, row: Row[Any], login: Login, *also: ColumnElement[bool]) -> bool:
    """Write the counts back, unless the login was replaced or taken away since `row` was read."""
    same = (logins.c.password == row.password) & (logins.c.totp_secret == row.totp_secret)
    mine = _of(logins, row.collaboration, row.member)
    done = connection.execute(update(logins).where(mine, same, *also).values(_counts_of(login)))
    return done.rowcount == 1


def _counts_of(login: Login) -> dict[str, object]:
    until = timestamp(login.locked_until) if login.locked_until else None
    return {"failures": login.failures, "counter": login.counter, "locked_until": until}


def _is_first_use(house: House, row: Row[Any], right: Login) -> bool:
    """Whether this attempt was the first to use its code."""
    with house.log.write() as connection:
        return _update(connection, row, right, logins.c.counter < right.counter)


def _sealing(house: House) -> AESGCM:
    return AESGCM(house.login_key)
