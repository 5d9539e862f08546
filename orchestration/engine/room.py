"""The room: one encrypted DuckDB file per collaboration, with one writer at a time.

Holds pseudonyms and generalized values only. Must not be here: what is computed inside it.

Schemas: `deidentified` (one table per contribution), `admitted` (one view per entity over the tables whose
gate passed), `staging` and `intermediate` (dbt), `cells` (one table per request).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from orchestration.engine.duck import confine, connect, quote_name, quote_text
from orchestration.engine.files import sync
from orchestration.engine.key_access import Keys
from orchestration.errors import STORAGE_FULL, Reason, ServiceError, is_storage_full
from orchestration.settings import Settings

BUSY = Reason(
    "room.busy",
    "Another step has been writing to the room of {collaboration} for longer than this one may wait.",
    "Wait for it to finish (`glasshouse status`), then rerun.",
)


class Room:
    """The de-identified working store of one collaboration."""

    def __init__(self, settings: Settings, keys: Keys, collaboration: str) -> None:
        self.collaboration = collaboration
        self.path = settings.root / "room" / f"{collaboration}.duckdb"
        self._settings = settings
        self._keys = keys
        self._lock = FileLock(self.path.with_suffix(".lock"), timeout=settings.room_wait_seconds)

    @staticmethod
    def key_names(collaboration: str) -> tuple[str, str]:
        """The room's key, and the one that takes its place while the room is written anew."""
        return f"room/{collaboration}", f"room/{collaboration}-next"

    @property
    def key(self) -> str:
        """The room's key: 32 bytes in hex, because dbt can only be handed text."""
        return self._keys.secret(self._key_name).hex()

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Hold the room's single writer's place, for a step that opens the file itself (dbt).

        Raises: ServiceError (`room.busy`) after the configured wait.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._lock.acquire()
        except Timeout:
            raise ServiceError(BUSY, collaboration=self.collaboration) from None
        try:
            self._finish_rewriting()
            yield
        finally:
            self._lock.release()

    @contextmanager
    def open(self, *, also_read: Iterable[Path] = ()) -> Iterator[duckdb.DuckDBPyConnection]:
        """A confined connection with the room attached and in use; `also_read` are the only other files.

        Raises: ServiceError (`room.busy`, `storage.full`).
        """
        with self.reserved(), connect(self._settings) as connection:
            connection.execute(f"ATTACH {quote_text(str(self.path))} AS room (ENCRYPTION_KEY ?)", [self.key])
            for schema in ("deidentified", "admitted", "cells"):
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS room.{schema}")
            connection.execute("USE room.deidentified")
            confine(connection, files=also_read, folders=[self._settings.root / "tmp"])
            try:
                yield connection
            except duckdb.TransactionException as error:
                # A commit that finds the disk full ends as one of these.
                if is_storage_full(duckdb.IOException(str(error))):
                    raise ServiceError(STORAGE_FULL) from None
                raise

    def keep_only(self, tables: Collection[str]) -> None:
        """Write the room anew with only these de-identified tables, under a new key; the old one is shredded.

        Whatever stood in the old file, copies of it elsewhere included, is noise afterwards. What was built
        from its tables (views, models, cells) is gone too, until the room is refreshed.
        """

        def copy(connection: duckdb.DuckDBPyConnection) -> None:
            connection.execute("CREATE SCHEMA fresh.deidentified")
            rows = connection.execute(
                "SELECT table_name FROM duckdb_tables()"
                " WHERE database_name = 'room' AND schema_name = 'deidentified'"
            ).fetchall()
            for name in sorted({str(row[0]) for row in rows} & set(tables)):
                table = f"deidentified.{quote_name(name)}"
                connection.execute(f"CREATE TABLE fresh.{table} AS FROM room.{table}")

        self._rewrite(copy)

    def rekey(self) -> None:
        """Write the whole room anew under a new key, views and models included; the old key is shredded.

        Every copy of the old file is noise afterwards.
        """
        self._rewrite(lambda connection: connection.execute("COPY FROM DATABASE room TO fresh"))

    def _rewrite(self, copy: Callable[[duckdb.DuckDBPyConnection], object]) -> None:
        """Have `copy` fill an empty `fresh` from `room`, then put it in the room's place; none, nothing."""
        with self.reserved():
            if not self.path.exists():
                return
            new_key = self._keys.create(self._next_name).hex()
            with connect(self._settings) as connection:
                for path, name, key in ((self.path, "room", self.key), (self._next_path, "fresh", new_key)):
                    connection.execute(f"ATTACH {quote_text(str(path))} AS {name} (ENCRYPTION_KEY ?)", [key])
                confine(connection, folders=[self._settings.root / "tmp"])
                copy(connection)
            sync(self._next_path)
            self._keys.destroy(self._key_name)  # from here on there is only forward
            self._finish_rewriting()

    def destroy(self) -> None:
        """Shred the key, then remove the file: the room is retired."""
        with self.reserved():
            self._keys.destroy(self._key_name)
            for path in (self.path, self._log_path):
                path.unlink(missing_ok=True)

    def _finish_rewriting(self) -> None:
        """Complete a rewriting that was killed after it shredded the old key, or undo an earlier one."""
        if not self._keys.holds(self._next_name):
            return
        if not self._keys.holds(self._key_name):
            self._keys.destroy(self._key_name)  # what a kill left of it
            if self._next_path.exists():
                os.replace(self._next_path, self.path)
            self._log_path.unlink(missing_ok=True)  # of the old file
            sync(self.path.parent)
            self._keys.create(self._key_name, self._keys.secret(self._next_name))
        self._next_path.unlink(missing_ok=True)
        self._next_path.with_name(f"{self._next_path.name}.wal").unlink(missing_ok=True)
        self._keys.destroy(self._next_name)

    @property
    def _key_name(self) -> str:
        return self.key_names(self.collaboration)[0]

    @property
    def _next_name(self) -> str:
        return self.key_names(self.collaboration)[1]

    @property
    def _next_path(self) -> Path:
        return self.path.with_name(f"{self.collaboration}-next.duckdb")

    @property
    def _log_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.wal")
