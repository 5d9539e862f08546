"""The outbox: lineage events that the log holds, carried to a file and, if one is set, to a backend.

Runs outside every stage (a sensor, a command) and fails open: what a sink cannot take now waits in the log,
in order, and is offered again next time. Every sink has its own place in `<home>/lineage/cursor.json`. The
file gets each event exactly once, even over a kill; a backend at least once (it knows an event again by run,
type and time). Must not be here: building events, OpenLineage itself (`lineage.py`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy import func, select

from orchestration.audit import tables as t
from orchestration.audit.lineage import (
    RejectedError,
    UnreachableError,
    file_sender,
    http_sender,
    http_target,
)
from orchestration.audit.log import AuditLog
from orchestration.digests import digest_bytes
from orchestration.settings import Settings

_BATCH = 500
_TIMEOUT_SECONDS = 3.0

Cursor = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Forwarded:
    """What one call did for one sink.

    `rejected` events will never be taken by this backend and are passed over; `waiting` ones are offered
    again. `problem` is a short word on why some wait ("HTTP 503"); never an address.
    """

    sink: str
    sent: int = 0
    rejected: int = 0
    waiting: int = 0
    problem: str | None = None


def forward(log: AuditLog, settings: Settings, *, seconds: float = 30) -> tuple[Forwarded, ...]:
    """Offer every event not yet forwarded to every sink; a dead backend costs one short timeout.

    Args:
        seconds: when this much time has passed, the rest of a sink's events waits for the next call.

    Returns: one `Forwarded` per sink; none when another process is forwarding right now.

    Raises: nothing a sink does. What the log raises when it cannot be read.
    """
    folder = settings.root / "lineage"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with FileLock(folder / "forward.lock", timeout=0):
            results = [_to_file(log, folder, seconds)]
            if settings.openlineage_url:
                results.append(_to_backend(log, folder, settings.openlineage_url.get_secret_value(), seconds))
            return tuple(results)
    except Timeout:
        return ()


def lineage_file(settings: Settings) -> Path:
    """Where the file sink writes: NDJSON, one event per line, oldest first."""
    return settings.root / "lineage" / "openlineage.ndjson"


def _to_file(log: AuditLog, folder: Path, seconds: float) -> Forwarded:
    cursor = _read_cursor(folder)
    place = cursor.setdefault("file", {"row": 0, "bytes": 0})
    path = folder / "openlineage.ndjson"
    deadline = time.monotonic() + seconds
    sent, problem = 0, None
    try:
        # Killed between writing and noting it, the last call left lines, or half a line, too many.
        if path.exists() and path.stat().st_size > place["bytes"]:
            os.truncate(path, place["bytes"])
        send = file_sender(path)
        for batch in _batches(log, place["row"]):
            for _, event in batch:
                send(event)
            place.update(row=batch[-1][0], bytes=_synced_size(path))
            _write_cursor(folder, cursor)
            sent += len(batch)
            if time.monotonic() > deadline:
                break
    except (OSError, RuntimeError):  # the transport wraps what the file system says
        problem = "not writable"
    return Forwarded("file", sent, 0, _waiting(log, place["row"]), problem)


def _to_backend(log: AuditLog, folder: Path, url: str, seconds: float) -> Forwarded:
    try:
        send = http_sender(url, _TIMEOUT_SECONDS)
    except ValueError:
        return Forwarded("http", waiting=_waiting(log, 0), problem="not an address")
    cursor = _read_cursor(folder)
    # One place per backend: a new one is given everything, and the old one's is kept.
    place = cursor.setdefault(f"http {digest_bytes(http_target(url).encode())}", {"row": 0})
    deadline = time.monotonic() + seconds
    sent, rejected, problem = 0, 0, None
    for batch in _batches(log, place["row"]):
        for row, event in batch:
            try:
                send(event)
                sent += 1
            except RejectedError as error:
                rejected, problem = rejected + 1, str(error)
            except UnreachableError as error:
                problem = str(error)
                break
            place["row"] = row
            if time.monotonic() > deadline:
                problem = "out of time"
                break
        try:
            _write_cursor(folder, cursor)
        except OSError:
            problem = "cursor not writable"
        if place["row"] != batch[-1][0] or problem in {"out of time", "cursor not writable"}:
            break
    return Forwarded("http", sent, rejected, _waiting(log, place["row"]), problem)


def _batches(log: AuditLog, after: int) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Events with row number beyond `after`, oldest first; no transaction stays open while they travel."""
    query = select(t.lineage.c.id, t.lineage.c.event).order_by(t.lineage.c.id).limit(_BATCH)
    while True:
        with log.read() as connection:
            rows = connection.execute(query.where(t.lineage.c.id > after)).all()
        if not rows:
            return
        yield [(int(row.id), json.loads(row.event)) for row in rows]
        after = int(rows[-1].id)


def _waiting(log: AuditLog, after: int) -> int:
    query = select(func.count()).select_from(t.lineage).where(t.lineage.c.id > after)
    with log.read() as connection:
        return int(connection.execute(query).scalar_one())


def _synced_size(path: Path) -> int:
    """Size in bytes, once everything up to it is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return file.seek(0, os.SEEK_END)


def _read_cursor(folder: Path) -> Cursor:
    """Where each sink stands; a lost or damaged file means from the beginning."""
    try:
        found = json.loads((folder / "cursor.json").read_text("utf-8"))
        return {
            str(sink): {str(name): int(value) for name, value in place.items()}
            for sink, place in found.items()
            if "row" in place and ("bytes" in place or sink != "file")
        }
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _write_cursor(folder: Path, cursor: Cursor) -> None:
    """Replace the cursor whole: a kill leaves the old one or the new one."""
    temporary = folder / "cursor.json.new"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(cursor, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / "cursor.json")
