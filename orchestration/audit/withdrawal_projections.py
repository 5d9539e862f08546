"""What each event of withdrawal does to the tables: one projector function per event type.

Belongs here: event → rows. Must not be here: who may withdraw, or whether it was due (`participants/` asks
that before a projector is called). What is taken back opens nothing any more: its receipts still prove what
was.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, select, update

from orchestration.audit import tables as t
from orchestration.audit import withdrawal_events as w
from orchestration.audit.governance_rows import drop, out_of_order, require, where
from orchestration.audit.projections import Entry, add, on
from orchestration.audit.vocabulary import timestamp

_BUILT = ("room", "cells", "protected")


@on(w.ContributionWithdrawn)
def _contribution_withdrawn(connection: Connection, entry: Entry, payload: w.ContributionWithdrawn) -> None:
    """From here on nothing is made of it; the house destroys it next."""
    asked = {"withdrawal": payload.contribution, "contribution": payload.contribution}
    _ask(connection, entry, asked, payload.dataset, payload.reason)
    _take_back(connection, entry, payload.contribution, ("deidentified", "gate"))


@on(w.PeopleWithdrawn)
def _people_withdrawn(connection: Connection, entry: Entry, payload: w.PeopleWithdrawn) -> None:
    asked = {"withdrawal": entry.event.subject, "list_digest": payload.list_digest}
    _ask(connection, entry, asked, payload.dataset, payload.reason)


@on(w.ContributionTrimmed)
def _contribution_trimmed(connection: Connection, entry: Entry, payload: w.ContributionTrimmed) -> None:
    """Its stages run anew, unless a newer contribution of the dataset is the one in use."""
    mine: dict[str, object] = {"contribution": payload.contribution, "status": "accepted"}
    if not _set(connection, entry, t.contributions, mine, table_name=None):
        raise out_of_order(entry, "not in the vault")
    if not _is_replaced(connection, entry, payload):
        _set(connection, entry, t.contributions, mine, gate=None)
    _take_back(connection, entry, payload.contribution, ("contribution", "deidentified", "gate"))


@on(w.WithdrawalApplied)
def _withdrawal_applied(connection: Connection, entry: Entry, _: w.WithdrawalApplied) -> None:
    mine: dict[str, object] = {"withdrawal": entry.event.subject}
    require(connection, entry, t.withdrawals, mine, {"waiting"}, already="applied")
    _set(connection, entry, t.withdrawals, mine, status="applied")


@on(w.OutputOutdated)
def _output_outdated(connection: Connection, entry: Entry, payload: w.OutputOutdated) -> None:
    mine: dict[str, object] = {"release": payload.release, "recalled": False}
    changed: dict[str, object] = {"outdated": payload.by, "recalled": payload.effect == "recalled"}
    if not _set(connection, entry, t.releases, mine, **changed):
        raise out_of_order(entry, "recalled, or no release")


@on(w.PseudonymsRotated)
def _pseudonyms_rotated(connection: Connection, entry: Entry, _: w.PseudonymsRotated) -> None:
    """The room was emptied: what is in use is made anew from the vault."""
    used = select(t.datasets.c.contribution).where(where(entry, t.datasets, {}))
    current = where(entry, t.contributions, {"status": "accepted"})
    current &= t.contributions.c.contribution.in_(used)
    connection.execute(update(t.contributions).where(current).values(table_name=None, gate=None))
    drop(connection, entry, t.datasets, {})
    _revoke(connection, entry, {}, ("deidentified", "gate", *_BUILT))


def _ask(
    connection: Connection, entry: Entry, asked: dict[str, str], dataset: str, reason: w.WithdrawalReason
) -> None:
    event = entry.event
    row = {"participant": event.actor.partition(".")[0], "dataset": dataset, "reason": reason}
    row |= {"requested_by": event.actor, "requested_at": timestamp(event.time), "status": "waiting"}
    add(connection, t.withdrawals, entry, asked | row)


def _set(connection: Connection, entry: Entry, table: Table, key: dict[str, object], **values: object) -> int:
    """Change these rows and leave their number: it says when they came."""
    return connection.execute(update(table).where(where(entry, table, key)).values(**values)).rowcount


def _is_replaced(connection: Connection, entry: Entry, payload: w.ContributionTrimmed) -> bool:
    """Whether a newer contribution took its place, or is the one in the room."""
    own = t.contributions.c.contribution == payload.contribution
    by = connection.execute(select(t.contributions.c.superseded_by).where(own)).scalar()
    if by is not None:
        return True
    mine = select(t.contributions.c.seq).where(own)
    used = t.contributions.c.contribution == t.datasets.c.contribution
    newer = where(entry, t.datasets, {"dataset": payload.dataset}) & used
    newer &= t.contributions.c.seq > mine.scalar_subquery()
    return connection.execute(select(t.datasets.c.dataset).where(newer)).first() is not None


def _take_back(connection: Connection, entry: Entry, contribution: str, stages: tuple[str, ...]) -> None:
    """Out of the room, and with it whatever was built while it was in there."""
    drop(connection, entry, t.datasets, {"contribution": contribution})
    _revoke(connection, entry, {"subject": contribution}, stages)
    _revoke(connection, entry, {}, _BUILT)


def _revoke(connection: Connection, entry: Entry, mine: dict[str, object], stages: tuple[str, ...]) -> None:
    """Receipts of these stages until now; the one that the event itself gives stays."""
    earlier = where(entry, t.receipts, mine) & t.receipts.c.stage.in_(stages)
    earlier &= t.receipts.c.seq < entry.seq
    connection.execute(update(t.receipts).where(earlier).values(revoked=True))
