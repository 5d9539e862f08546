"""The append-only log: events, their Merkle tree and their projections, changed together or not at all.

Belongs here: appending, and reading the log back. Must not be here: what an event means (`events`), what it
does to tables (`projections`), how either database is spoken to (`database`), or deciding that the log is
sound (`verify`).

Any number of processes may append at once: writers take turns, and a killed one leaves no half.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy import exc as sql

from orchestration.audit import database, merkle
from orchestration.audit import governance_projections as _governance_projections  # noqa: F401  registers
from orchestration.audit import tables as t
from orchestration.audit import withdrawal_projections as _withdrawal_projections  # noqa: F401  registers
from orchestration.audit.chronology import in_order
from orchestration.audit.events import Event, commitment
from orchestration.audit.governance_events import EmergencyUsed
from orchestration.audit.projections import ALL_TABLES, ALREADY_RECORDED, AlreadyRecordedError, Entry, project
from orchestration.audit.stage_events import ContributionAccepted
from orchestration.audit.statement import statement_id
from orchestration.audit.vocabulary import now, timestamp
from orchestration.digests import canonical_json, digest_json
from orchestration.errors import ConfigError, IntegrityError, PolicyDeniedError, Reason

BROKEN_EVENT = Reason(
    "log.broken_event",
    "Event {seq} of the log is not what was written there.",
    "Run `glasshouse audit verify` to see what else changed, then restore the last backup.",
)
BROKEN_TREE = Reason(
    "log.broken_tree",
    "The Merkle tree does not fit the events at event {seq}.",
    "Run `glasshouse audit verify` to see what else changed, then restore the last backup.",
)
NO_SUCH_EVENT = Reason(
    "log.no_such_event",
    "The log has no event {seq}; it holds {size} events, counted from 0.",
    "List events with `glasshouse audit log`.",
)
ACT_MISSING = Reason(
    "emergency.act_missing",
    "The use of emergency grant {grant} is not followed by what {member} used it for.",
    "Record both at once with the `glasshouse` command for it; nothing was added.",
)

Admit = Callable[[Connection, Event], None]
"""Judges an event by the projections of those before it; raises to refuse it."""

Clock = Callable[[], datetime]

_NEWEST = "SELECT seq, receipt_id, time FROM events ORDER BY seq DESC LIMIT 1"
SALT_BYTES = 32
_CHUNK = 1000


@dataclass(frozen=True)
class LoggedEvent:
    """An event as the log holds it. `receipt_id` is the hex RFC 6962 hash of its leaf, the commitment."""

    seq: int
    event: Event
    salt: bytes
    receipt_id: str

    @property
    def commitment(self) -> bytes:
        """The leaf's entry in the tree: 32 bytes."""
        return commitment(self.event.content(), self.salt)


@dataclass(frozen=True)
class _Edge:
    """What the next append needs to know: how the log ends, when, and the hashes of `merkle.cover`."""

    size: int
    newest: str | None
    time: datetime | None
    hashes: tuple[bytes, ...]


