"""DuckDB connections, each allowed to touch only the files its step needs.

Belongs here: opening, limiting and locking a connection; quoting. Must not be here: what a step computes.
A connection is confined before it runs the first statement about data: no other file, no network, no
extension, and no way to lift the limits again (`lock_configuration`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from orchestration.engine.extension import load_httpfs
from orchestration.engine.scratch import scratch
from orchestration.settings import Settings


@contextmanager
def connect(settings: Settings, *, in_order: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database with memory limit and encrypted spill files; not yet confined.

    Args:
        in_order: rows come in the order of their file, so that they can be numbered; slower.
    """
    with scratch(settings.root / "tmp") as spill, duckdb.connect() as connection:
        load_httpfs(connection)
        connection.execute(f"SET memory_limit = {quote_text(settings.duckdb_memory)}")
        connection.execute(f"SET temp_directory = {quote_text(str(spill))}")
        connection.execute("SET temp_file_encryption = true")
        # A moment belongs to the same day on every host.
        connection.execute("SET TimeZone = 'UTC'")
        # Row order carries no meaning here, and keeping it costs memory on large writes.
        connection.execute(f"SET preserve_insertion_order = {str(in_order).lower()}")
        if in_order:
            connection.execute("SET threads = 1")
        elif settings.duckdb_threads:
            connection.execute(f"SET threads = {settings.duckdb_threads:d}")
        yield connection


def confine(
    connection: duckdb.DuckDBPyConnection, *, files: Iterable[Path | str] = (), folders: Iterable[Path] = ()
) -> None:
    """Allow these files and folders, nothing else, for the rest of the connection's life."""
    connection.execute(f"SET allowed_paths = {_quote_list(files)}")
    connection.execute(f"SET allowed_directories = {_quote_list(folders)}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


_INTERRUPT_SECONDS = 0.05


class Clock:
    """Whether the time of a `time_limit` is over."""

    def __init__(self) -> None:
        self.is_over = False


@contextmanager
def time_limit(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[Clock]:
    """Interrupt what runs on the connection when the time is over; it then raises `InterruptException`."""
    clock, done = Clock(), threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        clock.is_over = True
        while not done.wait(_INTERRUPT_SECONDS):  # again: between two statements there is nothing to stop
            connection.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield clock
    finally:
        done.set()
        watcher.join()


def quote_text(text: str) -> str:
    """A SQL string literal, for the few places that cannot take a bound parameter (paths of our own)."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _quote_list(paths: Iterable[Path | str]) -> str:
    return "[" + ", ".join(quote_text(str(path)) for path in paths) + "]"
