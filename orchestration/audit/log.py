"""The append-only log: events, their Merkle tree and their projections, changed together or not at all.

Belongs here: transactions, and reading the log back. Must not be here: what an event means (`events`), what
it does to tables (`projections`), or deciding that the log is sound (`verify`).

Every change is one `BEGIN IMMEDIATE` transaction with a full sync, so any number of processes may append at
once and a killed one leaves no half. Connections handed out for reading cannot write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    create_engine,
    func,
    insert,
    make_url,
    select,
)
from sqlalchemy import event as hooks
from sqlalchemy import exc as sql

from orchestration.audit import merkle
from orchestration.audit import tables as t
from orchestration.audit.events import Event, timestamp
from orchestration.audit.projections import ALREADY_RECORDED, AlreadyRecordedError, Entry, project
from orchestration.digests import canonical_json, digest_json
from orchestration.errors import (
    STORAGE_FULL,
    ConfigError,
    GlasshouseError,
    IntegrityError,
    Reason,
    ServiceError,
)

UNSUPPORTED_DATABASE = Reason(
    "log.unsupported_database",
    "The control plane cannot use a {dialect} database.",
    "Unset GLASSHOUSE_DATABASE_URL, or give it a `sqlite:///` address.",
)
DATABASE_UNAVAILABLE = Reason(
    "log.unavailable",
    "The control plane's database could not be opened, or stayed busy for {seconds} seconds.",
    "Check that its folder exists and is writable and that no process is stuck, then rerun.",
)
DATABASE_DAMAGED = Reason(
    "log.damaged",
    "The control plane's database is not readable as a database.",
    "Stop, keep a copy of it, and restore the last backup.",
)
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

_NEWEST = select(func.max(t.events.c.seq))
_BUSY_SECONDS = 60
_WRITES = "glasshouse_writes"


@dataclass(frozen=True)
class LoggedEvent:
    """An event as the log holds it. `receipt_id` is the hex RFC 6962 hash of `leaf`."""

    seq: int
    event: Event
    leaf: bytes
    receipt_id: str


class AuditLog:
    """The log in one database; usable as a context manager.

    Raises (every method): ServiceError `log.unavailable`, `storage.full`; IntegrityError `log.damaged`,
    `log.broken_event`, `log.broken_tree`.
    """

    def __init__(self, url: str) -> None:
        self._engine = _open(url)
        self._writer = self._engine.execution_options(**{_WRITES: True})
        with self.write() as connection:
            t.metadata.create_all(connection)

    def close(self) -> None:
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

        Raises: AlreadyRecordedError when the step counts already, OutOfOrderError when it cannot follow.
        """
        return self.append_many([event], lineage=lineage)[0]

    def append_many(
        self, events: Sequence[Event], *, lineage: Sequence[Mapping[str, Any]] = ()
    ) -> list[LoggedEvent]:
        """Like `append`, for several events in one transaction; `lineage` belongs to the last of them."""
        if not events:
            return []
        if lineage:
            digest = digest_json([dict(row) for row in lineage])
            events = [*events[:-1], events[-1].model_copy(update={"lineage": digest})]
        with self.write() as connection:
            seq = current_size(connection)
            logged = [_append(connection, seq + offset, event) for offset, event in enumerate(events)]
            if lineage:
                rows = [_lineage_row(logged[-1].seq, row) for row in lineage]
                connection.execute(insert(t.lineage), rows)
        return logged

    def rebuild(self) -> None:
        """Drop the projections and make them again from the events."""
        with self.write() as connection:
            t.metadata.drop_all(connection, tables=t.PROJECTIONS)
            t.metadata.create_all(connection, tables=t.PROJECTIONS)
            for row in connection.execute(select(t.events).order_by(t.events.c.seq)):
                logged = logged_event(row)
                project(connection, Entry(logged.seq, logged.receipt_id, logged.event))

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction; only for `audit/` itself, whatever else changes state appends an event."""
        with _coded(), self._writer.begin() as connection:
            yield connection

    # --- reading

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection with one consistent view of all tables; it cannot write."""
        with _coded(), self._engine.begin() as connection:
            yield connection

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


def _append(connection: Connection, seq: int, event: Event) -> LoggedEvent:
    leaf = event.leaf()
    value = merkle.leaf_hash(leaf)
    logged = LoggedEvent(seq, event, leaf, value.hex())
    siblings = [node.position for node in merkle.completed_by(seq)]
    grown = merkle.grow(seq, value, reader(connection)(siblings))
    row = {
        "seq": seq,
        "type": event.type,
        "collaboration": event.collaboration,
        "subject": event.subject,
        "time": timestamp(event.time),
        "receipt_id": logged.receipt_id,
        "leaf": leaf,
    }
    try:
        connection.execute(insert(t.events), row)
        connection.execute(insert(t.nodes), [{"position": at, "hash": node} for at, node in grown.items()])
    except sql.IntegrityError as error:
        raise IntegrityError(BROKEN_TREE, seq=seq) from error
    try:
        project(connection, Entry(seq, logged.receipt_id, event))
    except sql.IntegrityError as error:
        raise AlreadyRecordedError(ALREADY_RECORDED, type=event.type, subject=event.subject) from error
    return logged


def _lineage_row(seq: int, row: Mapping[str, Any]) -> dict[str, Any]:
    return {"seq": seq, "run_id": str(row["run"]["runId"]), "event": canonical_json(dict(row)).decode()}


def current_size(connection: Connection) -> int:
    """Number of events, as this connection sees it."""
    newest: int | None = connection.execute(_NEWEST).scalar()
    return 0 if newest is None else newest + 1


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
    if not isinstance(row.leaf, bytes) or merkle.leaf_hash(row.leaf).hex() != row.receipt_id:
        raise IntegrityError(BROKEN_EVENT, seq=row.seq)
    try:
        event = Event.from_leaf(row.leaf)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(BROKEN_EVENT, seq=row.seq) from error
    return LoggedEvent(row.seq, event, row.leaf, row.receipt_id)


@contextmanager
def _coded() -> Iterator[None]:
    """Turn the database's complaints, which quote what was being written, into declared reasons."""
    try:
        yield
    except sql.DBAPIError as error:
        raise _reason(error) from error


def _reason(error: sql.DBAPIError) -> GlasshouseError:
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC")):
        return ServiceError(STORAGE_FULL)
    if name.startswith(
        ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")
    ):  # ERROR: a table or column is gone
        return IntegrityError(DATABASE_DAMAGED)
    return ServiceError(DATABASE_UNAVAILABLE, seconds=_BUSY_SECONDS)


def is_storage_sound(connection: Connection) -> bool:
    """The database's own check of its pages and indexes."""
    return connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def _open(url: str) -> Engine:
    """An engine with explicit transactions; this and `is_storage_sound` are all that speaks SQLite."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        raise ConfigError(UNSUPPORTED_DATABASE, dialect=address.get_backend_name())
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(address, connect_args={"timeout": _BUSY_SECONDS}, hide_parameters=True)

    @hooks.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # A damaged text must reach `verify`, which says where it stands; the driver would only give up on it.
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        connection.isolation_level = None  # the driver would begin transactions on its own, and too late
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @hooks.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = bool(connection.get_execution_options().get(_WRITES))
        if connection.info.get(_WRITES) != writes:
            connection.exec_driver_sql(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
            connection.info[_WRITES] = writes
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
