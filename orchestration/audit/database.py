"""The control plane's database, SQLite or PostgreSQL: engines, transactions, schema version, errors.

Belongs here: everything that differs between the two, so that nobody else needs to know which one it is. Must
not be here: a table, or what is written into it.

Writers take turns: SQLite by `BEGIN IMMEDIATE`, PostgreSQL by one advisory lock. A commit returns when it is
on disk (WAL with a full sync; synchronous_commit). Readers see one consistent state and cannot write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, Table, Text, create_engine, inspect, make_url, text
from sqlalchemy import event as hooks
from sqlalchemy import exc as sql

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
    "Unset GLASSHOUSE_DATABASE_URL, or give it a `sqlite:///` or `postgresql://` address.",
)
DATABASE_UNAVAILABLE = Reason(
    "log.unavailable",
    "The control plane's database could not be opened, or stayed busy for {seconds} seconds.",
    "Check that its folder is writable or its server runs, and that no process is stuck, then rerun.",
)
DATABASE_DAMAGED = Reason(
    "log.damaged",
    "The control plane's database is not readable as a database.",
    "Stop, keep a copy of it, and restore the last backup.",
)
UNWRITABLE = Reason(
    "log.unwritable",
    "The control plane's database cannot hold a value of this event; nothing was added.",
    "Leave out NUL characters and numbers beyond 2147483647, then repeat the step.",
)
UNMIGRATED = Reason(
    "log.unmigrated",
    "The control plane's database was made before its schema had versions; its log cannot be carried over.",
    "Keep a copy of this home as evidence and begin a new one with `glasshouse init`.",
)
UNKNOWN_REVISION = Reason(
    "log.unknown_revision",
    "The control plane's database has a schema this program does not know.",
    "Use the newest version of Glasshouse that ever opened it.",
)

HEAD = "0005"  # the newest file in migrations/versions

_BUSY_SECONDS = 60
_BATCH = 1000
_WRITES = "glasshouse_writes"
_BEGIN = "BEGIN IMMEDIATE"
_LOCK = 0x676C6173  # PostgreSQL's advisory locks are numbers; this one is "glas"
_MIGRATIONS = Path(__file__).parent / "migrations"

_FULL = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "53100")
# SQLITE_ERROR, 42P01, 42703: a table or column is gone; XX: the server's own words for damage.
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "42P01", "42703", "XX")


def open_engine(url: str) -> Engine:
    """An engine for `writing`, `reading` and `migrate`. Nothing is connected to yet.

    Raises: ConfigError `log.unsupported_database`.
    """
    try:
        address = make_url(url)
    except sql.ArgumentError as error:
        raise ConfigError(UNSUPPORTED_DATABASE, dialect="nameless") from error
    backend = address.get_backend_name()
    if backend == "sqlite":
        return _open_sqlite(address)
    if backend == "postgresql":
        return _open_postgresql(address)
    raise ConfigError(UNSUPPORTED_DATABASE, dialect=backend)


class Writer:
    """Write transactions of one process, each after those of all other writers.

    With SQLite one connection is kept for them: fetching one anew takes as long as writing a row. On it
    SQLAlchemy's transaction stays open, and those of the database begin and end below: that takes a third.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keeps = engine.dialect.name == "sqlite"
        self._kept: Connection | None = None
        self._turn = Lock()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        if not self._turn.acquire(timeout=_BUSY_SECONDS):
            raise ServiceError(DATABASE_UNAVAILABLE, seconds=_BUSY_SECONDS)
        try:
            with coded():
                try:
                    connection = self._begin()
                    yield connection
                    if self._keeps:
                        execute(connection, "COMMIT")
                    else:
                        connection.commit()
                        self._drop()
                except BaseException:
                    self._drop()
                    raise
        finally:
            self._turn.release()

    def close(self) -> None:
        with self._turn:
            self._drop()

    def _begin(self) -> Connection:
        if self._kept is None:
            self._kept = self._engine.connect().execution_options(**{_WRITES: True})
            self._kept.begin()
        else:
            execute(self._kept, _BEGIN)
        return self._kept

    def _drop(self) -> None:
        """Close the connection; what was not committed is taken back."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction, for those who need no second."""
    writer = Writer(engine)
    try:
        with writer.transaction() as connection:
            yield connection
    finally:
        writer.close()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view of all tables, through a connection that cannot write."""
    with coded(), engine.begin() as connection:
        yield connection


def migrate(engine: Engine) -> None:
    """Bring the schema to this program's version; one query when it has it already.

    Raises: ConfigError `log.unmigrated`, `log.unknown_revision`, and like `coded`.
    """
    try:
        with engine.begin() as connection:
            if _revision(connection) == HEAD:
                return
    except sql.DBAPIError:
        pass  # no such table, most likely; anything worse meets us again below
    with writing(engine) as connection:
        known = inspect(connection)
        if not known.has_table("alembic_version"):
            if known.has_table("events"):
                raise ConfigError(UNMIGRATED)
        elif _revision(connection) == HEAD:
            return  # another process was faster
        _upgrade(connection, HEAD)


def is_storage_sound(connection: Connection) -> bool:
    """SQLite's own check of its pages and indexes; PostgreSQL checks pages whenever it reads them."""
    if connection.dialect.name != "sqlite":
        return True
    return connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def add_rows(connection: Connection, table: Table, new: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that name the same columns in the same order; values go to the driver as they are."""
    add_values(connection, table, tuple(new[0]), [tuple(row.values()) for row in new])


def add_values(
    connection: Connection, table: Table, columns: tuple[str, ...], values: Sequence[Sequence[Any]]
) -> None:
    """Like `add_rows`, for rows that are values alone."""
    execute(connection, _insertion(connection.dialect, table, columns), *values)


def execute(connection: Connection, statement: str, *values: Sequence[Any]) -> Any:
    """Run a statement straight on the driver, in the same transaction; once for each of several `values`.

    Costs a fifth of what SQLAlchemy takes, which counts in an append; errors are those of SQLAlchemy.
    Returns the driver's cursor.
    """
    cursor = connection.connection.cursor()
    try:
        if len(values) > 1:
            cursor.executemany(statement, values)
        else:
            cursor.execute(statement, *values)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _told_as_sqlalchemy_does(connection, statement, error) from error
    return cursor


def _told_as_sqlalchemy_does(connection: Connection, statement: str, error: Exception) -> BaseException:
    dialect = connection.dialect
    of_driver = dialect.loaded_dbapi.Error
    return sql.DBAPIError.instance(statement, None, error, of_driver, hide_parameters=True, dialect=dialect)


@cache
def _insertion(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> str:
    quote = dialect.identifier_preparer.quote
    names = ", ".join(quote(table.c[column].name) for column in columns)
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    marks = ", ".join([mark] * len(columns))
    return f"INSERT INTO {quote(table.name)} ({names}) VALUES ({marks})"  # noqa: S608  names of our own


def rows(connection: Connection, table: Table, columns: Sequence[str] = ()) -> Iterator[Sequence[Any]]:
    """All rows in the order of the primary key, as stored, a few at a time; default: all columns.

    Both databases put text in the order of its code points here. Nothing is converted: what was tampered with
    is to be seen as it is.
    """
    quote = connection.dialect.identifier_preparer.quote
    shown = ", ".join(quote(name) for name in columns or table.columns.keys())
    collate = ' COLLATE "C"' if connection.dialect.name == "postgresql" else ""
    order = ", ".join(
        quote(column.name) + (collate if isinstance(column.type, Text) else "")
        for column in table.primary_key.columns
    )
    statement = f"SELECT {shown} FROM {quote(table.name)} ORDER BY {order}"  # noqa: S608  names of our own
    # SQLite's own cursor hands out rows one by one; through SQLAlchemy a million take twice as long.
    return (_handed_out if connection.dialect.name == "sqlite" else _in_batches)(connection, statement)


def _in_batches(connection: Connection, statement: str) -> Iterator[Sequence[Any]]:
    result = connection.exec_driver_sql(statement, execution_options={"yield_per": _BATCH})
    for batch in result.partitions():
        yield from batch


def _handed_out(connection: Connection, statement: str) -> Iterator[Sequence[Any]]:
    cursor = execute(connection, statement)
    try:
        yield from cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise _told_as_sqlalchemy_does(connection, statement, error) from error


@contextmanager
def coded() -> Iterator[None]:
    """Turn the database's complaints, which quote what was being written, into declared reasons."""
    try:
        yield
    except sql.DBAPIError as error:
        raise _reason(error) from error


def _reason(error: sql.DBAPIError) -> GlasshouseError:
    name = str(getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or "")
    if name.startswith(_FULL):
        return ServiceError(STORAGE_FULL)
    if name.startswith(_DAMAGED):
        return IntegrityError(DATABASE_DAMAGED)
    if isinstance(error, sql.DataError):
        return ConfigError(UNWRITABLE)
    return ServiceError(DATABASE_UNAVAILABLE, seconds=_BUSY_SECONDS)


def _revision(connection: Connection) -> str | None:
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade(connection: Connection, revision: str) -> None:
    # Only needed when a house is founded or a new version first opens it, and slow to import.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except (CommandError, AssertionError) as error:  # alembic asserts where the number was wiped out
        raise ConfigError(UNKNOWN_REVISION) from error


def _open_sqlite(address: URL) -> Engine:
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
        writes = _is_writing(connection)
        if connection.info.get(_WRITES) != writes:
            execute(connection, f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
            connection.info[_WRITES] = writes
        execute(connection, _BEGIN if writes else "BEGIN")

    return engine


def _open_postgresql(address: URL) -> Engine:
    engine = create_engine(
        address.set(drivername="postgresql+psycopg"),
        connect_args={"connect_timeout": _BUSY_SECONDS},
        hide_parameters=True,
        pool_pre_ping=True,  # a server that was restarted meanwhile is no reason to fail
    )

    @hooks.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.execute(f"SET lock_timeout = '{_BUSY_SECONDS}s'")
        connection.execute("SET synchronous_commit = on")
        connection.commit()

    @hooks.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if _is_writing(connection):
            # The lock comes first: READ COMMITTED then sees all that the writers before committed, whereas
            # any other level, which a server may have as its default, would look before it waits.
            execute(connection, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            execute(connection, f"SELECT pg_advisory_xact_lock({_LOCK})")
        else:
            execute(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    return engine


def _is_writing(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get(_WRITES))
