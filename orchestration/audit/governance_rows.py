"""Rows of governance: how projectors find, add and change them.

Belongs here: statements on the tables of governance, always within the event's own collaboration. Must not be
here: which event does what (`governance_projections`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, select, update

from orchestration.audit import governance_tables as g
from orchestration.audit.projections import (
    ALREADY_RECORDED,
    OUT_OF_ORDER,
    AlreadyRecordedError,
    Entry,
    OutOfOrderError,
    add,
    json_text,
)
from orchestration.audit.vocabulary import timestamp

# --- rows


def ask(
    connection: Connection,
    entry: Entry,
    matter: str,
    about: str,
    *,
    right: str | None = None,
    content: Mapping[str, Any] | None = None,
) -> None:
    """A decision with the event's subject as its id."""
    row = {"decision": entry.event.subject, "matter": matter, "about": about, "right": right}
    row |= {"content": json_text(dict(content or {})), "asked_by": entry.event.actor, "status": "pending"}
    opened = {"opened_at": timestamp(entry.event.time), "escalated": False}
    add(connection, g.decisions, entry, row | opened)


def give(
    connection: Connection,
    entry: Entry,
    grant: str,
    member: str,
    role: str,
    not_before: str,
    expires_at: str,
    *,
    lender: str | None = None,
) -> None:
    """A role for a time; `lender`: who lent it in an emergency."""
    row = {"grant": grant, "member": member, "role": role, "not_before": not_before}
    flags = {"revoked": False, "emergency": lender is not None, "lender": lender}
    add(connection, g.grants, entry, row | {"expires_at": expires_at} | flags)


def replace_grants(
    connection: Connection, entry: Entry, member: str, roles: Iterable[str], until: str
) -> None:
    """The grants that a member has for being enrolled; those given apart stay."""
    of_enrollment = g.grants.c.grant == g.grants.c.member + "/" + g.grants.c.role
    mine = where(entry, g.grants, {"member": member})
    connection.execute(delete(g.grants).where(mine & of_enrollment))
    for role in sorted(set(roles)):
        give(connection, entry, f"{member}/{role}", member, role, timestamp(entry.event.time), until)


def give_first(connection: Connection, entry: Entry, steward: str) -> None:
    """The first steward's roles, as the charter gives them, until that charter ends.

    Its role as steward has no end of its own: on the day after the charter's last one somebody must still be
    there to leave, to freeze, to ask, and to agree on the next charter. It counts while the charter names it.
    """
    roles, until = roles_given(connection, entry, steward)
    replace_grants(connection, entry, steward, roles, until)
    never = timestamp(datetime(9999, 12, 31, tzinfo=UTC))
    change(connection, entry, g.grants, {"grant": f"{steward}/steward"}, expires_at=never)


def enter(connection: Connection, entry: Entry, member: str, participant: str) -> None:
    drop(connection, entry, g.members, {"member": member})
    add(connection, g.members, entry, {"member": member, "participant": participant, "status": "active"})


def new_key(connection: Connection, entry: Entry, member: str, public_key: Mapping[str, Any]) -> None:
    """The one key that speaks for the member from here on; the very same again changes nothing."""
    key_id = str(public_key["keyid"])
    if find(connection, entry, g.keys, member=member, key_id=key_id, status="active") is not None:
        return
    end_keys(connection, entry, member, "rotated")
    row = {"member": member, "key_id": key_id, "public_key": json_text(dict(public_key))}
    add(connection, g.keys, entry, row | {"status": "active"})


def end_keys(connection: Connection, entry: Entry, member: str, status: str) -> None:
    """`seq` of a key stays: from `seq` to `ended_seq` its signatures count."""
    mine = where(entry, g.keys, {"member": member, "status": "active"})
    connection.execute(update(g.keys).where(mine).values(status=status, ended_seq=entry.seq))


def roles_given(connection: Connection, entry: Entry, member: str) -> tuple[list[str], str]:
    """Roles that a charter gives the member, and the end of that charter's last day.

    The charter in force answers first: a mere proposal speaks only for organizations that one does not name.
    """
    table = g.charters.c
    query = select(table.document).where(
        table.collaboration == entry.event.collaboration, table.status.in_(("active", "proposed"))
    )
    in_order = query.order_by(table.status != "active", table.seq.desc())
    documents: list[str] = list(connection.execute(in_order).scalars())
    for charter in map(json.loads, documents):
        own = [party for party in parties_of(charter) if party["id"] == member.partition(".")[0]]
        named = [each for party in own for each in party["members"] if each["id"] == member]
        if any(each["roles"] for each in named):
            last = date.fromisoformat(charter["effective_until"])
            end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
            return [role for each in named for role in each["roles"]], timestamp(end)
        if own:
            break
    raise out_of_order(entry, "not named as a member by any charter")


def parties_of(document: Any) -> list[Any]:
    return list(document.get("participants", ())) if isinstance(document, dict) else []


# --- statements


def where(entry: Entry, table: Table, key: Mapping[str, Any]) -> ColumnElement[bool]:
    wanted = {"collaboration": entry.event.collaboration} | dict(key)
    return and_(*(table.c[name] == value for name, value in wanted.items()))


def find(connection: Connection, entry: Entry, table: Table, **key: Any) -> Any:
    return connection.execute(select(table).where(where(entry, table, key))).one_or_none()


def drop(connection: Connection, entry: Entry, table: Table, key: Mapping[str, Any]) -> None:
    connection.execute(delete(table).where(where(entry, table, key)))


def change(connection: Connection, entry: Entry, table: Table, key: Mapping[str, Any], **values: Any) -> int:
    """Change the rows with this key; returns how many."""
    changed = update(table).where(where(entry, table, key)).values(seq=entry.seq, **values)
    return connection.execute(changed).rowcount


def flag(connection: Connection, entry: Entry, table: Table, key: Mapping[str, Any], flag: str) -> None:
    """Set a flag that is set once and stays."""
    if change(connection, entry, table, {**key, flag: False}, **{flag: True}):
        return
    if find(connection, entry, table, **key) is None:
        raise out_of_order(entry, "not recorded")
    raise AlreadyRecordedError(ALREADY_RECORDED, type=entry.event.type, subject=entry.event.subject)


def move(
    connection: Connection,
    entry: Entry,
    table: Table,
    key: Mapping[str, Any],
    to: str,
    of: set[str],
    **values: Any,
) -> None:
    """Bring the row with this key from one of the states `of` to state `to`."""
    require(connection, entry, table, key, of, already=to)
    change(connection, entry, table, key, **{_state_of(table): to}, **values)


def require(
    connection: Connection,
    entry: Entry,
    table: Table,
    key: Mapping[str, Any],
    of: set[str],
    *,
    already: str | None = None,
) -> Any:
    """The row with this key, if it is in one of the states `of`."""
    row = find(connection, entry, table, **key)
    state = None if row is None else getattr(row, _state_of(table))
    if state in of:
        return row
    if state is not None and state == already:
        raise AlreadyRecordedError(ALREADY_RECORDED, type=entry.event.type, subject=entry.event.subject)
    raise out_of_order(entry, state or "not recorded")


def _state_of(table: Table) -> str:
    return "state" if table is g.collaborations else "status"


def out_of_order(entry: Entry, state: str) -> OutOfOrderError:
    return OutOfOrderError(OUT_OF_ORDER, type=entry.event.type, subject=entry.event.subject, state=state)