class AuditLog:
    """The log in one database; usable as a context manager.

    Args:
        url: of the database; its schema is brought up to date.
        admit: asked about every event before it changes anything; default: all are admitted.
        clock: says what time it is; no event from its future is recorded.

    Raises (every method): ServiceError `log.unavailable`, `storage.full`; IntegrityError `log.damaged`,
    `log.broken_event`, `log.broken_tree`; the constructor also what `database.migrate` raises.
    """

    def __init__(self, url: str, *, admit: Admit | None = None, clock: Clock = now) -> None:
        self._engine = database.open_engine(url)
        self._writer = database.Writer(self._engine)
        self.admit, self.clock = admit, clock
        self._edge = _Edge(0, None, None, ())
        try:
            database.migrate(self._engine)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._writer.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- writing

    def append(self, event: Event, *, lineage: Sequence[Mapping[str, Any]] = ()) -> LoggedEvent:
        """Add one event with everything that follows from it, durably, or nothing.

        Args:
            event: what happened.
            lineage: the OpenLineage events of the same step, as JSON objects; the event commits to their
                digest.

        Raises: AlreadyRecordedError when the step counts already, OutOfOrderError when it cannot follow;
        ServiceError `log.time_backwards`, `log.time_ahead`; and whatever `admit` raises.
        """
        return self.append_many([event], lineage=lineage)[0]

    def append_many(
        self, events: Sequence[Event], *, lineage: Sequence[Mapping[str, Any]] = ()
    ) -> list[LoggedEvent]:
        """Like `append`, for several events in one transaction; `lineage` belongs to the last of them.

        Each is judged by what the ones before it made of the tables, and a trace by what comes after it.
        """
        if not events:
            return []
        if lineage:
            digest = digest_json([dict(row) for row in lineage])
            events = [*events[:-1], events[-1].model_copy(update={"lineage": digest})]
        with self.write() as connection:
            edge = self._right_edge(connection)
            logged, rows = [], []
            nodes: dict[int, bytes] = {}
            right, newest, clock = list(edge.hashes), edge.time, self.clock()
            for seq, (given, after) in enumerate(zip(events, [*events[1:], None], strict=True), edge.size):
                event = in_order(given, newest, clock)
                newest = event.time
                if self.admit is not None:
                    self.admit(connection, event)
                    require_act(event, after)
                content, salt = event.content(), secrets.token_bytes(SALT_BYTES)
                leaf = merkle.leaf_hash(commitment(content, salt))
                logged.append(LoggedEvent(seq, event, salt, leaf.hex()))
                rows.append(_event_row(logged[-1], content))
                nodes |= merkle.push(right, seq, leaf)
                _project(connection, logged[-1])
            _store(connection, rows, nodes)
            if lineage:
                connection.execute(insert(t.lineage), [_lineage_row(logged[-1].seq, row) for row in lineage])
        # Only now, when it is certain that the tree has grown.
        self._edge = _Edge(edge.size + len(events), logged[-1].receipt_id, newest, tuple(right))
        return logged

    def _right_edge(self, connection: Connection) -> _Edge:
        """What this process remembers, unless the log ends otherwise: then what the database says."""
        newest = database.execute(connection, _NEWEST).fetchone()
        size, receipt_id = (newest[0] + 1, newest[1]) if newest else (0, None)
        known = self._edge  # read once: another thread may replace it
        if (known.size, known.newest) == (size, receipt_id):
            return known
        positions = [node.position for node in merkle.cover(0, size)]
        stored = reader(connection)(positions)
        time = _time(size - 1, newest[2]) if newest else None
        return _Edge(size, receipt_id, time, tuple(stored[position] for position in positions))

    def rebuild(self) -> None:
        """Drop the projections and make them again from the events."""
        with self.write() as connection:
            t.metadata.drop_all(connection, tables=ALL_TABLES)
            t.metadata.create_all(connection, tables=ALL_TABLES)
            for logged in stored_events(connection):
                project(connection, Entry(logged.seq, logged.receipt_id, logged.event))

    def write(self) -> AbstractContextManager[Connection]:
        """One write transaction; only for `audit/` itself, whatever else changes state appends an event."""
        return self._writer.transaction()

    # --- reading

    def read(self) -> AbstractContextManager[Connection]:
        """A connection with one consistent view of all tables; it cannot write."""
        return database.reading(self._engine)

    def present(self, connection: Connection) -> datetime:
        """The moment an event recorded now gets: the clock's, or the newest event's if that is later."""
        newest = database.execute(connection, _NEWEST).fetchone()
        clock = self.clock()
        return max(clock, _time(newest[0], newest[2])) if newest else clock

    @property
    def size(self) -> int:
        with self.read() as connection:
            return current_size(connection)

    def event(self, seq: int) -> LoggedEvent:
        """Raises: ConfigError `log.no_such_event`."""
        with self.read() as connection:
            row = connection.execute(select(t.events).where(t.events.c.seq == seq)).one_or_none()
            if row is None:
                raise ConfigError(NO_SUCH_EVENT, seq=seq, size=current_size(connection))
        return logged_event(row)

    def events(
        self,
        type: str | None = None,  # noqa: A002 - the word of the log, and only ever given by keyword
        subject: str | None = None,
        collaboration: str | None = None,
        *,
        after: int = -1,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[LoggedEvent]:
        """Events whose columns equal what is given, with seq > `after`, each re-hashed."""
        table = t.events.c
        query = select(t.events).where(table.seq > after)
        for column, wanted in (
            (table.type, type),
            (table.subject, subject),
            (table.collaboration, collaboration),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        query = query.order_by(table.seq.desc() if newest_first else table.seq).limit(limit)
        with self.read() as connection:
            return [logged_event(row) for row in connection.execute(query)]

    def lineage(self, run_id: str | None = None) -> list[dict[str, Any]]:
        """OpenLineage events, oldest first; of one run or of all."""
        query = select(t.lineage.c.event).order_by(t.lineage.c.id)
        if run_id is not None:
            query = query.where(t.lineage.c.run_id == run_id)
        with self.read() as connection:
            return [json.loads(row.event) for row in connection.execute(query)]

    # --- the tree

    def root(self, size: int | None = None) -> bytes:
        """Tree head (32 bytes) over the first `size` events; default: all."""
        with self.read() as connection:
            return merkle.root(_checked(connection, size), reader(connection))

    def inclusion_proof(self, seq: int, size: int | None = None) -> list[bytes]:
        """RFC 9162 inclusion proof of event `seq` in the tree of the first `size` events; default: all."""
        with self.read() as connection:
            size = _checked(connection, size)
            if not 0 <= seq < size:
                raise ConfigError(NO_SUCH_EVENT, seq=seq, size=size)
            return merkle.inclusion_proof(seq, size, reader(connection))

    def consistency_proof(self, old: int, new: int | None = None) -> list[bytes]:
        """RFC 9162 proof that the tree of `old` events is a prefix of that of `new`; default: all."""
        with self.read() as connection:
            new = _checked(connection, new)
            if not 0 < old <= new:
                raise ConfigError(NO_SUCH_EVENT, seq=old - 1, size=new)
            return merkle.consistency_proof(old, new, reader(connection))


def reader(connection: Connection) -> merkle.Reader:
    """Stored tree hashes by position, one query for each call."""

    def read(positions: Sequence[int]) -> Mapping[int, bytes]:
        if not positions:
            return {}
        query = select(t.nodes.c.position, t.nodes.c.hash).where(t.nodes.c.position.in_(positions))
        found = {row.position: row.hash for row in connection.execute(query)}
        for position in positions:
            if position not in found:
                node = merkle.node_at(position)
                raise IntegrityError(BROKEN_TREE, seq=node.number << node.level)
        return found

    return read


_EVENT = ("seq", "type", "collaboration", "subject", "time", "receipt_id", "salt", "content")
_NODE = ("position", "hash")


def _event_row(logged: LoggedEvent, content: bytes) -> tuple[Any, ...]:
    """The values of `_EVENT`."""
    event, at = logged.event, timestamp(logged.event.time)
    where = (logged.seq, event.type, event.collaboration, event.subject, at)
    return (*where, logged.receipt_id, logged.salt, content)


def _time(seq: int, stored: str) -> datetime:
    try:
        return datetime.fromisoformat(stored).astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise IntegrityError(BROKEN_EVENT, seq=seq) from error


def _project(connection: Connection, logged: LoggedEvent) -> None:
    event = logged.event
    try:
        project(connection, Entry(logged.seq, logged.receipt_id, event))
    except sql.IntegrityError as error:
        raise AlreadyRecordedError(ALREADY_RECORDED, type=event.type, subject=event.subject) from error


def _store(connection: Connection, rows: Sequence[tuple[Any, ...]], nodes: Mapping[int, bytes]) -> None:
    try:
        database.add_values(connection, t.events, _EVENT, rows)
        database.add_values(connection, t.nodes, _NODE, list(nodes.items()))
    except sql.IntegrityError as error:  # the tree goes on where the events ended
        raise IntegrityError(BROKEN_TREE, seq=rows[0][0]) from error


def _lineage_row(seq: int, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"seq": seq, "run_id": str(row["run"]["runId"]), "event": canonical_json(dict(row)).decode()}


def require_act(event: Event, following: Event | None) -> None:
    """A trace of an emergency grant has its act right after it. Raises: PolicyDeniedError, if not."""
    if isinstance(trace := event.payload, EmergencyUsed):
        act = following and (following.collaboration, following.type, *done(following))
        if act != (event.collaboration, trace.action, trace.member, trace.act):
            raise PolicyDeniedError(ACT_MISSING, grant=trace.grant, member=trace.member)


def done(event: Event) -> tuple[str | None, str | None]:
    """Whose act this is, and by what name a trace calls it; none: no act of a member."""
    if isinstance(payload := event.payload, ContributionAccepted):
        return payload.signer, payload.receipt.subject
    return (event.actor, statement_id(event)) if event.signature is not None else (None, None)


def current_size(connection: Connection) -> int:
    """Number of events, as this connection sees it."""
    newest = database.execute(connection, _NEWEST).fetchone()
    return newest[0] + 1 if newest else 0


def _checked(connection: Connection, size: int | None) -> int:
    known = current_size(connection)
    if size is None:
        return known
    if not 0 <= size <= known:
        raise ConfigError(NO_SUCH_EVENT, seq=size - 1, size=known)
    return size


def logged_event(row: Row[Any]) -> LoggedEvent:
    """A row of the table as an event, after its bytes were hashed again.

    Raises: IntegrityError `log.broken_event`.
    """
    # SQLite stores whatever type it is given: text in place of bytes is tampering too.
    # A salt of another length could be another spelling of the same HMAC key.
    if not (isinstance(row.content, bytes) and isinstance(row.salt, bytes) and len(row.salt) == SALT_BYTES):
        raise IntegrityError(BROKEN_EVENT, seq=row.seq)
    if merkle.leaf_hash(commitment(row.content, row.salt)).hex() != row.receipt_id:
        raise IntegrityError(BROKEN_EVENT, seq=row.seq)
    try:
        event = Event.from_content(row.content)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(BROKEN_EVENT, seq=row.seq) from error
    return LoggedEvent(row.seq, event, row.salt, row.receipt_id)


def stored_events(connection: Connection, *, first: int = 0) -> Iterator[LoggedEvent]:
    """Every event from number `first` on, in order, each re-hashed; not held in memory at once.

    Raises: IntegrityError `log.broken_event`.
    """
    following = first
    while True:
        query = select(t.events).where(t.events.c.seq >= following).order_by(t.events.c.seq).limit(_CHUNK)
        rows = connection.execute(query).all()
        yield from map(logged_event, rows)
        if len(rows) < _CHUNK:
            return
        following = rows[-1].seq + 1
