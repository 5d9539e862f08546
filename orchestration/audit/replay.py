"""Do the tables say what the events say? Every event happens again in an empty database, which is compared.

Belongs here: replaying and comparing tables. Must not be here: hashes, or repairing anything (that is
`AuditLog.rebuild`). The same guard judges each event again, at the event's own time and by the tables the
events before it made: an act that was written into the log past the guard is refused here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, pairwise, zip_longest

from sqlalchemy import Connection, Table, create_engine
from sqlalchemy import exc as sql

from orchestration.audit import database
from orchestration.audit.chronology import require_order
from orchestration.audit.log import BROKEN_EVENT, Admit, AuditLog, LoggedEvent, require_act, stored_events
from orchestration.audit.projections import ALL_TABLES, ALREADY_RECORDED, Entry, project
from orchestration.audit.tables import metadata
from orchestration.errors import IntegrityError, public


@dataclass(frozen=True)
class Refusal:
    """The first event that cannot follow those before it, and why."""

    seq: int
    type: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"event {self.seq} ({self.type}): {self.code}: {self.message}"


@dataclass(frozen=True)
class Difference:
    """A row that is not what the events make; `columns` are those that differ, none if all of it does."""

    table: str
    row: tuple[str, ...]
    columns: tuple[str, ...]
    what: str

    @property
    def where(self) -> str:
        return f"table {self.table}, row {', '.join(self.row)}"

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True)
class Replay:
    """The outcome: `equal` of `tables` tables hold exactly what `events` events make."""

    events: int
    tables: int
    equal: int
    refused: Refusal | None
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        return self.refused is None and self.equal == self.tables

    @property
    def first(self) -> str | None:
        """The first thing that is wrong, in words."""
        if self.refused is not None:
            return str(self.refused)
        return str(self.differences[0]) if self.differences else None


def replay(log: AuditLog, admit: Admit | None = None) -> Replay:
    """Replay the whole log in one consistent view of it, and compare every table.

    Args:
        log: the log.
        admit: judges each event; default: whoever judges what is appended to this log.

    Raises: IntegrityError `log.broken_event` where the events themselves were changed.
    """
    with log.read() as connection:
        events = _without_gaps(stored_events(connection))
        return replayed(connection, events, admit or log.admit, log.clock())


def replayed(
    connection: Connection, events: Iterable[LoggedEvent], admit: Admit | None, clock: datetime
) -> Replay:
    """Let `events` happen in an empty database, and compare its tables with those of `connection`.

    Args:
        connection: one consistent view of the log.
        events: of it, in order.
        admit: judges each of them.
        clock: the present moment; no event is from its future.
    """
    count, newest = 0, None
    with _empty_database() as scratch:
        for logged, following in pairwise(chain(events, [None])):
            assert logged is not None  # noqa: S101  only what follows the last is
            refused = _happen(scratch, logged, following, admit, newest, clock)
            if refused is not None:
                return Replay(count, len(ALL_TABLES), 0, refused, ())
            count, newest = count + 1, logged.event.time
        found = {table.name: tuple(_differences(connection, scratch, table)) for table in ALL_TABLES}
    differences = tuple(difference for each in found.values() for difference in each)
    equal = sum(not each for each in found.values())
    return Replay(count, len(ALL_TABLES), equal, None, differences)


@contextmanager
def _empty_database() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            metadata.create_all(connection, tables=ALL_TABLES)
            yield connection
    finally:
        engine.dispose()


def _without_gaps(events: Iterator[LoggedEvent]) -> Iterator[LoggedEvent]:
    for following, logged in enumerate(events):
        if logged.seq != following:
            raise IntegrityError(BROKEN_EVENT, seq=following)
        yield logged


def _happen(
    scratch: Connection,
    logged: LoggedEvent,
    following: LoggedEvent | None,
    admit: Admit | None,
    newest: datetime | None,
    clock: datetime,
) -> Refusal | None:
    try:
        require_order(logged.event.time, newest, clock)
        if admit is not None:
            admit(scratch, logged.event)
            require_act(logged.event, following.event if following is not None else None)
        project(scratch, Entry(logged.seq, logged.receipt_id, logged.event))
    except sql.IntegrityError:
        facts = {"type": logged.event.type, "subject": logged.event.subject}
        code, message = ALREADY_RECORDED.code, ALREADY_RECORDED.message.format(**facts)
    except Exception as error:
        said = public(error)
        code, message = said.code, said.message
    else:
        return None
    return Refusal(logged.seq, logged.event.type, code, message)


def _differences(shown: Connection, replay: Connection, table: Table) -> Iterator[Difference]:
    """Row by row in the order of the primary key; only where that shows a difference, by key in memory."""
    pairs = zip_longest(database.rows(shown, table), database.rows(replay, table))
    if all(here == there for here, there in pairs):
        return
    names = [column.name for column in table.columns]
    keys = [names.index(column.name) for column in table.primary_key.columns]
    here, there = (
        {tuple(str(row[key]) for key in keys): row for row in database.rows(connection, table)}
        for connection in (shown, replay)
    )
    for key in sorted(here.keys() | there.keys()):
        if key not in here:
            yield Difference(table.name, key, (), "missing, although the events make it")
        elif key not in there:
            yield Difference(table.name, key, (), "no event explains it")
        else:
            cells = zip(names, here[key], there[key], strict=True)
            columns = tuple(name for name, shown_as, made in cells if shown_as != made)
            if columns:
                what = f"{', '.join(columns)} is not what the events say"
                yield Difference(table.name, key, columns, what)
