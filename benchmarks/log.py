"""The audit log against SQLite and hashing without it; all in one process, in turns.

- Single appends: `AuditLog.append` of a plain event (`output.accessed`): canonical JSON, salt, commitment,
  tree, projection and commit. Bare: `BEGIN IMMEDIATE`, one INSERT of the same JSON, `COMMIT`, through
  `sqlite3` on a kept connection, in a database of its own with the same WAL and `synchronous = FULL`. Not in
  the time, on either side: making the event. No guard is asked; what it takes is in `policy`.
- Batches: `append_many` of a thousand events, per event, against single appends.
- Growth: single appends to the large log against single appends to one of ten thousand events.
- Proofs: of events at random places of the large log, from the database, each verified from its bytes alone.
- Verification: the log's part of `audit verify` (`verify_tree.check`: every commitment, leaf, receipt id and
  inner node hashed again, the stored nodes compared) against a plain loop that reads the same rows of events
  with `sqlite3`, computes HMAC and leaf hash and all inner nodes with `hashlib`, and compares nothing. The
  whole of `verify_log` besides: SQLite's own check of its pages, every event parsed and made canonical again,
  lineage, and all tables replayed and compared.

A durable commit waits for the disk, so appends are measured in many short turns: a disk that is busy with
something else then slows both sides.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Comparison, Figure, Sample, in_turns, scratch
from orchestration.audit import merkle, verify_tree
from orchestration.audit.events import Event
from orchestration.audit.log import AuditLog
from orchestration.audit.stage_events import OutputAccessed
from orchestration.audit.verify import verify_log

LARGE = 1_000_000
_SMALL = 10_000
_TURN = 50  # appends
_BATCH = 1_000
_PROOFS = 2_000


def compare(pairs: int, *, large: int = LARGE) -> tuple[list[Comparison], list[Figure]]:
    """Comparisons and figures.

    Args:
        pairs: how often each side of a verification runs; appends run twenty times as often.
        large: events of the large log.
    """
    with (
        scratch() as folder,
        _log(folder / "small.db", _SMALL) as small,
        _log(folder / "large.db", large) as big,
    ):
        turns = 20 * pairs
        appends = _appends(folder / "bare.db", small, turns)
        grown, young = in_turns(turns, _single(big), _single(small))
        comparisons = [
            *appends,
            Comparison(f"{_TURN} appends at {large:,} events, vs at {_SMALL:,}", grown, young, 1 / 0.8),
            *_verification(folder / "large.db", big, pairs),
        ]
        return comparisons, _proofs(big)


def _appends(bare_path: Path, log: AuditLog, turns: int) -> list[Comparison]:
    with closing(_bare_database(bare_path)) as bare:
        single, theirs, batched = in_turns(turns, _single(log), _bare(bare), _batched(log))
    return [
        Comparison(f"{_TURN} durable appends, vs bare transactions of one row", single, theirs, 2.0),
        Comparison(f"{_TURN} events in batches of {_BATCH:,}, vs appended singly", batched, single, 0.1),
    ]


def _verification(path: Path, log: AuditLog, pairs: int) -> list[Comparison]:
    def log_part() -> None:
        problems: list[Any] = []
        with log.read() as connection:
            verify_tree.check(connection, problems)
        assert not problems

    def whole() -> None:
        verify_log(log, path.parent / "checkpoints", {}).require()

    size = log.size
    ours, full, theirs = in_turns(
        pairs,
        lambda _: _timed(log_part),
        lambda _: _timed(whole),
        lambda _: _timed(lambda: _plain_loop(path)),
    )
    return [
        Comparison(f"Verifying the hashes of {size:,} events, vs a plain loop", ours, theirs, 1.5),
        Comparison(f"The whole of `audit verify` of {size:,} events, vs a plain loop", full, theirs),
    ]


def _proofs(log: AuditLog) -> list[Figure]:
    chance = random.Random(5)
    size, root = log.size, log.root()
    made, verified = [], []
    for _ in range(_PROOFS):
        seq = chance.randrange(size)
        leaf = merkle.leaf_hash(log.event(seq).commitment)
        begun = time.perf_counter()
        proof = log.inclusion_proof(seq, size)
        between = time.perf_counter()
        assert merkle.verify_inclusion(leaf, seq, size, proof, root)
        verified.append(time.perf_counter() - between)
        made.append(between - begun)
    return [
        Figure(f"Inclusion proof at {size:,} events", median(made) * 1000, "ms", 2.0),
        Figure("Verifying it", median(verified) * 1000, "ms", 1.0),
    ]


# --- the sides


_numbers = count()


def _event() -> Event:
    release = f"release-{next(_numbers)}"
    payload = OutputAccessed(release=release, member="retailer.analyst", detail="full")
    return Event(collaboration="grocery", subject=release, actor="house", payload=payload)


def _single(log: AuditLog) -> Callable[[int], Sample]:
    def turn(_: int) -> Sample:
        events = [_event() for _ in range(_TURN)]
        return _timed(lambda: [log.append(event) for event in events])

    return turn


def _batched(log: AuditLog) -> Callable[[int], Sample]:
    """What `_TURN` events of a batch take."""

    def turn(_: int) -> Sample:
        events = [_event() for _ in range(_BATCH)]
        return _timed(lambda: log.append_many(events), share=_TURN / _BATCH)

    return turn


def _bare(database: sqlite3.Connection) -> Callable[[int], Sample]:
    content = _event().content()

    def work() -> None:
        for _ in range(_TURN):
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO events (content) VALUES (?)", (content,))
            database.execute("COMMIT")

    return lambda _: _timed(work)


def _bare_database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, content BLOB NOT NULL)")
    return database


def _plain_loop(path: Path) -> bytes:
    sha256, digest = hashlib.sha256, hmac.digest
    with closing(sqlite3.connect(path)) as database:
        row = []
        for _, _, salt, content in database.execute(
            "SELECT seq, receipt_id, salt, content FROM events ORDER BY seq"
        ):
            row.append(sha256(b"\x00" + digest(salt, content, "sha256")).digest())
        while len(row) > 1:
            row = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(row[0::2], row[1::2], strict=False)
            ]
    return row[0]


def _timed(work: Callable[[], object], *, share: float = 1) -> Sample:
    begun, before = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - before
    return Sample(seconds * share, cpu * share, 0, {"before_seconds": 0.0})


@contextmanager
def _log(path: Path, size: int) -> Iterator[AuditLog]:
    with AuditLog(f"sqlite:///{path}") as log:
        while log.size < size:
            log.append_many([_event() for _ in range(_BATCH)])
        yield log


if __name__ == "__main__":
    import sys

    comparisons, figures = compare(3, large=int(sys.argv[1]) if len(sys.argv) > 1 else LARGE)
    for each in comparisons:
        print(
            f"{each.name}: {each.ratio:.2f} (CPU {each.cpu_ratio:.2f}, target {each.target}),"
            f" fastest {min(s.seconds for s in each.ours) * 1000:.2f} ms,"
            f" theirs {min(s.seconds for s in each.theirs) * 1000:.2f} ms"
        )
    for figure in figures:
        print(f"{figure.name}: {figure.value:.3f} {figure.unit} (target {figure.target})")
