"""The room: one encrypted DuckDB file per collaboration, with one writer at a time.

Holds pseudonyms and generalized values only. Must not be here: what is computed inside it.

Schemas: `deidentified` (one table per contribution), `admitted` (one view per entity over the tables whose
gate passed), `staging` and `intermediate` (dbt), `cells` (one table per request).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from orchestration.engine.duck import confine, connect, quote_text
from orchestration.engine.keystore import KeyStore
from orchestration.errors import STORAGE_FULL, Reason, ServiceError, is_storage_full
from orchestration.settings import Settings

BUSY = Reason(
    "room.busy",
    "Another step has been writing to the room of {collaboration} for longer than this one may wait.",
    "Wait for it to finish (`glasshouse status`), then rerun.",
)


class Room:
    """The de-identified working store of one collaboration."""

    def __init__(self, settings: Settings, keys: KeyStore, collaboration: str) -> None:
        self.collaboration = collaboration
        self.path = settings.root / "room" / f"{collaboration}.duckdb"
        self._settings = settings
        self._keys = keys
        self._lock = FileLock(self.path.with_suffix(".lock"), timeout=settings.room_wait_seconds)

    @property
    def key(self) -> str:
        """The room's key: 32 bytes in hex, because dbt can only be handed text."""
        return self._keys.secret(f"room/{self.collaboration}").hex()

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
